"""What tests of commands share: a service, and something on stdin."""

import io
import sys
from collections.abc import Callable, Iterator

import pytest

from voyage_rag.emulator import Emulator


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """Run an emulator, whose address is in the environment."""
    emulator = Emulator()
    with emulator as url:
        monkeypatch.setenv("VOYAGE_API_KEY", "pa-commands")
        monkeypatch.setenv("VOYAGE_BASE_URL", url)
        yield emulator


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Provides bytes on stdin."""

    def put(content: bytes) -> None:
        # As on a machine whose encoding is something else.
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="latin-1"))

    return put
