"""Where a store puts its data, so that nothing of it is left afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

TABLE = "passages"
"""The name of the collection or table."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place for one store.

    Attributes:
        folder: An empty folder.
        postgres: Address of a server, as `postgresql://...`.
        schema: An empty schema on it.
        is_async: Whether the store is to be used from an event loop.
    """

    folder: Path
    postgres: str
    schema: str
    is_async: bool

    def postgres_by(self, driver: str) -> str:
        """The same address for SQLAlchemy."""
        return by_driver(driver, self.postgres)


def by_driver(driver: str, uri: str) -> str:
    """An address as SQLAlchemy reads it."""
    return uri.replace("postgresql://", f"postgresql+{driver}://", 1)
