"""What a job must not do: each check raises an error that says why, and what to do about it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from voyage_rag.bulk.output_files import check_replaceable, final_paths, fingerprint
from voyage_rag.jobs.errors import BadRowsError, JobError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from voyage_rag.bulk.job_folder import InputSummary, JobFolder, Manifest
    from voyage_rag.bulk.options import OnError
    from voyage_rag.bulk.output_files import OutputFormat
    from voyage_rag.jobs.inputs import InputReader

GIGABYTE = 1_000_000_000


def check_output_apart(inputs: Sequence[Path], reader: InputReader, output: Path) -> None:
    """Refuse an output on, in or around the input.

    Raises:
        JobError: It is one of these.
    """
    target = output.resolve()
    for path in inputs:
        folder = path.resolve()
        if folder == target or (path.is_dir() and target.is_relative_to(folder)):
            raise JobError(
                f"the output {str(output)!r} is in the input {str(path)!r}: choose an output "
                "elsewhere"
            )
    for file in reader.files:
        if file.path.resolve().is_relative_to(target):
            raise JobError(
                f"the output {str(output)!r} holds the input {str(file.path)!r}: choose an output "
                "elsewhere"
            )


def is_resumed(
    begun: Manifest,
    options: dict[str, Any],
    identity: str,
    output: Path,
    form: OutputFormat,
    folder: JobFolder,
    *,
    overwrite: bool,
) -> bool:
    """Whether the job that was begun is resumed, or known to be finished; False to begin anew.

    Raises:
        JobError: It is another job, and not to be discarded.
    """
    other = [
        f"{name}={begun.options.get(name)!r}, not {value!r}"
        for name, value in options.items()
        if begun.options.get(name) != value
    ]
    if begun.input != identity:
        other.append("an input that was another one, or has changed since")
    if begun.state == "finished":
        return not other and not overwrite and fingerprint(output, form) == begun.output
    if other and not overwrite:
        raise JobError(
            f"{str(folder.path)!r} holds an unfinished job with {'; '.join(other)}: run it again "
            "as it was begun, choose another output, or discard it with overwrite=True"
        )
    return not other


def check_not_overwritten(output: Path, form: OutputFormat, *, overwrite: bool) -> None:
    """Refuse to replace an output, unless that was said and nothing of others is lost.

    Raises:
        JobError: There is something already.
    """
    for path in final_paths(output, form):
        if path.exists() and not overwrite:
            raise JobError(
                f"{str(path)!r} exists: choose another output, or replace it with overwrite=True"
            )
    check_replaceable(output, form)
    if not output.parent.is_dir():
        parents = [parent for parent in output.parents if parent.exists()]
        if not parents[0].is_dir():
            raise JobError(f"{str(parents[0])!r} is no folder: choose another output")


def check_rows(summary: InputSummary, on_error: OnError) -> None:
    """Refuse bad rows before anything is sent.

    Raises:
        BadRowsError: There are some, and they are not to be skipped.
        JobError: There is nothing to embed.
    """
    if summary.refused and on_error == "stop":
        others = summary.refused - 1
        more = f" ({others:,} more like it)" if others else ""
        first = summary.first_refused or ""
        remedy = ""
        if "UTF-8" in first:
            remedy = " give the file's encoding, such as encoding='latin-1',"
        elif "no text in" in first:
            remedy = " name the field of the text, such as text_column='body',"
        raise BadRowsError(
            f"{first}{more}:{remedy} correct the input, or leave such rows out "
            "with on_error='skip'; nothing was sent",
            rows=summary.refused,
        )
    if not summary.rows:
        why = f": {summary.first_refused}" if summary.first_refused else ""
        raise JobError(f"there is nothing to embed: the input has no rows that can be{why}")


def check_disk_space(folder: Path, needed: float) -> None:
    """Refuse to begin where vectors would not fit on the disk.

    Raises:
        JobError: They would not.
    """
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise JobError(
            f"the disk of {str(folder)!r} has {free / GIGABYTE:,.1f} GB free, and the job takes "
            f"{needed / GIGABYTE:,.1f} GB: free some, choose another place, a folder as output "
            "(half of it), fewer dimensions, or int8; nothing was sent"
        )
