"""`voyage.batches`: batches at the service."""

from __future__ import annotations

from contextlib import ExitStack, aclosing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeAlias
from uuid import uuid4

from voyage_rag.core.jobs import batches, files
from voyage_rag.core.jobs.batches import BatchRequest, PollSchedule
from voyage_rag.core.jobs.results import in_input_order
from voyage_rag.errors import InvalidInputError
from voyage_rag.io.tasks import iterate_in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
    from typing import Any

    from voyage_rag.core.jobs.sending import JobContext
    from voyage_rag.io.driver import Driver
    from voyage_rag.records import Batch, BatchLine

    BatchList: TypeAlias = list[Batch]  # where `list` is a verb


class Batches:
    """Batches of the account (docs: "Batches" in the API reference).

    These methods correspond to the API: one file, one batch. `voyage_rag.batch.BatchJob` takes any
    number of inputs, across many batches and processes. Every method has an async variant with an
    `a` before its name; that of `wait` is `await_`. All raise a `VoyageError` if the service did
    not return a usable response, and `InvalidInputError` before anything is sent if an argument is
    invalid.
    """

    def __init__(self, driver: Driver, context: JobContext) -> None:
        self._driver = driver
        self._context = context

    def create(
        self,
        endpoint: str,
        input_file_id: str,
        request_params: Mapping[str, Any],
        metadata: Mapping[str, str] | None = None,
    ) -> Batch:
        """Create a batch, once: the request is repeated only if the service cannot have seen it.

        If the response is lost, the batch is looked up by a mark that is added to its metadata.

        Args:
            endpoint: `/v1/embeddings`, `/v1/contextualizedembeddings` or `/v1/rerank`.
            input_file_id: An uploaded file.
            request_params: `model`, and the endpoint's options, for all lines.
            metadata: Up to 15 pairs of your own; keys of up to 64 characters, values of up to 512.

        Raises:
            RateLimitError: The account has its maximum in progress: 100 batches or a billion
                tokens (docs: "Batch Inference").
            APIConnectionError: There was no response, and no such batch was found in a minute.
        """
        request = _batch_request(endpoint, input_file_id, request_params, metadata)
        return self._driver.run(batches.create(self._context, request))

    async def acreate(
        self,
        endpoint: str,
        input_file_id: str,
        request_params: Mapping[str, Any],
        metadata: Mapping[str, str] | None = None,
    ) -> Batch:
        """Async variant of `create`."""
        request = _batch_request(endpoint, input_file_id, request_params, metadata)
        return await self._driver.arun(batches.create(self._context, request))

    def get(self, batch_id: str) -> Batch:
        """Describe a batch as it is now."""
        return self._driver.run(batches.get(self._context, batch_id))

    async def aget(self, batch_id: str) -> Batch:
        """Async variant of `get`."""
        return await self._driver.arun(batches.get(self._context, batch_id))

    def list(self, *, limit: int | None = None) -> BatchList:
        """The account's batches, newest first.

        Args:
            limit: The most batches to return; None for all.
        """
        return self._driver.run(batches.list_all(self._context, limit))

    async def alist(self, *, limit: int | None = None) -> BatchList:
        """Async variant of `list`."""
        return await self._driver.arun(batches.list_all(self._context, limit))

    def cancel(self, batch_id: str) -> Batch:
        """Cancel a batch that is being validated or in progress; takes up to ten minutes."""
        return self._driver.run(batches.cancel(self._context, batch_id))

    async def acancel(self, batch_id: str) -> Batch:
        """Async variant of `cancel`."""
        return await self._driver.arun(batches.cancel(self._context, batch_id))

    def wait(
        self,
        batch_id: str,
        *,
        timeout: float | None = None,
        poll_interval: float = 60.0,
        on_progress: Callable[[Batch], object] | None = None,
    ) -> Batch:
        """Wait until a batch has ended, successfully or not.

        Polls are two seconds apart at first, `poll_interval` in the end. Outages of the service of
        up to an hour are tolerated.

        Args:
            batch_id: The batch.
            timeout: Seconds to wait, None for no limit.
            poll_interval: The most seconds between two polls.
            on_progress: Called after every poll.

        Raises:
            Timeout: It has not ended in time. The service continues to work on it: wait again.
        """
        schedule = PollSchedule(timeout, poll_interval)
        return self._driver.run(batches.wait(self._context, batch_id, schedule, on_progress))

    async def await_(
        self,
        batch_id: str,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - as `wait`
        poll_interval: float = 60.0,
        on_progress: Callable[[Batch], object] | None = None,
    ) -> Batch:
        """Async variant of `wait`."""
        schedule = PollSchedule(timeout, poll_interval)
        return await self._driver.arun(batches.wait(self._context, batch_id, schedule, on_progress))

    def results(self, batch_id: str) -> Iterator[BatchLine]:
        """Yield the result of each line, in the order of the input.

        Input, output and error file are downloaded into a temporary directory and read line by
        line. A failed line comes with its input.

        Raises:
            InvalidInputError: The batch has not ended.
        """
        batch = self.get(batch_id)
        with TemporaryDirectory(prefix="voyage-rag-") as directory, ExitStack() as opened:
            flow = files.download_all(self._context, _files_of(batch), directory)
            lines, *results = [
                opened.enter_context(Path(path).open("rb")) for path in self._driver.run(flow)
            ]
            yield from in_input_order(lines, results)

    async def aresults(self, batch_id: str) -> AsyncGenerator[BatchLine]:
        """Async variant of `results`. Files are read in threads."""
        batch = await self.aget(batch_id)
        with TemporaryDirectory(prefix="voyage-rag-") as directory, ExitStack() as opened:
            flow = files.download_all(self._context, _files_of(batch), directory)
            lines, *results = [
                opened.enter_context(Path(path).open("rb"))  # noqa: ASYNC230 - opening is quick
                for path in await self._driver.arun(flow)
            ]
            async with aclosing(iterate_in_thread(in_input_order(lines, results))) as found:
                async for line in found:
                    yield line


def _batch_request(
    endpoint: str,
    input_file_id: str,
    request_params: Mapping[str, Any],
    metadata: Mapping[str, str] | None,
) -> BatchRequest:
    return BatchRequest(endpoint, input_file_id, request_params, metadata or {}, uuid4().hex)


def _files_of(batch: Batch) -> list[str]:
    """The ids of the batch's files, the input first."""
    if not batch.has_ended:
        raise InvalidInputError(
            f"batch {batch.id} is {batch.status}: its results are available once it "
            "has ended; wait for it first"
        )
    results = (batch.output_file_id, batch.error_file_id)
    return [batch.input_file_id, *(file_id for file_id in results if file_id is not None)]
