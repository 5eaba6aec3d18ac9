"""`voyage.batches`: batches at the service."""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import ExitStack, aclosing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias
from uuid import uuid4

from voyage_rag.core.jobs import batches, files
from voyage_rag.core.jobs.batches import BatchRequest, PollSchedule
from voyage_rag.core.jobs.results import in_input_order
from voyage_rag.core.jobs.sending import JobContext
from voyage_rag.errors import InvalidInputError
from voyage_rag.io.driver import Driver
from voyage_rag.io.tasks import iterate_in_thread
from voyage_rag.records import Batch, BatchLine

BatchList: TypeAlias = list[Batch]  # the method `list` would hide the built-in


class Batches:
    """The batches of the account (docs: "Batches" in the API reference).

    These methods map to the API directly: one file, one batch. To process any number of inputs
    across several batches and processes, use `voyage_rag.batch.BatchJob`.

    Each method has an async variant with the prefix `a`; the one of `wait` is `await_`. All methods
    raise `InvalidInputError` for an invalid argument before they send anything, and another
    `VoyageError` if the service does not return a usable response.
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
        """Create a batch exactly once.

        The request is sent again only if the service cannot have received it. If the response is
        lost, the client looks for the batch by a mark that it adds to the metadata.

        Args:
            endpoint: `/v1/embeddings`, `/v1/contextualizedembeddings` or `/v1/rerank`.
            input_file_id: The id of an uploaded file.
            request_params: `model` and the options of the endpoint, which apply to all lines.
            metadata: Up to 15 pairs. Keys have up to 64 characters, values up to 512.

        Raises:
            RateLimitError: The account has reached its limit of 100 batches or a billion tokens in
                progress (docs: "Batch Inference").
            APIConnectionError: There was no response, and no matching batch was found within a
                minute.
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
        """Return the current state of a batch."""
        return self._driver.run(batches.get(self._context, batch_id))

    async def aget(self, batch_id: str) -> Batch:
        """Async variant of `get`."""
        return await self._driver.arun(batches.get(self._context, batch_id))

    def list(self, *, limit: int | None = None) -> BatchList:
        """List the account's batches, newest first.

        Args:
            limit: Maximum number of batches. None returns all of them, from as many pages as
                needed.
        """
        return self._driver.run(batches.list_all(self._context, limit))

    async def alist(self, *, limit: int | None = None) -> BatchList:
        """Async variant of `list`."""
        return await self._driver.arun(batches.list_all(self._context, limit))

    def cancel(self, batch_id: str) -> Batch:
        """Cancel a batch that is being validated or processed. This takes up to ten minutes."""
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
        """Wait until a batch has ended, whether it succeeded or failed.

        The status is polled every two seconds at first, and less often later, up to every
        `poll_interval` seconds. Polling continues if the service is unavailable for up to an hour.

        Args:
            batch_id: The id of the batch.
            timeout: Seconds to wait. None waits without a limit.
            poll_interval: Maximum number of seconds between two requests.
            on_progress: Called with the batch after each request.

        Raises:
            Timeout: The batch did not end in time. It keeps running: call `wait` again.
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

        The input, output and error files are downloaded to a temporary directory and read line by
        line. The result of a failed line includes its input.

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
        """Async variant of `results`. A worker thread reads the files."""
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
    """Return the ids of the batch's files, the input file first."""
    if not batch.has_ended:
        raise InvalidInputError(
            f"batch {batch.id} is {batch.status}: its results are available after it has ended; "
            "wait for it first"
        )
    results = (batch.output_file_id, batch.error_file_id)
    return [batch.input_file_id, *(file_id for file_id in results if file_id is not None)]
