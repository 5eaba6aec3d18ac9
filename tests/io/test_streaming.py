"""Texts are embedded as they arrive: in order, not far ahead of the consumer, until a break."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from itertools import islice
from typing import Any

import anyio
import pytest

from fakes import MODEL, FakeService, failed, served, vector_of, voyage_over
from voyage_rag import Voyage
from voyage_rag.errors import InvalidInputError, InvalidRequestError
from voyage_rag.hosts.messages import Response
from voyage_rag.usage import Usage


def stream(
    runner: Any, voyage: Voyage, texts: Any, most: int | None = None, **options: Any
) -> tuple[list[list[float]], Exception | None]:
    """The first vectors of a stream, and the error that ended it."""
    given: list[list[float]] = []

    async def program() -> None:
        if runner.is_sync:
            vectors = voyage.embed_iter(texts, MODEL, **options)
            given.extend(vector.tolist() for vector in islice(vectors, most))
            vectors.close()
            return
        stream = voyage.aembed_iter(texts, MODEL, **options)
        try:
            while most is None or len(given) < most:
                try:
                    given.append((await anext(stream)).tolist())
                except StopAsyncIteration:
                    return
        finally:
            await stream.aclose()

    try:
        runner.run(program)
    except Exception as error:  # noqa: BLE001 - passed to the test
        return given, error
    return given, None


@pytest.mark.parametrize("batch_size", [None, 1, 7])
def test_vectors_come_in_the_order_of_the_texts(runner, batch_size: int | None) -> None:
    """One per text, from any iterable; the object's usage counts them."""
    texts = [f"text {number}" for number in range(100)]
    voyage = voyage_over(FakeService(), concurrency=3)

    given, error = stream(runner, voyage, iter(texts), batch_size=batch_size)

    assert ([vector_of(text) for text in texts], None) == (given, error)
    assert sum(map(len, texts)) == voyage.usage.total_tokens


@pytest.mark.parametrize("concurrency", [1, 4])
def test_an_endless_stream_is_not_read_far_ahead(runner, concurrency: int) -> None:
    """Memory is bounded by what is in flight: 4 × concurrency requests at most."""
    taken = []

    def endless() -> Iterator[str]:
        for number in range(10**9):
            taken.append(number)
            yield f"text {number}"

    voyage = voyage_over(FakeService(), concurrency=concurrency)
    given, error = stream(runner, voyage, endless(), 50, batch_size=5)

    assert ([vector_of(f"text {number}") for number in range(50)], None) == (given, error)
    assert len(taken) <= 50 + (4 * concurrency + 2) * 5


def test_vectors_before_a_failure_come_first(runner) -> None:
    """Then the error of the service or of the caller's iterator is raised unchanged."""

    def always(body: bytes) -> Response:
        return failed(400) if "text 8" in json.loads(body)["input"] else served(body)

    def breaking() -> Iterator[str]:
        yield from ("text 0", "text 1", "text 2")
        raise ZeroDivisionError

    texts = [f"text {number}" for number in range(20)]
    voyage = voyage_over(FakeService(always=always), concurrency=2)

    given, error = stream(runner, voyage, texts, batch_size=2)
    assert [vector_of(text) for text in texts[:8]] == given
    assert (InvalidRequestError, (8, 9)) == (type(error), error.indices)

    given, error = stream(runner, voyage, breaking(), batch_size=1)
    assert [vector_of(text) for text in texts[:2]] == given[:2]
    assert ZeroDivisionError is type(error)


def test_a_lone_string_is_one_text(runner) -> None:
    """It is not a stream of letters, as for `embed`; a missing input is refused."""
    service = FakeService()
    voyage = voyage_over(service)

    assert ([vector_of("abc")], None) == stream(runner, voyage, "abc")
    assert isinstance(stream(runner, voyage, None)[1], InvalidInputError)
    assert len(service.attempts) == 1


def test_a_break_ends_the_threads() -> None:
    """A consumer that stops leaves nothing behind."""
    voyage = voyage_over(FakeService(), concurrency=4)

    texts = (f"text {number}" for number in range(10**9))
    for _ in voyage.embed_iter(texts, MODEL, batch_size=1):
        break

    for thread in threading.enumerate():
        if thread.name.startswith("voyage-rag"):
            thread.join(5)
            assert not thread.is_alive()
    assert voyage.usage != Usage()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_stream_may_be_consumed_under_a_timeout(backend: str) -> None:
    """Tasks that work ahead do not belong to the caller's cancel scope, and end with the stream."""

    async def program() -> list[list[float]]:
        given = []
        stream = voyage_over(FakeService(), concurrency=3).aembed_iter(
            (f"text {number}" for number in range(10**9)), MODEL, batch_size=1
        )
        for _ in range(10):
            with anyio.fail_after(5):
                given.append((await anext(stream)).tolist())
        await stream.aclose()
        return given

    assert [vector_of(f"text {number}") for number in range(10)] == anyio.run(
        program, backend=backend
    )


def test_requests_leave_while_the_consumer_thinks() -> None:
    """The thread that has read a response sends the next request."""
    arrived = threading.Semaphore(0)

    def always(body: bytes) -> Response:
        arrived.release()
        return served(body)

    voyage = voyage_over(FakeService(always=always), concurrency=1)
    vectors = voyage.embed_iter(["a", "b", "c"], MODEL, batch_size=1)
    next(vectors)

    assert all(arrived.acquire(timeout=10) for _ in range(2))
    vectors.close()
