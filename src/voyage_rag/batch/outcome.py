"""Return the results of a job, part by part, in the order of its inputs.

The files of a part are downloaded to a directory next to the job, read line by line, and removed.
"""

from __future__ import annotations

import tempfile
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from itertools import count
from math import inf
from pathlib import Path

from voyage_rag.batch.endpoints import BatchEndpoint
from voyage_rag.batch.state import BatchPart
from voyage_rag.batch.submission import Line, encoded, write_parts
from voyage_rag.batch.types import BatchResult
from voyage_rag.batch.workflow import NOT_FOUND, BatchWorkflow
from voyage_rag.core.context import estimate_tokens
from voyage_rag.core.flow import Flow, offload
from voyage_rag.core.jobs import files
from voyage_rag.core.jobs.results import in_input_order
from voyage_rag.errors import InvalidInputError, InvalidRequestError

UNFINISHED, PENDING = "unfinished", "pending"


@contextmanager
def directory_of(workflow: BatchWorkflow) -> Iterator[str]:
    """Create a private directory next to the job, on the same disk."""
    path = workflow.file.path
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as directory:
        yield directory


def fetch(workflow: BatchWorkflow, part: BatchPart, directory: str) -> Flow[list[Path]]:
    """Download the files of a part and of its resubmitted inputs; the input file is first.

    Raises:
        InvalidInputError: A file was deleted.
    """
    waiting = workflow.file.spooled(part)
    is_here = yield from offload(waiting.exists)
    if not is_here and part.file_id is None:
        raise workflow.file.missing(part)
    ids = [] if is_here or part.file_id is None else [part.file_id]
    for attempt in workflow.attempts_of(part):
        ids += [file_id for file_id in (attempt.output_file_id, attempt.error_file_id) if file_id]
    try:
        paths = yield from files.download_all(workflow.context, ids, directory)
    except InvalidRequestError as error:
        if error.http_status != NOT_FOUND:
            raise
        raise InvalidInputError(
            f"the service no longer has all files of batch {part.number + 1} "
            f"({', '.join(ids)}): it keeps files for 30 days. `voyage.files` can download those "
            "that still exist; otherwise, submit the inputs as another job, which is billed again"
        ) from error
    return [waiting] * is_here + [Path(path) for path in paths]


def results_of(
    workflow: BatchWorkflow, kind: BatchEndpoint, part: BatchPart, fetched: Sequence[Path]
) -> Iterator[BatchResult]:
    """Yield the result of each input of a part, in order."""
    stored: dict[int, BatchResult] = {}
    repeats = deque(part.repeats)
    awaited = Counter(repeat.equals for repeat in repeats)

    def before(index: float) -> Iterator[BatchResult]:
        while repeats and repeats[0].index < index:
            repeat = repeats.popleft()
            first = stored[repeat.equals]
            awaited[repeat.equals] -= 1
            if not awaited[repeat.equals]:
                del stored[repeat.equals]
            yield replace(first, index=repeat.index, custom_id=repeat.custom_id, total_tokens=0)

    for result in _line_results(workflow, kind, part, fetched):
        yield from before(result.index)
        if awaited[result.index]:
            stored[result.index] = result
        yield result
    yield from before(inf)


def _line_results(
    workflow: BatchWorkflow, kind: BatchEndpoint, part: BatchPart, fetched: Sequence[Path]
) -> Iterator[BatchResult]:
    repeated = {repeat.index for repeat in part.repeats}
    indexes = (index for index in count(part.first) if index not in repeated)
    has_ended = all(attempt in workflow.ended for attempt in workflow.attempts_of(part))
    with ExitStack() as opened:
        lines, *answers = [opened.enter_context(path.open("rb")) for path in fetched]
        for index, line in zip(indexes, in_input_order(lines, answers), strict=False):
            result = kind.result(index, line)
            failure = result.failure
            if failure is not None and failure.code == UNFINISHED and not has_ended:
                failure = replace(failure, code=PENDING, message="its batch has not ended")
                result = replace(result, failure=failure)
            yield result


def resubmit(
    workflow: BatchWorkflow, kind: BatchEndpoint, directory: str, include_refused: bool
) -> Flow[int]:
    """Create new batches of the failed inputs, and return the number of inputs."""
    yield from workflow.refresh()
    submitted = 0
    for part in workflow.state.own_parts:
        if workflow.may_have_failed(part):
            fetched = yield from fetch(workflow, part, directory)
            results = _line_results(workflow, kind, part, fetched)
            lines = _failed_lines(results, include_refused=include_refused)
            made = yield from offload(partial(_spooled, workflow, part, lines))
            workflow.state.parts += made
            submitted += sum(other.inputs for other in made)
            yield from offload(partial(remove, fetched, workflow.file.spooled(part)))
    yield from offload(partial(workflow.file.save, workflow.state))
    yield from workflow.advance()
    return submitted


def _failed_lines(results: Iterable[BatchResult], *, include_refused: bool) -> Iterator[Line]:
    """Yield the unchanged lines that may succeed if they are submitted again."""
    for result in results:
        failure = result.failure
        if failure is not None and (include_refused or not failure.is_refused):
            line = encoded(result.custom_id, dict(failure.input))
            yield Line(line, estimate_tokens(line.decode()))


def _spooled(workflow: BatchWorkflow, part: BatchPart, lines: Iterator[Line]) -> list[BatchPart]:
    directory = workflow.file.make_spool()
    number = len(workflow.state.parts)
    made = list(write_parts(lines, workflow.limits, directory, number))
    return [other.model_copy(update={"first": part.first, "again": part.number}) for other in made]


def remove(fetched: Sequence[Path], keep: Path) -> None:
    """Delete the files of a part."""
    for path in fetched:
        if path != keep:
            path.unlink(missing_ok=True)
