"""Submit a job: check all inputs and write them to parts before anything is sent.

A part is a file of lines for one batch. Only the file that is being written is open; only the ids
of inputs are kept in memory.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, NamedTuple

from voyage_rag.batch.custom_ids import CustomIds
from voyage_rag.batch.endpoints import BatchEndpoint
from voyage_rag.batch.state import (
    PART_NAME,
    BatchPart,
    JobState,
    RepeatedInput,
    StateFile,
    part_name,
)
from voyage_rag.batch.types import BatchEstimate, BatchLimits
from voyage_rag.checks import texts_of
from voyage_rag.core import validation
from voyage_rag.core.context import MARGIN
from voyage_rag.errors import InvalidInputError
from voyage_rag.hosts.host import COMPACT
from voyage_rag.jobs.files import PRIVATE_MODE

MIB = 1_048_576
MAX_LINE_BYTES = 8 * MIB
"""Maximum bytes of a line. A million tokens, the maximum per request of any model, take about five
million bytes.
"""

RECENT_TEXTS = 8_192
"""Number of different texts of a part that are compared. Fetching keeps as many vectors."""


class Line(NamedTuple):
    """A line of an input file, and an estimate of its tokens.

    `text` is set if it is the whole input. Other inputs are never compared.
    """

    content: bytes
    tokens: float
    custom_id: str = ""
    text: str | None = None


def lines_of(kind: BatchEndpoint, inputs: Iterable[object], names: CustomIds) -> Iterator[Line]:
    """Yield a line for each input.

    Raises:
        InvalidInputError: An input is invalid, or its id is missing or not unique.
    """
    if isinstance(inputs, str | bytes):
        raise InvalidInputError("inputs must be a list or another iterable, not one string")
    for index, item in enumerate(texts_of("inputs", inputs)):
        name = f"inputs[{index}]"
        custom_id = names.next(index)
        body, tokens = kind.body(name, item, index)
        line = encoded(custom_id, body)
        if len(line) > MAX_LINE_BYTES:
            raise InvalidInputError(
                f"{name} is a line of {len(line):,} bytes, more than the {MAX_LINE_BYTES:,} that a "
                "batch accepts: shorten it",
                indices=(index,),
            )
        yield Line(line, tokens, custom_id, body["input"][0] if "input" in body else None)
    names.check_end()


def encoded(custom_id: str, body: Any) -> bytes:
    """Return a line of an input file."""
    return COMPACT.encode({"custom_id": custom_id, "body": body}).encode() + b"\n"


def write_parts(
    lines: Iterable[Line], limits: BatchLimits, directory: Path | None, number: int = 0
) -> Iterator[BatchPart]:
    """Write lines to files of the size of a batch, or only count them if `directory` is None."""
    part: OpenPart | None = None
    first = 0
    try:
        for line in lines:
            if part is not None and part.add_repeat(line):
                continue
            if part is not None and not part.fits(line, limits):
                yield part.finish()
                number, first, part = number + 1, part.end, None
            part = part or OpenPart(number, first, directory)
            part.add(line)
        if part is not None:
            yield part.finish()
    finally:
        if part is not None:
            part.close()


def _digest_of(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


class OpenPart:
    """A part that is being written."""

    def __init__(self, number: int, first: int, directory: Path | None) -> None:
        self.inputs: int = 0
        self._repeats: list[RepeatedInput] = []
        self._recent: OrderedDict[bytes, int] = OrderedDict()
        self._number, self._first = number, first
        self._tokens, self._size = 0.0, 0
        self._digest = hashlib.sha256()
        self._file = None if directory is None else _private(directory / part_name(number))

    @property
    def end(self) -> int:
        """The position of the input after the last one."""
        return self._first + self.inputs + len(self._repeats)

    def add_repeat(self, line: Line) -> bool:
        """Add a line that repeats a recent text. Return False for any other line."""
        at = None if line.text is None else self._recent.get(_digest_of(line.text))
        if at is not None:
            repeat = RepeatedInput(index=self.end, custom_id=line.custom_id, equals=at)
            self._repeats.append(repeat)
        return at is not None

    def fits(self, line: Line, limits: BatchLimits) -> bool:
        """Whether a line fits into the part."""
        return (
            self.inputs < limits.inputs
            and self._size + len(line.content) <= limits.file_bytes
            and (self._tokens + line.tokens) * MARGIN <= limits.tokens
        )

    def add(self, line: Line) -> None:
        """Add a line."""
        if self._file is not None:
            self._file.write(line.content)
        if line.text is not None:
            self._recent[_digest_of(line.text)] = self.end
            if len(self._recent) > RECENT_TEXTS:
                self._recent.popitem(last=False)
        self._digest.update(line.content)
        self.inputs += 1
        self._size += len(line.content)
        self._tokens += line.tokens

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def finish(self) -> BatchPart:
        """Close the file, and return the part."""
        self.close()
        return BatchPart(
            number=self._number,
            first=self._first,
            inputs=self.inputs,
            repeats=self._repeats,
            tokens=round(self._tokens * MARGIN),
            size=self._size,
            sha256=self._digest.hexdigest(),
        )


def _private(path: Path) -> Any:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_MODE)
    return os.fdopen(handle, "wb", buffering=MIB)


def check_limits(limits: BatchLimits) -> None:
    """Raise an error for limits that are not integers."""
    for each in fields(limits):
        validation.check_count(f"limits.{each.name}", getattr(limits, each.name))


def prepare(
    kind: BatchEndpoint,
    inputs: Iterable[object],
    names: Iterable[str | int] | None,
    file: StateFile,
    limits: BatchLimits,
    host: str,
    now: float,
) -> JobState:
    """Write inputs to parts and the job to its file, or find an equal job there.

    Raises:
        InvalidInputError: An input is invalid, or the file contains another job.
        OSError: The disk is full, or permission is denied.
    """
    state = JobState(
        host=host,
        endpoint=kind.endpoint,
        params=kind.params,
        limits=asdict(limits),
        created_at=now,
    )
    known = file.load() if file.path.exists() else None
    if known is not None:
        _check_same(known, state, file)
    custom_ids = CustomIds(names)
    fresh = file.spool.with_name(file.spool.name + ".new")
    for folder in (fresh, file.spool):
        _check_own(folder)
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    try:
        state.parts = _all_parts(lines_of(kind, inputs, custom_ids), limits, fresh)
        state.id_type = custom_ids.type
        if known is None:
            shutil.rmtree(file.spool, ignore_errors=True)  # left by a submission that was killed
            fresh.rename(file.spool)
            file.save(state)
            return state
        if _identity(known) != _identity(state):
            raise InvalidInputError(
                f"the job {str(file.path)!r} was submitted with other inputs: pass another state "
                "file, or the same inputs"
            )
        _restore(known, file, fresh)
        return known
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _check_own(folder: Path) -> None:
    """Raise an error for a folder with files of other programs."""
    foreign = folder.exists() and not folder.is_dir()
    if foreign or any(not PART_NAME.fullmatch(file.name) for file in folder.glob("*")):
        raise InvalidInputError(
            f"{str(folder)!r} is needed for the job, but contains files that voyage-rag did not "
            "write: pass another state file, or move them"
        )


def _all_parts(
    lines: Iterable[Line], limits: BatchLimits, directory: Path | None
) -> list[BatchPart]:
    parts = list(write_parts(lines, limits, directory))
    if not parts:
        raise InvalidInputError("there are no inputs: a job needs at least one")
    return parts


def _identity(state: JobState) -> list[tuple[str, list[RepeatedInput]]]:
    return [(part.sha256, part.repeats) for part in state.own_parts]


def check_same_job(file: StateFile, kind: BatchEndpoint, limits: BatchLimits) -> None:
    """Raise an error for a file that belongs to another job, or cannot be created."""
    file.check_folder()
    if file.path.exists():
        known = file.load()
        asked = known.model_copy(
            update={"endpoint": kind.endpoint, "params": kind.params, "limits": asdict(limits)}
        )
        _check_same(known, asked, file)


def estimated(
    kind: BatchEndpoint,
    inputs: Iterable[object],
    names: Iterable[str | int] | None,
    limits: BatchLimits,
) -> BatchEstimate:
    """Estimate the size and price of a job."""
    parts = _all_parts(lines_of(kind, inputs, CustomIds(names)), limits, None)
    tokens = sum(part.tokens for part in parts)
    count = sum(part.inputs for part in parts)
    return BatchEstimate(count, tokens, len(parts), kind.row.cost(tokens, engine="batch"))


def _check_same(known: JobState, asked: JobState, file: StateFile) -> None:
    for what in ("host", "endpoint", "params", "limits"):
        there, here = getattr(known, what), getattr(asked, what)
        if there != here:
            raise InvalidInputError(
                f"the job {str(file.path)!r} was submitted with {what} {_difference(there, here)}: "
                "pass another state file for another job"
            )


def _difference(there: Any, here: Any) -> str:
    if not isinstance(there, dict):
        return f"{there!r}, not {here!r}"
    names = sorted(name for name in there | here if there.get(name) != here.get(name))
    return ", ".join(f"{name}={there.get(name)!r}, not {here.get(name)!r}" for name in names)


def _restore(known: JobState, file: StateFile, fresh: Path) -> None:
    """Move the lines of batches that are not uploaded yet to their place if they are missing."""
    for part in known.own_parts:
        path = file.spooled(part)
        if part.file_id is None and not path.exists():
            file.make_spool()
            (fresh / path.name).rename(path)
