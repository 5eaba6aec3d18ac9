"""The file a job is kept in: small, private, written whole or not at all.

It holds ids, counts and options: no text and no key. Everything else is at the service, except
inputs that are not uploaded yet, which wait beside it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from voyage_rag.errors import InvalidInputError
from voyage_rag.jobs.files import atomic_write, exclusive_lock

FORMAT: Literal["voyage-rag batch job"] = "voyage-rag batch job"
VERSION: Literal[1] = 1

IdType: TypeAlias = Literal["string", "int64", "uint64"]


class BatchPart(BaseModel):
    """A batch of the job, from its first line to its last answer.

    Attributes:
        number: Its place among the parts.
        first: Position of its first input; of inputs that were submitted again, that of the part
            they are of.
        again: The number of the part whose failed inputs these are, None for inputs of their own.
        inputs: How many there are.
        tokens: How many tokens they have, by an estimate that errs high.
        size: Bytes of its file.
        sha256: Digest of its file.
        uploading: Whether an upload was begun, so that the file may be there already.
        file_id: The uploaded file.
        asked_at: When a batch was asked for whose creation is not known to have worked or failed;
            in seconds since the epoch.
        batch_id: The batch.
        status: The service's, or `cancelled` for a batch that never was.
        output_file_id: Answers.
        error_file_id: Failures.
        completed: Lines with an answer.
        failed: Lines that failed.
        expected_at: When the service expects it to be done, in RFC 3339.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    number: int
    first: int
    again: int | None = None
    inputs: int
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
    """A job.

    Attributes:
        format: Identifies the file as a job's.
        version: Of the format.
        id: Unique.
        host: Where it is.
        endpoint: What its batches are for.
        params: Model and options.
        limits: How it was cut, and what may be in flight.
        created_at: Seconds since the epoch.
        id_type: The Arrow type of what names its inputs.
        parts: Its batches.
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
        """Those with inputs of their own, not submitted again."""
        return [part for part in self.parts if part.again is None]


def part_name(number: int) -> str:
    """The file with the lines of a part."""
    return f"part-{number:04d}.jsonl"


class StateFile:
    """Where a job is kept."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Path = Path(path)
        self.spool: Path = self.path.with_name(self.path.name + ".parts")

    def spooled(self, part: BatchPart) -> Path:
        """Where the lines of a part wait."""
        return self.spool / part_name(part.number)

    def make_spool(self) -> Path:
        """The directory in which lines wait, for this user alone."""
        self.spool.mkdir(mode=0o700, exist_ok=True)
        return self.spool

    def load(self) -> JobState:
        """Read the job.

        Raises:
            InvalidInputError: There is none, or it cannot be read.
        """
        try:
            held = json.loads(self.path.read_bytes())
        except OSError as error:
            raise InvalidInputError(
                f"cannot read the job {str(self.path)!r}: {error.strerror}"
            ) from error
        except ValueError:
            held = None
        if not isinstance(held, dict) or held.get("format") != FORMAT:
            raise InvalidInputError(
                f"{str(self.path)!r} is no job of voyage-rag: name another file"
            )
        if held.get("version") != VERSION:
            raise InvalidInputError(
                f"the job {str(self.path)!r} has version {held.get('version')!r} and this "
                f"voyage-rag knows version {VERSION}: use the one that wrote it"
            )
        try:
            return JobState.model_validate(held)
        except ValidationError as error:
            place = ".".join(map(str, error.errors()[0]["loc"]))
            raise InvalidInputError(
                f"the job {str(self.path)!r} is damaged at {place!r}: restore it from a copy"
            ) from error

    def save(self, state: JobState) -> None:
        """Write the job atomically: a reader sees the old state or the new one."""
        with atomic_write(self.path, private=True) as path:
            path.write_text(state.model_dump_json(indent=1, exclude_defaults=False), "utf-8")

    def discard(self, part: BatchPart) -> None:
        """Let go of lines that the service has."""
        self.spooled(part).unlink(missing_ok=True)
        with suppress(OSError):  # there are others
            self.spool.rmdir()

    @contextmanager
    def held(self) -> Iterator[None]:
        """While a job is worked on, by one process at a time."""
        with ExitStack() as held:
            try:
                held.enter_context(exclusive_lock(self.path.with_name(self.path.name + ".lock")))
            except BlockingIOError:
                raise InvalidInputError(
                    f"another process works on the job {str(self.path)!r}: stop it first, or let "
                    "it finish"
                ) from None
            yield
