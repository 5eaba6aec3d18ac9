"""The state file of a job: small, private, and written atomically.

It contains ids, counts and options, but no texts and no key. Everything else is at the service,
except inputs that are not uploaded yet, which are stored next to it.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from voyage_rag.errors import InvalidInputError
from voyage_rag.jobs.files import atomic_write, exclusive_lock

FORMAT: Literal["voyage-rag batch job"] = "voyage-rag batch job"
VERSION: Literal[1] = 1

IdType: TypeAlias = Literal["string", "int64", "uint64"]


class RepeatedInput(BaseModel):
    """An input that equals the one at position `equals`, and therefore has no line."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    index: int
    custom_id: str
    equals: int


class BatchPart(BaseModel):
    """One batch of the job.

    Attributes:
        first: Position of its first input; for resubmitted inputs, that of their original part.
        again: Number of the part whose failed inputs it contains; None for original inputs.
        inputs: Number of lines.
        repeats: Inputs that equal an earlier one, in ascending order.
        tokens: Conservative estimate of its tokens.
        size: Size of its file in bytes.
        uploading: Whether an upload has started, so that the file may exist at the service.
        asked_at: Time of a request to create the batch whose outcome is unknown, in seconds since
            the epoch.
        status: Status at the service, or `cancelled` for a batch that was never created.
        completed: Number of lines with a result.
        expected_at: The service's estimate of the time of completion, in RFC 3339.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    number: int
    first: int
    again: int | None = None
    inputs: int
    repeats: list[RepeatedInput] = []
    tokens: int
    size: int
    sha256: str
    uploading: bool = False
    file_id: str | None = None
    asked_at: float | None = None
    batch_id: str | None = None
    status: str | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    completed: int = 0
    failed: int = 0
    expected_at: str | None = None


class JobState(BaseModel):
    """The state of a job.

    Attributes:
        host: Host name of the service.
        params: Model and options.
        limits: Limits by which the inputs were divided.
        created_at: Seconds since the epoch.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    format: Literal["voyage-rag batch job"] = FORMAT
    version: Literal[1] = VERSION
    id: str = Field(default_factory=lambda: uuid4().hex)
    host: str
    endpoint: str
    params: dict[str, Any]
    limits: dict[str, int]
    created_at: float
    id_type: IdType = "string"
    parts: list[BatchPart] = []

    @property
    def own_parts(self) -> list[BatchPart]:
        """The parts with original inputs, not resubmitted ones."""
        return [part for part in self.parts if part.again is None]


PART_NAME = re.compile(r"part-\d{4,}\.jsonl")


def part_name(number: int) -> str:
    """Return the name of the file with the lines of a part."""
    return f"part-{number:04d}.jsonl"


class StateFile:
    """The state file of a job."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Path = Path(os.path.expanduser(path))  # noqa: PTH111 - pathlib's can raise
        if not self.path.name:
            raise InvalidInputError(f"the state file {str(self.path)!r} has no name: pass a file")
        self.spool: Path = self.path.with_name(self.path.name + ".parts")

    def spooled(self, part: BatchPart) -> Path:
        """Return the path of the stored lines of a part."""
        return self.spool / part_name(part.number)

    def missing(self, part: BatchPart) -> InvalidInputError:
        """Return the error for stored lines that do not exist, as on another machine."""
        return InvalidInputError(
            f"the file {str(self.spooled(part))!r} with the inputs of batch {part.number + 1} is "
            "missing: submit the job again with the same inputs and the same state file"
        )

    def make_spool(self) -> Path:
        """Create the private directory for stored lines."""
        self.spool.mkdir(mode=0o700, exist_ok=True)
        return self.spool

    def load(self) -> JobState:
        """Read the job.

        Raises:
            InvalidInputError: The file does not exist or cannot be read.
        """
        try:
            saved = json.loads(self.path.read_bytes())
        except OSError as error:
            raise InvalidInputError(
                f"cannot read the job {str(self.path)!r}: {error.strerror}"
            ) from error
        except ValueError:
            saved = None
        if not isinstance(saved, dict) or saved.get("format") != FORMAT:
            raise InvalidInputError(
                f"{str(self.path)!r} is not the state file of a job: pass another file"
            )
        if saved.get("version") != VERSION:
            raise InvalidInputError(
                f"the job {str(self.path)!r} has format version {saved.get('version')!r}, but this "
                f"release of voyage-rag reads version {VERSION}: use the release that wrote it"
            )
        try:
            return JobState.model_validate(saved)
        except ValidationError as error:
            place = ".".join(map(str, error.errors()[0]["loc"]))
            raise InvalidInputError(
                f"the job {str(self.path)!r} is damaged at {place!r}: restore it from a copy"
            ) from error

    def save(self, state: JobState) -> None:
        """Write the job atomically."""
        with atomic_write(self.path, private=True) as path:
            path.write_text(state.model_dump_json(indent=1, exclude_defaults=False), "utf-8")

    def discard(self, part: BatchPart) -> None:
        """Delete stored lines that the service has received."""
        self.spooled(part).unlink(missing_ok=True)
        with suppress(OSError):  # lines of other parts remain
            self.spool.rmdir()

    def check_folder(self) -> None:
        """Raise an error if the folder of the file does not exist, or is not writable."""
        folder = self.path.absolute().parent
        if not folder.is_dir():
            raise InvalidInputError(
                f"the folder {str(self.path.parent)!r} of the state file does not exist: create it"
            )
        if not os.access(folder, os.W_OK | os.X_OK):
            raise InvalidInputError(
                f"the folder {str(self.path.parent)!r} is not writable: choose another state file"
            )

    def locked(self) -> AbstractContextManager[None]:
        """Lock the job for this process.

        Raises:
            InvalidInputError: Another process is working on it, or the folder is not writable.
        """
        self.check_folder()
        busy = (
            f"another process is working on the job {str(self.path)!r}: stop it, or let it finish"
        )
        return exclusive_lock(
            self.path.with_name(self.path.name + ".lock"), InvalidInputError(busy)
        )
