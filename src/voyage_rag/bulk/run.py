"""One run of a job, from the state it was left in to the next."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from heapq import merge
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voyage_rag.bulk.errors import JobError
from voyage_rag.bulk.estimate import BATCH_DISCOUNT
from voyage_rag.bulk.folder import JobFolder, Manifest
from voyage_rag.bulk.making import open_output
from voyage_rag.bulk.planning import opened, planned
from voyage_rag.bulk.progress import JobReport, ProgressReporter, price_of
from voyage_rag.bulk.resuming import (
    is_resumed,
    refuse_bad_rows,
    refuse_full_disk,
    refuse_to_overwrite,
)
from voyage_rag.bulk.scan import Refused, kept_rows, read_refused
from voyage_rag.bulk.store import Store
from voyage_rag.bulk.tables import Shape, whole
from voyage_rag.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voyage_rag.bulk.options import JobOptions
    from voyage_rag.bulk.outputs import Output, OutputFormat
    from voyage_rag.bulk.progress import OnProgress
    from voyage_rag.bulk.sources.source import Source
    from voyage_rag.settings import Settings
    from voyage_rag.types import Usage, Vector

ABOUT_A_ROW = {400, 413, 422}
"""Statuses of a refusal that may be for one of the texts."""

HOPELESS = 10
"""Refusals, one row at a time and before any success, that cannot all be the rows' fault."""

ROOM = 1.02
"""What files need besides the vectors."""


class Run:
    """One run of a job.

    Args:
        input: The file or folder, or `-`.
        output: The file or folder to make.
        form: What to make of it.
        options: What the job was told.
        settings: Those of the client.
        folder: The job's folder, which this process alone works on.
        on_progress: Told how far it is.

    Attributes:
        batch_size: Most texts in a request, None for as many as go.
        is_embedded: Whether all vectors are there.
    """

    def __init__(
        self,
        input: Path,  # noqa: A002 - what it is called everywhere
        output: Path,
        form: OutputFormat,
        options: JobOptions,
        settings: Settings,
        folder: JobFolder,
        on_progress: OnProgress | None,
    ) -> None:
        self.batch_size = options.batch_size
        self.is_embedded = False
        self._input = input
        self._path = output
        self._form = form
        self._options = options
        self._settings = settings
        self._folder = folder
        discount = BATCH_DISCOUNT if options.engine == "batch" else 0.0
        self._price = price_of(options.row, discount=discount)
        self._telling = ProgressReporter(on_progress, self._price)
        self._began = time.monotonic()
        self._has_taken = self._was_finished = False
        self._refusals = 0
        self._manifest: Manifest
        self._source: Source
        self._output: Output
        self._store: Store
        self._closing = ExitStack()

    # ── before ────────────────────────────────────────────────────────────────────────────────────

    def prepare(self) -> None:
        """Look where the job stands, and begin it if it was not begun.

        Raises:
            JobError: It cannot be begun or resumed. Nothing was changed.
            BadRowsError: The input holds bad rows, and these are not to be skipped.
        """
        self._source, identity = opened(self._input, self._options, self._folder)
        told = self._options.of_the_vectors() | {
            "host": self._settings.host.cache_scope,
            "form": self._form,
        }
        begun = self._folder.read()
        overwrite = self._options.overwrite
        if begun and is_resumed(begun, told, identity, self._path, self._folder, overwrite):
            self._manifest = begun
            refuse_bad_rows(begun.plan, self._options.on_error)
        else:
            refuse_to_overwrite(self._path, overwrite)
            plan = planned(self._source, self._settings.tokenizer, self._folder, self._telling)
            refuse_bad_rows(plan, self._options.on_error)
            self._folder.begin()
            self._manifest = Manifest(told, identity, plan, length=self._options.length)
        if self._manifest.state == "finished":
            self.is_embedded = self._was_finished = True
            return
        self._output = open_output(self._form, self._path, self._folder, self._shape())
        self._closing.callback(self._output.close)
        if self._manifest.state == "assembling" and self._output.is_finished():
            self._conclude()
            self.is_embedded = True
        else:
            self._open_store()

    def _shape(self) -> Shape:
        options = self._options
        made_with = {
            "model": options.row.name,
            "input_type": options.input_type,
            "truncation": options.truncation,
            "output_dtype": options.output_dtype,
            "output_dimension": options.output_dimension,
        }
        return Shape(self._manifest.plan.ids, options.output_dtype, made_with)

    def _open_store(self) -> None:
        self._store = Store(
            self._folder.journals,
            self._manifest.plan.rows,
            self._options.rows_per_part,
            self._shape(),
            self._manifest.length,
            self._output,
        )
        self._closing.callback(self._store.close)
        refuse_full_disk(self._folder.path, self._bytes_to_come())
        self._folder.write(self._manifest)
        rows, done = self._manifest.plan.rows, self._store.rows_done
        self._telling.begin("embedding", rows, done, self._store.tokens)

    def _bytes_to_come(self) -> float:
        """What files will take besides what is there: journals, and the output."""
        rows = self._manifest.plan.rows
        left = rows - self._store.rows_done
        if self._output.copies == 1:
            more = left + min(left, 2 * self._options.rows_per_part)
        else:
            more = left + rows
        return more * self._shape().bytes_of(self._store.length or 0) * ROOM

    # ── meanwhile ─────────────────────────────────────────────────────────────────────────────────

    @property
    def arguments(self) -> dict[str, Any]:
        """What the client is told besides the texts."""
        return {
            "model": self._options.model,
            "input_type": self._options.input_type,
            "truncation": self._options.truncation,
            "output_dtype": self._options.output_dtype,
            "output_dimension": self._options.output_dimension,
        }

    @property
    def batch_file(self) -> Path:
        """The state of the job at the batch engine."""
        self._folder.batch.parent.mkdir(exist_ok=True)
        return self._folder.batch

    def all_texts(self) -> Iterator[str]:
        """Whether they have vectors or not."""
        self._telling.begin("waiting", self._manifest.plan.rows)
        for row in kept_rows(self._source, self._folder.refused_at_scan, 0):
            yield row.text

    def waited(self, done: int) -> None:
        """The batch engine has done so many texts."""
        self._telling.now(done)

    def texts(self) -> Iterator[str]:
        """The texts that still have no vector."""
        first = self._store.first_untaken
        rows = kept_rows(self._source, self._folder.refused_at_scan, first)
        yield from self._store.texts(rows, first)

    def take(self, positions: Sequence[int], vectors: Sequence[Vector], usage: Usage) -> None:
        """Keep an answer: vectors of texts by their positions among those that `texts` gave."""
        self._store.add(positions, vectors, usage.total_tokens)
        self._has_taken = True
        self._telling.more(len(positions), usage.total_tokens)

    def refused(self, error: InvalidRequestError) -> None:
        """The service refused a request: find the row that is to blame, and leave it out.

        Raises:
            JobError: Rows are not to be skipped, or it is not about a row.
        """
        rows = [self._store.row_of(position) for position in error.indices]
        about_a_row = error.http_status in ABOUT_A_ROW and rows
        hopeless = self._refusals >= HOPELESS and not self._has_taken
        if hopeless and not self._store.rows_done:  # they were not to blame
            self._closing.callback(self._folder.forget_vectors)
        if self._options.on_error == "stop" or not about_a_row or hopeless:
            raise JobError(self._told_of(error, rows)) from error
        if len(rows) > 1:
            self.batch_size = max(1, len(rows) // 8)
        else:
            self._leave_out(rows[0], f"the service refused it: {error.message}")
            self.batch_size = self._options.batch_size
        self._store.begin_anew()

    def row_of(self, sent: int) -> int:
        """The row of a text by its position among those that `texts` gave."""
        return self._store.row_of(sent)

    def fetching(self) -> None:
        """The batch engine is done."""
        self._telling.begin("embedding", self._manifest.plan.rows, self._store.rows_done)

    def refused_in_batch(self, number: int, message: str) -> None:
        """The batch engine refused a row: leave it out.

        Raises:
            JobError: Rows are not to be skipped.
        """
        if self._options.on_error == "stop":
            row = next(kept_rows(self._source, self._folder.refused_at_scan, number))
            raise JobError(
                f"the service refused {self._source.where(row)}: {message} What is finished is "
                "kept: skip such rows with on_error skip"
            )
        self._leave_out(number, f"the service refused it: {message}")

    def _leave_out(self, number: int, reason: str) -> None:
        row = next(kept_rows(self._source, self._folder.refused_at_scan, number))
        with self._folder.refused_later.open("a", encoding="utf-8") as side:
            side.write(Refused(number, row, reason).line())
        self._store.refuse(number)
        self._refusals += 1
        self._telling.more(1)

    def _told_of(self, error: InvalidRequestError, rows: list[int]) -> str:
        if not rows:
            return error.message
        row = next(kept_rows(self._source, self._folder.refused_at_scan, rows[0]))
        among = f" or one of the {len(rows) - 1} after it" if len(rows) > 1 else ""
        return (
            f"the service refused {self._source.where(row)}{among}: {error.message} What is "
            "finished is kept: mend the option, or skip such rows with on_error skip"
        )

    # ── after ─────────────────────────────────────────────────────────────────────────────────────

    def finish(self) -> JobReport:
        """Make the output, once all vectors are there."""
        if self._manifest.state != "finished":
            if self._store.first_untaken < self._manifest.plan.rows:
                raise JobError("some rows have no vector yet: run the job again")
            self._manifest.state = "assembling"
            self._manifest.length = self._store.length
            self._folder.write(self._manifest)
            self._telling.begin("writing", self._manifest.plan.rows)
            self._output.finish(self._store.length or 0)
            self._conclude()
        told = self._manifest.report
        refused_file = told["refused_file"] and Path(told["refused_file"])
        return JobReport(
            output=self._path,
            texts=told["texts"],
            refused=told["refused"],
            refused_file=refused_file,
            tokens=told["tokens"],
            requests=told["requests"],
            dollars=self._price(told["tokens"]),
            seconds=time.monotonic() - self._began,
            was_finished=self._was_finished,
        )

    def close(self) -> None:
        """Let go of all files, however it went."""
        self._closing.close()

    def _conclude(self) -> None:
        spent, refused = self._output.spent, self._write_refused()
        plan = self._manifest.plan
        self._manifest.report = {
            "texts": plan.rows + plan.refused - refused,
            "refused": refused,
            "refused_file": str(self._refused_file) if refused else None,
            "tokens": spent.tokens,
            "requests": spent.requests,
        }
        self._manifest.state = "finished"
        self._folder.write(self._manifest)
        self._folder.forget_vectors()

    @property
    def _refused_file(self) -> Path:
        return self._path.with_name(self._path.name + ".refused.jsonl")

    def _write_refused(self) -> int:
        """Write the side file, if there is anything to write; how many rows it has."""
        later = {entry["position"]: entry for entry in read_refused(self._folder.refused_later)}
        entries = merge(
            read_refused(self._folder.refused_at_scan),
            sorted(later.values(), key=itemgetter("row")),
            key=itemgetter("row"),
        )
        count = 0
        with whole(self._refused_file) as path, path.open("w", encoding="utf-8") as side:
            for entry in entries:
                count += 1
                del entry["position"]
                side.write(json.dumps(entry) + "\n")
        if not count:
            self._refused_file.unlink()
        return count
