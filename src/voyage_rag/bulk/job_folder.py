"""The folder of a job: its options, its progress, and a lock."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

from voyage_rag.jobs.errors import JobError
from voyage_rag.jobs.files import atomic_write, exclusive_lock
from voyage_rag.jobs.inputs.opening import Damage

VERSION = 3

JobState: TypeAlias = Literal["embedding", "assembling", "finished"]


@dataclass(frozen=True, slots=True)
class InputSummary:
    """The summary of an input.

    `tokens` is a conservative estimate, `id_type` the Arrow type of the ids, `kept` the serialised
    schema of the copied columns, `unread` the number of other files in folders of the input,
    `digest` a digest of all rows.
    """

    rows: int
    refused: int
    files: int
    unread: int
    characters: int
    tokens: int
    id_type: str
    kept: str
    digest: str
    first_refused: str | None
    damaged: dict[str, Damage] = field(default_factory=dict)


@dataclass
class Manifest:
    """The contents of a job's manifest.

    Attributes:
        options: Options that the output depends on.
        input: Digest of the input (see `InputReader.identity`).
        length: Numbers per vector; None while unknown.
        output: Digest of the finished output.
        refused_file: The side file that this job wrote; None if there is none.
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
    """The folder `<output>.job`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        own = path / "voyage-rag"
        self._reading = own / "reading"
        self._work = own / "work"
        self.spooled: Path = self._reading / "spooled"
        self.ids: Path = self._reading / "ids"
        self._scanned = self._reading / "work"
        self.refused_while_scanning: Path = self._scanned / "refused.jsonl"
        self.repeats_while_scanning: Path = self._scanned / "repeats"
        self.repeats: Path = self._work / "repeats"
        self.refused_at_scan: Path = self._work / "refused.jsonl"
        self.refused_later: Path = self._work / "refused-later.jsonl"
        self.journals: Path = self._work / "journals"
        self.unfinished: Path = self._work / "unfinished"
        self.batch: Path = self._work / "batch" / "job.json"
        self._manifest = path / "manifest.json"
        self._lock = path / "lock"
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        """Lock the folder.

        Raises:
            JobError: Another process holds the lock, or the folder does not belong to a job.
        """
        self.check_own()
        self.path.mkdir(parents=True, exist_ok=True)
        self._closing.enter_context(exclusive_lock(self._lock, self._busy))
        self._scanned.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *exc_info: object) -> None:
        shutil.rmtree(self._reading, ignore_errors=True)
        if not self._manifest.exists():
            self.discard()
        self._closing.close()
        for folder in (self._work.parent, self.path):
            if folder.exists() and not any(folder.iterdir()):
                folder.rmdir()

    @property
    def _busy(self) -> JobError:
        return JobError(
            f"another process is working on {str(self.path)!r}: stop it, or let it finish"
        )

    def check_free(self) -> None:
        """Raise a `JobError` if another process holds the lock."""
        if self._lock.exists():
            with exclusive_lock(self._lock, self._busy):
                pass

    def check_own(self) -> None:
        """Raise a `JobError` for a folder that contains files of other programs."""
        if self.path.is_dir():
            own = {self._work.parent.name, self._manifest.name, self._lock.name}
            names = {entry.name for entry in self.path.iterdir()} - own
            temporary = f".{self._manifest.name}."
            foreign = sorted(name for name in names if not name.startswith(temporary))
            if foreign:
                raise JobError(
                    f"{str(self.path)!r} is needed for the job, but contains {foreign[0]!r}, which "
                    "voyage-rag did not write: choose another output, or move the file"
                )
        elif self.path.exists():
            raise JobError(f"{str(self.path)!r} is needed for the job's folder: move the file")

    def read(self, *, overwrite: bool = False) -> Manifest | None:
        """Return the manifest; None if there is none, or if it is damaged and may be overwritten.

        Raises:
            JobError: The manifest is damaged or has another version.
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
            f"{str(self._manifest)!r} is damaged or was written by another version of voyage-rag: "
            "finish the job with that version, or discard it with overwrite=True"
        )

    def write(self, manifest: Manifest) -> None:
        """Write the manifest."""
        with atomic_write(self._manifest) as path:
            path.write_text(json.dumps({"version": VERSION} | asdict(manifest), indent=1), "utf-8")

    def begin(self) -> None:
        """Discard the previous job, and keep the files of the scan for the new one."""
        self.discard()
        self._scanned.replace(self._work)

    def discard(self) -> None:
        """Delete all files of the job."""
        self._manifest.unlink(missing_ok=True)
        for leftover in self.path.glob(f".{self._manifest.name}.*"):
            leftover.unlink()
        self.discard_work()

    def discard_work(self) -> None:
        """Delete the files that a finished job does not need."""
        if self._work.exists():
            shutil.rmtree(self._work)
