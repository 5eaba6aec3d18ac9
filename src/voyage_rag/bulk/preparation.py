"""Determine the state, the input and the problems of a job before anything is sent."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from voyage_rag.bulk.job_folder import InputSummary, JobFolder, Manifest
from voyage_rag.bulk.options import JobSpec, OnError
from voyage_rag.bulk.outputs import check_replaceable, final_paths, fingerprint
from voyage_rag.bulk.progress import JobReporter
from voyage_rag.bulk.scan import scan
from voyage_rag.bulk.writers import check_storable
from voyage_rag.jobs.errors import BadRowsError, JobError
from voyage_rag.jobs.files import size
from voyage_rag.jobs.inputs import InputReader, open_inputs
from voyage_rag.jobs.inputs.discovery import expanded
from voyage_rag.jobs.inputs.spool import is_stream

LONGEST_SUFFIX = "..refused-99.jsonl.01234567"
"""The longest suffix that a file gets, that of a temporary side file."""


@contextmanager
def collecting(problems: list[str] | None) -> Iterator[None]:
    """Add a `JobError` of the block to a list; raise it if the list is None."""
    try:
        yield
    except JobError as error:
        if problems is None:
            raise
        problems.append(error.message)


@dataclass(frozen=True)
class Preparation:
    """The checks of a job before anything is sent.

    Attributes:
        spec: The arguments of the job.
        folder: The job's folder.
        scratch: The folder for temporary files of the input; may be the same.
        reporter: Reports progress.
        tokenizer: Path of a `tokenizer.json` to count tokens; None estimates them.
        problems: Receives errors that would stop the job; None raises them.
    """

    spec: JobSpec
    folder: JobFolder
    scratch: JobFolder
    reporter: JobReporter
    tokenizer: str | None = None
    problems: list[str] | None = None

    def prepare(self, host: str | None, *, rescan: bool) -> tuple[InputReader, Manifest, bool]:
        """Determine the state of the job, and check everything.

        Args:
            host: The host; None for any host.
            rescan: Read the whole input, even if the job has started.

        Returns:
            The input, the manifest that the job's folder contains or should contain, and whether it
            already contains it.
        """
        spec, begun, is_resumed, other = self.spec, None, False, list[str]()
        with collecting(self.problems):
            begun = self._begun()
        reader = self._reader
        with collecting(self.problems):
            _check_output_apart(spec, reader)
        recorded, identity = spec.recorded(host), reader.identity()
        if begun is not None:
            with collecting(self.problems):
                is_resumed = self._is_resumed(begun, recorded, identity, other)
        if begun is None or not is_resumed or begun.state == "embedding":
            with collecting(self.problems):
                is_finished = begun is not None and begun.state == "finished"
                check_not_overwritten(spec, other if is_finished else ())
        if begun is None or not is_resumed or rescan:
            manifest = Manifest(recorded, identity, self._summary)
            manifest.length = spec.options.length
            manifest.refused_file = None if begun is None else begun.refused_file
        else:
            manifest = begun
            reader.damaged = begun.summary.damaged
        with collecting(self.problems):
            self._check_input(manifest.summary)
        return reader, manifest, is_resumed

    def _begun(self) -> Manifest | None:
        """Return the manifest of an existing job."""
        self.folder.check_own()
        if self.folder is not self.scratch:
            self.folder.check_free()
        return self.folder.read(overwrite=self.spec.options.overwrite)

    @cached_property
    def _reader(self) -> InputReader:
        options = self.spec.options
        return open_inputs(
            self.spec.inputs,
            options.input_format,
            text_columns=options.text_columns,
            id_column=options.id_column,
            keep=options.keep,
            options=options.reading,
            spool_folder=self.scratch.spooled,
            skip_damaged=options.on_error == "skip",
        )

    @cached_property
    def _summary(self) -> InputSummary:
        """The result of reading the whole input."""
        self._reader.finds_damage = self.spec.options.on_error == "skip"
        summary = scan(self._reader, self.tokenizer, self.scratch, self.reporter)
        self._reader.finds_damage = False
        return summary

    def _is_resumed(
        self, begun: Manifest, recorded: dict[str, Any], identity: str, other: list[str]
    ) -> bool:
        """Return whether the existing job is resumed or finished; False starts a new one.

        Copying and version control change the times of files, so if these differ, the rows
        decide. `other` receives what the existing job was started with instead.
        """
        spec, is_finished = self.spec, begun.state == "finished"
        if is_finished and (
            spec.options.overwrite or fingerprint(spec.output, spec.form) != begun.output
        ):
            return False
        other += [
            f"{'the address ' if name == 'host' else f'{name}='}{there!r}, not {value!r}"
            for name, value in recorded.items()
            if (there := begun.options.get(name)) != value
        ]
        if not other and begun.input != identity:
            if self._summary.digest == begun.summary.digest:
                begun.input, begun.summary = identity, self._summary
            else:
                other.append("another input, or rows that have changed since then")
        if other and not is_finished and not spec.options.overwrite:
            raise JobError(
                f"{str(self.folder.path)!r} contains an unfinished job with {'; '.join(other)}: "
                "run it again with the same options, choose another output, or discard it with "
                "overwrite=True"
            )
        return not other

    def _check_input(self, summary: InputSummary) -> None:
        options = self.spec.options
        check_rows(summary, options.on_error)
        if self.spec.form in {"parquet", "dataset"}:
            check_storable(options.output_schema(summary).kept)


def _check_output_apart(spec: JobSpec, reader: InputReader) -> None:
    """Raise an error for an output that is, contains or lies inside the input."""
    target = spec.output.resolve()
    named = [path for path in spec.inputs if not is_stream(path)]
    for path in chain.from_iterable(map(expanded, named)):
        folder = path.resolve()
        if folder == target or (path.is_dir() and target.is_relative_to(folder)):
            raise JobError(
                f"the output {str(spec.output)!r} is in the input {str(path)!r}: choose an output "
                "outside it"
            )
    for file in reader.files:
        if file.path.resolve().is_relative_to(target):
            raise JobError(
                f"the output {str(spec.output)!r} contains the input {str(file.path)!r}: choose "
                "another output"
            )


def check_not_overwritten(spec: JobSpec, other: Sequence[str] = ()) -> None:
    """Raise a `JobError` for an existing output, unless `overwrite` permits replacing it.

    The message contains what `other` says about the job that wrote the output.
    """
    origin = f", written with {'; '.join(other)}" if other else ""
    for path in final_paths(spec.output, spec.form):
        is_empty = spec.form == "dataset" and path.is_dir() and not any(path.iterdir())
        if path.exists() and not is_empty and not spec.options.overwrite:
            raise JobError(
                f"{str(path)!r} exists{origin}: choose another output, or replace it with "
                "overwrite=True"
            )
        if os.path.ismount(path):  # pathlib's is False for files before Python 3.12
            remedy = "choose an output in it" if path.is_dir() else "mount its folder instead"
            raise JobError(f"{str(path)!r} is a mount point, which cannot be replaced: {remedy}")
    check_replaceable(spec.output, spec.form)
    _check_length_of_name(spec.output)
    parent = next(parent for parent in spec.output.absolute().parents if parent.exists())
    if not parent.is_dir():
        raise JobError(f"{str(parent)!r} is not a folder: choose another output")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise JobError(f"the folder {str(parent)!r} is not writable: choose another output")


def _check_length_of_name(output: Path) -> None:
    """Raise an error for a name that is too long with an addition, before anything is sent."""
    try:
        output.with_name(output.name + LONGEST_SUFFIX).lstat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise JobError(
                f"the name {output.name!r} is too long, because names of files next to the output "
                f"have up to {len(LONGEST_SUFFIX)} more characters: choose a shorter one"
            ) from None


def check_rows(summary: InputSummary, on_error: OnError) -> None:
    """Raise an error for rows that cannot be embedded, unless they are to be skipped."""
    if summary.refused and on_error == "stop":
        others = summary.refused - 1
        more = f" ({others:,} more)" if others else ""
        first = summary.first_refused or ""
        remedy = ""
        if "UTF-8" in first:
            remedy = " pass the encoding of the file, such as encoding='latin-1',"
        elif "(it has" in first:
            remedy = " pass the field with the text, such as text_column='body',"
        elif "of stdin: the line is not JSON" in first:
            remedy = " pass the format of stdin, such as input_format='csv',"
        raise BadRowsError(
            f"{first}{more}:{remedy} correct the input, or skip such rows with on_error='skip'; "
            "nothing was sent",
            rows=summary.refused,
        )
    if not summary.rows:
        why = f": {summary.first_refused}" if summary.first_refused else ""
        raise JobError(f"there is nothing to embed: the input has no valid rows{why}")


def check_disk_space(folder: Path, needed: float) -> None:
    """Raise an error if the vectors would not fit on the disk."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise JobError(
            f"the disk of {str(folder)!r} has {size(free)} free, but the job needs "
            f"{size(needed)}: free some space, or choose another disk, a folder as output (which "
            "needs half the space), fewer dimensions, or int8; nothing was sent"
        )
