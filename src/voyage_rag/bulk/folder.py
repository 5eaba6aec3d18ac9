"""The folder of a job: what it was told, how far it is, and that only one process works on it."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from voyage_rag.bulk.errors import JobError
from voyage_rag.bulk.scan import Plan
from voyage_rag.bulk.tables import whole

if TYPE_CHECKING:
    from pathlib import Path

VERSION = 1

State: TypeAlias = Literal["embedding", "assembling", "finished"]


@dataclass
class Manifest:
    """What a job's folder says.

    Attributes:
        options: What the output depends on.
        input: What changes when the input does (see `Source.identity`).
        plan: What there is to do.
        state: How far it is.
        length: Numbers of a vector, None while nobody knows.
        report: What came of it, when it is finished.
    """

    options: dict[str, Any]
    input: str
    plan: Plan
    state: State = "embedding"
    length: int | None = None
    report: dict[str, Any] = field(default_factory=dict)


class JobFolder:
    """The folder `<output>.job`.

    Attributes:
        path: Where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journals = path / "journals"
        self.making = path / "making"
        self.refused_at_scan = path / "refused.jsonl"
        self.refused_later = path / "refused-later.jsonl"
        self.accounts = path / "accounts.jsonl"
        self.ids = path / "ids.tmp"
        self.stdin = path / "stdin"
        self.batch = path / "batch" / "job.json"
        self._manifest = path / "manifest.json"
        self._lock: int | None = None

    def __enter__(self) -> Self:
        """Work on it alone.

        Raises:
            JobError: Another process does.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(self._lock)
        except OSError:
            os.close(self._lock)
            raise JobError(f"another process is working on {str(self.path)!r}") from None
        return self

    def __exit__(self, *exc_info: object) -> None:
        if not self._manifest.exists():
            shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)

    def read(self) -> Manifest | None:
        """What it says, None if nothing yet.

        Raises:
            JobError: It is damaged, or of another version.
        """
        try:
            told = json.loads(self._manifest.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except ValueError:
            told = {}
        if told.pop("version", None) != VERSION:
            raise JobError(
                f"{str(self._manifest)!r} is damaged, or of another version of voyage-rag: finish "
                "the job with that version, or delete the folder to begin anew"
            )
        return Manifest(**told | {"plan": Plan(**told["plan"])})

    def write(self, manifest: Manifest) -> None:
        """Say this."""
        with whole(self._manifest) as path:
            path.write_text(json.dumps({"version": VERSION} | asdict(manifest), indent=1), "utf-8")

    def begin(self) -> None:
        """Forget the job that was here before, but for what was just found of the new one."""
        self._manifest.unlink(missing_ok=True)
        self.forget_vectors()
        self.accounts.unlink(missing_ok=True)
        shutil.rmtree(self.batch.parent, ignore_errors=True)

    def forget_vectors(self) -> None:
        """Delete what the output holds, too, or is not wanted."""
        self.refused_later.unlink(missing_ok=True)
        for path in self.journals, self.making:
            if path.is_dir():
                shutil.rmtree(path)


def _lock(file: int) -> None:
    try:
        import fcntl  # noqa: PLC0415 - not on Windows
    except ImportError:
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
