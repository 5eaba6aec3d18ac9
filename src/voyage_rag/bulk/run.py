"""One run of a job, from its stored state to the next one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from voyage_rag.bulk.job_folder import JobFolder, Manifest
from voyage_rag.bulk.options import JobSpec
from voyage_rag.bulk.outputs import Output, fingerprint, open_output
from voyage_rag.bulk.preparation import Preparation, check_disk_space, check_not_overwritten
from voyage_rag.bulk.progress import JobReport, JobReporter, OnProgress
from voyage_rag.bulk.refused import free_side_file, refused_line, rows_to_embed, write_side_file
from voyage_rag.bulk.repeats import RepeatedTexts
from voyage_rag.bulk.result_store import ResultStore
from voyage_rag.bulk.writers import OutputSchema
from voyage_rag.errors import InvalidRequestError
from voyage_rag.jobs.errors import JobError
from voyage_rag.jobs.inputs import InputReader, Row
from voyage_rag.settings import Settings
from voyage_rag.types import Vector
from voyage_rag.usage import Usage

STATUSES_OF_A_ROW = {400, 413, 422}
"""Statuses of a response that may concern a single text."""

MAX_EARLY_REFUSALS = 10
"""Maximum number of rejected single rows before any success. More rejections cannot all be caused
by the rows.
"""

ROWS_PER_CHECK = 64
"""Number of rows to read between checks of their file's modification time."""

FILE_OVERHEAD = 1.02
"""Disk space of files relative to their vectors."""


class JobRun:
    """One run of a job, whose folder this process has locked.

    Attributes:
        batch_size: Maximum number of texts per request; None uses the limits of the model.
        is_embedded: Whether all vectors are stored.
    """

    _reader: InputReader
    _manifest: Manifest
    _schema: OutputSchema
    _output: Output

    def __init__(
        self, spec: JobSpec, settings: Settings, folder: JobFolder, on_progress: OnProgress | None
    ) -> None:
        self.batch_size = spec.options.batch_size
        self.is_embedded: bool = False
        self._spec, self._options = spec, spec.options
        self._settings = settings
        self._folder = folder
        self._price = partial(self._options.row.cost, engine=self._options.engine)
        self._reporter = JobReporter(on_progress, self._price)
        self._began = time.monotonic()
        self._was_finished = False
        self._refusals = 0
        self._store: ResultStore | None = None
        self._closing = ExitStack()

    def prepare(self) -> None:
        """Determine the state of the job, and create it if necessary.

        Raises:
            JobError: The job cannot start or resume. Nothing was changed.
            BadRowsError: Rows cannot be embedded, and `on_error` is `stop`.
        """
        folder = self._folder
        preparation = Preparation(
            self._spec, folder, folder, self._reporter, self._settings.tokenizer
        )
        self._reader, self._manifest, is_resumed = preparation.prepare(
            self._settings.host.cache_scope, rescan=False
        )
        if not is_resumed:
            folder.begin()
        self._check_unchanged()
        self._schema = self._options.output_schema(self._manifest.summary)
        if self._manifest.state == "finished":
            self.is_embedded = self._was_finished = True
            return
        if self._manifest.state == "assembling" and self._is_in_place():
            self._conclude()
            self.is_embedded = True
            return
        if folder.refused_while_scanning.exists():  # the same rows, perhaps of renamed files
            folder.refused_while_scanning.replace(folder.refused_at_scan)
        self._output = open_output(
            self._spec.form, self._spec.output, folder.unfinished, self._schema
        )
        self._closing.callback(self._output.close)
        self._open_store()

    def _is_in_place(self) -> bool:
        """Return whether the output is a complete folder that the manifest does not record yet."""
        is_folder = self._spec.form == "dataset" and self._spec.output.is_dir()
        return is_folder and not self._folder.unfinished.exists()

    def _open_store(self) -> None:
        rows = self._manifest.summary.rows
        if self._options.engine == "batch":  # it returns a result for each row
            self._folder.repeats.unlink(missing_ok=True)
        self._store = ResultStore(
            self._folder.journals,
            rows,
            self._options.rows_per_part,
            self._schema,
            self._manifest.length,
            self._output,
            repeats := RepeatedTexts(self._folder.repeats),
        )
        self._closing.callback(self._store.close)
        check_disk_space(self._folder.path, self._bytes_needed(self._store, len(repeats)))
        self._folder.write(self._manifest)
        self._reporter.begin("embedding", rows, self._store.rows_done, self._store.tokens)

    def _bytes_needed(self, store: ResultStore, repeats: int) -> float:
        """Return the additional disk space for journals, repeated vectors and the output."""
        rows, length = self._manifest.summary.rows, store.length or 0
        left = rows - store.rows_done
        in_journals, in_output = left, rows
        if not self._output.journals_remain:
            in_journals, in_output = min(left, 2 * self._options.rows_per_part), left
        in_journals += repeats
        written = in_output * self._schema.bytes_in(self._spec.form, length)
        return (in_journals * self._schema.vector_bytes(length) + written) * FILE_OVERHEAD

    def _check_unchanged(self) -> None:
        try:
            identity = self._reader.identity()
        except OSError:
            identity = ""
        if identity != self._manifest.input:
            raise JobError(
                "the input changed while it was read: run the job again, which resumes if the rows "
                "are the same, or pass a copy that does not change"
            )

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the client, except the texts."""
        return self._options.request

    @property
    def batch_file(self) -> Path:
        """The state file of the job with the Batch API."""
        self._folder.batch.parent.mkdir(exist_ok=True)
        return self._folder.batch

    @property
    def store(self) -> ResultStore:
        """The vectors, after the run is prepared."""
        assert self._store is not None  # noqa: S101 - `prepare` opens it
        return self._store

    def all_texts(self) -> Iterator[str]:
        """Yield all texts, with or without a vector."""
        self._reporter.begin("waiting", self._manifest.summary.rows)
        for row in self._rows(0):
            yield row.text

    def waited(self, done: int) -> None:
        """Report the number of texts that the Batch API has completed."""
        self._reporter.set_done(done)

    def texts(self) -> Iterator[str]:
        """Yield the texts without a vector."""
        first = self.store.first_unwritten
        yield from self.store.texts(self._rows(first), first)

    def add(self, positions: Sequence[int], vectors: Sequence[Vector], usage: Usage) -> None:
        """Store the vectors of texts by their positions in the output of `texts`."""
        stored = self.store.add(positions, vectors, usage.total_tokens)
        self._reporter.add(stored, usage.total_tokens)

    def refused(self, error: InvalidRequestError) -> None:
        """Find the row that made the service reject a request, and skip it.

        Raises:
            JobError: `on_error` is `stop`, or the error does not concern a row.
        """
        store = self.store
        rows = [store.row_of(position) for position in error.indices]
        has_results = store.has_new_vectors or store.rows_done > 0
        about_a_row = error.http_status in STATUSES_OF_A_ROW and rows
        hopeless = self._refusals >= MAX_EARLY_REFUSALS and not store.has_new_vectors
        if self._options.on_error == "stop" or not about_a_row or hopeless:
            raise JobError(self._message(error, rows, blamed=has_results)) from error
        if len(rows) > 1:
            self.batch_size = max(1, len(rows) // 8)
        else:
            self._skip(rows[0], f"the service rejected it: {error.message}")
            self.batch_size = self._options.batch_size
        store.restart()

    def fetching(self) -> None:
        """Report that the Batch API has finished."""
        self._reporter.begin("embedding", self._manifest.summary.rows, self.store.rows_done)

    def refused_in_batch(self, number: int, message: str) -> None:
        """Skip a row that the Batch API rejected.

        Raises:
            JobError: `on_error` is `stop`.
        """
        if self._options.on_error == "stop":
            raise JobError(
                f"the service rejected {self._where(number)}: {message} Skip such rows with "
                "on_error='skip'; finished vectors are kept"
            )
        self._skip(number, f"the service rejected it: {message}")

    def _rows(self, first: int) -> Iterator[Row]:
        rows = rows_to_embed(self._reader, self._folder.refused_at_scan, first)
        try:
            while chunk := list(islice(rows, ROWS_PER_CHECK)):
                if self._reader.has_changed(chunk):  # before any of these rows is sent
                    self._check_unchanged()
                yield from chunk
        except (JobError, OSError):
            self._check_unchanged()
            raise

    def _skip(self, number: int, reason: str) -> None:
        row = next(self._rows(number))
        with self._folder.refused_later.open("a", encoding="utf-8") as side:
            side.write(refused_line(number, row, reason))
        self.store.refuse(number)
        self._refusals += 1
        self._reporter.add(1)

    def _message(self, error: InvalidRequestError, rows: list[int], *, blamed: bool) -> str:
        if not rows:
            return error.message
        first = self._where(rows[0])
        others = f" and the {len(rows) - 1:,} after it" if len(rows) > 1 else ""
        if not blamed and others:
            return f"the service rejected the first request ({first}{others}): {error.message}"
        among = f" or one of the {len(rows) - 1:,} after it" if len(rows) > 1 else ""
        return (
            f"the service rejected {first}{among}: {error.message} Correct the option, or skip "
            "such rows with on_error='skip'; finished vectors are kept"
        )

    def _where(self, number: int) -> str:
        return self._reader.where(next(self._rows(number)))

    def finish(self) -> JobReport:
        """Write the output after all vectors are stored, and describe the run."""
        if self._manifest.state != "finished":
            self._assemble()
            self._conclude()
        return self._report()

    def _assemble(self) -> None:
        store, manifest = self.store, self._manifest
        self._check_unchanged()
        if store.first_unwritten < manifest.summary.rows:
            raise JobError("some rows have no vector yet: run the job again")
        manifest.state = "assembling"
        manifest.length = store.length
        manifest.report = {"tokens": store.tokens, "requests": store.requests}
        if manifest.refused_file is None and self._has_refused():
            manifest.refused_file = str(free_side_file(self._spec.output))
        self._folder.write(manifest)
        self._reporter.begin("writing", manifest.summary.rows)
        check_not_overwritten(self._spec)
        self._output.finish(store.length or 0)

    def _report(self) -> JobReport:
        found, summary = self._manifest.report, self._manifest.summary
        refused_file = self._manifest.refused_file if found["refused"] else None
        return JobReport(
            output=self._spec.output,
            texts=found["texts"],
            refused=found["refused"],
            refused_file=None if refused_file is None else Path(refused_file),
            tokens=found["tokens"],
            requests=found["requests"],
            dollars=self._price(found["tokens"]),
            seconds=time.monotonic() - self._began,
            was_finished=self._was_finished,
            files=summary.files,
            unread=summary.unread,
            damaged=len(summary.damaged),
        )

    def close(self) -> None:
        """Close all files, and discard a job without any stored vector."""
        self._closing.close()
        if self._store is None or self._store.rows_done or self._store.has_new_vectors:
            return
        if self._manifest.state == "embedding" and not self._folder.batch.exists():
            self._folder.discard()

    def _conclude(self) -> None:
        refused, summary = self._write_refused(), self._manifest.summary
        texts = summary.rows + summary.refused - refused
        self._manifest.report |= {"texts": texts, "refused": refused}
        self._manifest.state = "finished"
        self._manifest.output = fingerprint(self._spec.output, self._spec.form)
        self._folder.write(self._manifest)
        self._folder.discard_work()

    def _has_refused(self) -> bool:
        return self._manifest.summary.refused > 0 or self._folder.refused_later.exists()

    def _write_refused(self) -> int:
        """Write the side file if there are rejected rows, and return their number."""
        if self._manifest.refused_file is None:
            return 0
        path = Path(self._manifest.refused_file)
        if not self._has_refused():
            path.unlink(missing_ok=True)
            return 0
        return write_side_file(path, self._reader, self._folder)
