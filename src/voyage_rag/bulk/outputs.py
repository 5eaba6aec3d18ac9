"""What a job makes: a folder of Parquet files, or one file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from voyage_rag.bulk.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from voyage_rag.bulk.accounts import Spent
    from voyage_rag.bulk.part import Part

OutputFormat: TypeAlias = Literal["parquet", "dataset", "jsonl", "npy"]
"""One Parquet file, a folder of them, JSON lines, or a NumPy matrix."""

BY_SUFFIX: dict[str, OutputFormat] = {
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".npy": "npy",
    "": "dataset",
}


class Output(ABC):
    """Where the parts of a job go, and what becomes of them.

    Attributes:
        copies: How often the disk holds all vectors at the end.
    """

    copies: int

    @abstractmethod
    def holds(self, number: int) -> bool:
        """Whether it has a part, and will have it after the process was killed."""

    @abstractmethod
    def take(self, part: Part, length: int) -> None:
        """A part is complete: its vectors, of so many numbers, are in its journal.

        Called by whatever thread completed it.
        """

    @property
    @abstractmethod
    def spent(self) -> Spent:
        """What the parts have cost that were taken."""

    @abstractmethod
    def finish(self, length: int) -> None:
        """All parts were taken: let it appear, complete."""

    @abstractmethod
    def is_finished(self) -> bool:
        """Whether it has appeared, though the process was killed before it could say so."""

    @abstractmethod
    def close(self) -> None:
        """Let go of all files."""


def output_format(path: Path, given: OutputFormat | None) -> OutputFormat:
    """What to make, by its name unless it is said.

    Raises:
        JobError: The name does not tell.
    """
    form = given or BY_SUFFIX.get(path.suffix.lower())
    if form is None:
        raise JobError(
            f"{str(path)!r} does not say what to make: end it in .parquet, .jsonl or .npy, leave "
            f"the suffix out for a folder, or name the format, one of {_listed(OutputFormat)}"
        )
    return form


def _listed(choices: object) -> str:
    names: Sequence[str] = get_args(choices)
    return ", ".join(names)
