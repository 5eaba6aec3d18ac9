"""The first half of submitting a job: all inputs checked and written, before anything is sent."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voyage_rag.batch.spool import Line, cut
from voyage_rag.batch.state import JobState, Part, StateFile
from voyage_rag.batch.types import BATCH_DISCOUNT, BatchLimits, Estimate
from voyage_rag.core import validation
from voyage_rag.errors import InvalidInputError

if TYPE_CHECKING:
    from voyage_rag.batch.kinds import Kind


def check_limits(limits: BatchLimits) -> None:
    """Refuse limits that are no whole numbers."""
    for each in fields(limits):
        validation.check_count(f"limits.{each.name}", getattr(limits, each.name))


def prepare(
    kind: Kind, lines: Iterable[Line], file: StateFile, limits: BatchLimits, host: str, now: float
) -> JobState:
    """Write inputs into parts and the job into its file; or find it there, and the same.

    Raises:
        InvalidInputError: An input cannot be one; or the file holds another job.
        OSError: There is no room, or no permission.
    """
    state = JobState(
        host=host,
        endpoint=kind.endpoint,
        params=kind.params,
        limits=asdict(limits),
        created_at=now,
    )
    known = file.load() if file.exists() else None
    if known is not None:
        _check_same(known, state, file)
    fresh = file.spool.with_name(file.spool.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    try:
        state.parts = list(cut(lines, limits, fresh))
        if not state.parts:
            raise InvalidInputError("there are no inputs: a job needs one at least")
        if known is None:
            shutil.rmtree(file.spool, ignore_errors=True)  # of a submission that was killed
            fresh.rename(file.spool)
            file.save(state)
            return state
        if _digests(known) != _digests(state):
            raise InvalidInputError(
                f"the job {str(file.path)!r} has other inputs: name another file, or submit the "
                "very inputs it was made of"
            )
        _restore(known, file, fresh)
        return known
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def estimated(kind: Kind, lines: Iterable[Line], limits: BatchLimits) -> Estimate:
    """What a job would take."""
    parts = list(cut(lines, limits, None))
    tokens = sum(part.tokens for part in parts)
    price = kind.row.cost(tokens)
    dollars = None if price is None else price * (1 - BATCH_DISCOUNT)
    return Estimate(sum(part.inputs for part in parts), tokens, len(parts), dollars)


def _check_same(known: JobState, asked: JobState, file: StateFile) -> None:
    for what in ("host", "endpoint", "params", "limits"):
        there, here = getattr(known, what), getattr(asked, what)
        if there != here:
            raise InvalidInputError(
                f"the job {str(file.path)!r} was submitted with {what} {_difference(there, here)}: "
                "name another file for another job"
            )


def _difference(there: Any, here: Any) -> str:
    if not isinstance(there, dict):
        return f"{there!r}, not {here!r}"
    names = sorted(name for name in there | here if there.get(name) != here.get(name))
    return ", ".join(f"{name}={there.get(name)!r}, not {here.get(name)!r}" for name in names)


def _digests(state: JobState) -> list[str]:
    return [part.sha256 for part in _own(state)]


def _own(state: JobState) -> list[Part]:
    return [part for part in state.parts if part.again is None]


def _restore(known: JobState, file: StateFile, fresh: Path) -> None:
    """Put back lines that are still needed and not there any more."""
    for part in _own(known):
        path = file.spooled(part)
        if part.file_id is None and not path.exists():
            file.make_spool()
            (fresh / path.name).rename(path)
