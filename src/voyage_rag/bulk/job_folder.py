"""The folder of a job: its options, how far it is, and that only one process works on it."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from voyage_rag.jobs.errors import JobError
from voyage_rag.jobs.files import atomic_write, exclusive_lock

if TYPE_CHECKING:
    from pathlib import Path

VERSION = 2

JobState: TypeAlias = Literal["embedding", "assembling", "finished"]


@dataclass(frozen=True, slots=True)
class InputSummary:
    """What an input holds.

    Attributes:
        rows: Rows to embed.
        refused: Rows that cannot be.
        files: Files they are in.
        unread: Files in folders of the input that are not read.
        characters: Of all texts to embed.
        tokens: What these are expected to have at most.
        id_type: The Arrow type of the ids.
        kept: Schema of the columns that go into the output, serialised.
        first_refused: The first row that cannot be embedded and why, for a message.
    """

    rows: int
    refused: int
    files: int
    unread: int
    characters: int
    tokens: int
    id_type: str
    kept: str
    first_refused: str | None


@dataclass
class Manifest:
    """What a job's folder records.

    Attributes:
        options: What the output depends on.
        input: The digest of the input (see `InputReader.identity`).
        summary: What the input holds.
        state: How far the job is.
        length: Numbers of a vector, None while that is not known.
        output: The digest of the output, when it is finished.
        report: The result, when it is finished.
        refused_file: The side file this job wrote, None if there is none.
    """

    options: dict[str, Any]
    input: str
    summary: InputSummary
    state: JobState = "embedding"
    length: int | None = None
    output: str | None = None
    report: dict[str, Any] = field(default_factory=dict)
    refused_file: str | None = None


class JobFolder:
    """The folder `<output>.job`.

    Attributes:
        path: Where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journals: Path = path / "journals"
        self.unfinished: Path = path / "unfinished"
        self.refused_at_scan: Path = path / "refused.jsonl"
        self.refused_while_scanning: Path = path / "refused.tmp"
        self.refused_later: Path = path / "refused-later.jsonl"
        self.costs: Path = path / "costs.jsonl"
        self.ids: Path = path / "ids.tmp"
        self.spooled: Path = path / "spooled"
        self.batch: Path = path / "batch" / "job.json"
        self._manifest = path / "manifest.json"
        self._closing = ExitStack()

    @property
    def _own_entries(self) -> set[str]:
        own = (
            self.journals, self.unfinished, self.refused_at_scan, self.refused_later, self.costs,
            self.ids, self.spooled, self.batch.parent, self._manifest, self._lock,
            self.refused_while_scanning,
        )  # fmt: skip
        return {path.name for path in own}

    @property
    def _lock(self) -> Path:
        return self.path / "lock"

    def __enter__(self) -> Self:
        """Work on it alone.

        Raises:
            JobError: Another process does, or it is no job's folder.
        """
        self.check_own()
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self._closing.enter_context(exclusive_lock(self._lock))
        except BlockingIOError:
            raise JobError(f"another process is working on {str(self.path)!r}") from None
        return self

    def __exit__(self, *exc_info: object) -> None:
        for path in (self.ids, self.refused_while_scanning):
            path.unlink(missing_ok=True)
        if not self._manifest.exists():
            self.discard()
        self._closing.close()
        if not any(self.path.iterdir()):
            self.path.rmdir()

    def check_own(self) -> None:
        """Refuse a folder that no job made.

        Raises:
            JobError: It holds files of others.
        """
        if self.path.is_dir():
            held = {entry.name for entry in self.path.iterdir()} - self._own_entries
            ours = (f".{self._manifest.name}.", f"{self.unfinished.name}.")
            foreign = sorted(name for name in held if not name.startswith(ours))
            if foreign:
                raise JobError(
                    f"{str(self.path)!r} is needed for the job, and holds {foreign[0]!r}, which "
                    "voyage-rag did not write: choose another output, or move it away"
                )
        elif self.path.exists():
            raise JobError(f"{str(self.path)!r} is needed for the job's folder: move the file away")

    def read(self, *, overwrite: bool = False) -> Manifest | None:
        """What it records, None if nothing yet, or if that is damaged and may be overwritten.

        Raises:
            JobError: It is damaged, or of another version.
        """
        try:
            found = json.loads(self._manifest.read_text("utf-8"))
            if found.pop("version") == VERSION:
                return Manifest(**found | {"summary": InputSummary(**found["summary"])})
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
        if overwrite:
            return None
        raise JobError(
            f"{str(self._manifest)!r} is damaged, or of another version of voyage-rag: finish the "
            "job with that version, or discard it with overwrite=True"
        )

    def write(self, manifest: Manifest) -> None:
        """Record this."""
        with atomic_write(self._manifest) as path:
            path.write_text(json.dumps({"version": VERSION} | asdict(manifest), indent=1), "utf-8")

    def begin(self) -> None:
        """Discard the job that was here before; what was just scanned belongs to the new one."""
        self._manifest.unlink(missing_ok=True)
        self.discard_vectors()
        if self.refused_while_scanning.exists():
            self.refused_while_scanning.replace(self.refused_at_scan)
        self.costs.unlink(missing_ok=True)
        shutil.rmtree(self.batch.parent, ignore_errors=True)

    def discard(self) -> None:
        """Remove everything that belongs to the job."""
        self.begin()
        self.refused_at_scan.unlink(missing_ok=True)
        for leftover in self.path.glob(".manifest.json.*"):
            leftover.unlink()
        shutil.rmtree(self.spooled, ignore_errors=True)

    def discard_vectors(self) -> None:
        """Delete vectors that the output holds by now, or that are not wanted."""
        self.refused_later.unlink(missing_ok=True)
        for path in self.journals, self.unfinished:
            if path.is_dir():
                shutil.rmtree(path)
        for path in self.path.glob(f"{self.unfinished.name}*"):
            path.unlink()
