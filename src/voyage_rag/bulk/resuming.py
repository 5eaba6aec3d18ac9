"""Whether a job may begin or go on; if not, an error that says why and what to do about it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from voyage_rag.bulk.errors import BadRowsError, JobError

if TYPE_CHECKING:
    from pathlib import Path

    from voyage_rag.bulk.folder import JobFolder, Manifest
    from voyage_rag.bulk.options import OnError
    from voyage_rag.bulk.scan import Plan

GIGABYTE = 1_000_000_000


def is_resumed(
    begun: Manifest,
    told: dict[str, Any],
    identity: str,
    output: Path,
    folder: JobFolder,
    overwrite: bool,
) -> bool:
    """Whether to go on with the job that was begun; False to begin anew.

    Raises:
        JobError: It is another job, and not to be given up.
    """
    other = [
        f"{name}={begun.options.get(name)!r}, not {value!r}"
        for name, value in told.items()
        if begun.options.get(name) != value
    ]
    if begun.input != identity:
        other.append("an input that was another one, or has changed since")
    if begun.state == "finished":
        return not other and not overwrite and output.exists()
    if other and not overwrite:
        raise JobError(
            f"{str(folder.path)!r} holds an unfinished job with {'; '.join(other)}: run it again "
            "as it was begun, choose another output, or say overwrite to give it up"
        )
    if not other and begun.state == "embedding":
        refuse_to_overwrite(output, overwrite)
    return not other


def refuse_to_overwrite(output: Path, overwrite: bool) -> None:
    """Leave an output alone that is there.

    Raises:
        JobError: It is.
    """
    if output.exists() and not overwrite:
        raise JobError(
            f"{str(output)!r} exists: choose another output, or say overwrite to replace it"
        )


def refuse_bad_rows(plan: Plan, on_error: OnError) -> None:
    """Find bad rows before anything is sent.

    Raises:
        BadRowsError: There are some, and they are not to be skipped.
        JobError: There is nothing to embed.
    """
    if plan.refused and on_error == "stop":
        others = plan.refused - 1
        more = f" ({others:,} more like it)" if others else ""
        raise BadRowsError(
            f"{plan.first_refused}{more}: mend the input, or leave such rows out with on_error "
            "skip; nothing was sent",
            rows=plan.refused,
        )
    if not plan.rows:
        raise JobError("there is nothing to embed: the input has no rows that can be")


def refuse_full_disk(folder: Path, needed: float) -> None:
    """Find out before anything is sent that vectors would have no place.

    Raises:
        JobError: They would not.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise JobError(
            f"the disk of {str(folder)!r} has {free / GIGABYTE:,.1f} GB free, and the job takes "
            f"{needed / GIGABYTE:,.1f} GB: make room, choose another place, a folder as output "
            "(half of it), fewer dimensions, or int8; nothing was sent"
        )
