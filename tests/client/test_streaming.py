"""`embed_iter` and its async variant: any iterable, in order, a bounded way ahead."""

from __future__ import annotations

import itertools
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import aclosing
from functools import partial
from typing import Any

import anyio
import pytest

from conftest import Runner
from fakes import (
    FREE_TIER,
    KEY,
    MODEL,
    FakeClock,
    FakeService,
    HTTPService,
    failed,
    ok,
    served,
    vector_of,
    voyage_over,
)
from voyage_rag import InvalidInputError, InvalidRequestError, Voyage
from voyage_rag.core.text_stream import MAX_REPEATS, RECENT_TEXTS
from voyage_rag.hosts.messages import Response


def collect(runner: Runner, voyage: Voyage, texts: Any, **options: Any) -> list[list[float]]:
    """All vectors of an iterable, as lists."""
    if runner.is_sync:
        return [vector.tolist() for vector in voyage.embed_iter(texts, MODEL, **options)]

    async def program() -> list[list[float]]:
        async with aclosing(voyage.aembed_iter(texts, MODEL, **options)) as vectors:
            return [vector.tolist() async for vector in vectors]

    return anyio.run(program, backend=runner.name)


def test_a_generator_is_embedded_in_order(runner: Runner) -> None:
    """Vectors have the order of the texts, even if responses have another order."""
    count = 2_000

    vectors = collect(runner, voyage_over(FakeService()), (f"text {n}" for n in range(count)))

    assert [vector_of(f"text {n}") for n in range(count)] == vectors


def test_an_empty_iterable_sends_nothing(runner: Runner) -> None:
    """No texts, no requests, no vectors."""
    service = FakeService()

    assert collect(runner, voyage_over(service), iter(())) == []
    assert service.attempts == []


def test_an_endless_iterable_is_read_a_bounded_way_ahead() -> None:
    """After the first vector no more texts were taken than may be in flight."""
    taken = 0

    def texts() -> Iterator[str]:
        nonlocal taken
        for number in itertools.count():
            taken += 1
            yield f"text {number}"

    vectors = voyage_over(FakeService(), concurrency=2).embed_iter(texts(), MODEL, batch_size=10)
    assert vector_of("text 0") == next(vectors).tolist()
    vectors.close()

    assert taken <= 4 * 2 * 10 + 10 + 1


def test_a_failure_comes_after_the_vectors_before_it(runner: Runner) -> None:
    """The third request fails: twenty vectors, then the error with the positions."""
    texts = [f"text {number}" for number in range(60)]

    def answer(body: bytes) -> Response:
        return failed(400, "no") if "text 20" in json.loads(body)["input"] else served(body)

    voyage = voyage_over(FakeService(always=answer), concurrency=1)
    seen: list[list[float]] = []

    def program() -> None:
        for vector in voyage.embed_iter(texts, MODEL, batch_size=10):
            seen.append(vector.tolist())  # noqa: PERF401 - an error comes between

    async def aprogram() -> None:
        async with aclosing(voyage.aembed_iter(texts, MODEL, batch_size=10)) as vectors:
            async for vector in vectors:
                seen.append(vector.tolist())  # noqa: PERF401 - an error comes between

    with pytest.raises(InvalidRequestError) as caught:
        program() if runner.is_sync else anyio.run(aprogram, backend=runner.name)

    assert [vector_of(text) for text in texts[:20]] == seen
    assert tuple(range(20, 30)) == caught.value.indices


def test_a_text_that_cannot_be_embedded_is_named_when_it_comes(runner: Runner) -> None:
    """The position in the iterable is in the error."""
    texts = ["fine"] * 50 + [None]

    with pytest.raises(InvalidInputError, match=r"texts\[50\] must be a string, not NoneType"):
        collect(runner, voyage_over(FakeService()), texts)


def test_empty_texts_get_zero_vectors_where_asked(runner: Runner) -> None:
    """They are not sent, and keep their positions."""
    service = FakeService()

    vectors = collect(runner, voyage_over(service), ["a", "", "b"], empty_text="zeros")

    assert [vector_of("a"), [0.0, 0.0], vector_of("b")] == vectors
    assert [body["input"] for body in service.bodies] == [["a", "b"]]


def test_leaving_early_ends_what_is_in_flight(
    http_service: HTTPService, caplog: pytest.LogCaptureFixture
) -> None:
    """After a `break` during requests, no thread remains, and no retry is announced."""
    http_service.always = lambda body: (
        served(body) if b'"text 0"' in body else http_service.hang(body)
    )
    with Voyage(KEY, base_url=http_service.url, concurrency=4) as voyage:
        vectors = voyage.embed_iter((f"text {n}" for n in range(100)), MODEL, batch_size=10)
        next(vectors)
        http_service.wait_for(4)
        vectors.close()

        left = [t for t in threading.enumerate() if t.name.startswith("voyage-rag")]
        for thread in left:
            thread.join(1.0)
        assert not any(thread.is_alive() for thread in left)
    assert caplog.messages == []


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cancelling_ends_what_is_in_flight(http_service: HTTPService, backend: str) -> None:
    """A cancelled call returns immediately, and the client still works."""
    http_service.always = http_service.hang

    async def program() -> list[list[float]]:
        async with Voyage(KEY, base_url=http_service.url) as voyage:
            texts = [f"text {n}" for n in range(1_000)]
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(partial(voyage.aembed, texts, MODEL, batch_size=50))
                await anyio.to_thread.run_sync(http_service.wait_for, 16)
                cancelled_at = anyio.current_time()
                tasks.cancel_scope.cancel()
            assert anyio.current_time() - cancelled_at < 1.0
            http_service.always = served
            return (await voyage.aembed("again", MODEL)).embeddings

    assert [vector_of("again")] == anyio.run(program, backend=backend)


def test_the_free_tier_completes_and_says_how_long_it_takes(
    runner: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    """3 requests a minute: one warning gives the reason and the time, and all is embedded."""
    clock = FakeClock()
    taken: list[float] = []
    lock = threading.Lock()

    def answer(body: bytes) -> Response:
        with lock:
            now = clock.now()
            if sum(at > now - 60 for at in taken) >= 3:
                return failed(429, FREE_TIER)
            taken.append(now)
        return ok(json.loads(served(body).body) | {"usage": {"total_tokens": 2_000}})

    texts = [f"{number} " + "word " * 1_000 for number in range(20)]
    voyage = voyage_over(FakeService(always=answer), clock, concurrency=2)

    with caplog.at_level(logging.WARNING, "voyage_rag"):
        found = runner.call(voyage, "embed", texts, MODEL, batch_size=1)

    assert [vector_of(text) for text in texts] == found.embeddings
    (warning,) = [record.message for record in caplog.records if record.name == "voyage_rag"]
    assert "3 requests and 10,000 tokens per minute" in warning
    assert "minutes" in warning


def test_a_batch_beyond_a_whole_minutes_tokens_is_cut(runner: Runner) -> None:
    """10,000 tokens a minute: no request is expected to cost more."""
    texts = [f"{n} " + "word " * 1_000 for n in range(40)]
    service = FakeService()

    runner.call(voyage_over(service, tokens_per_minute=10_000), "embed", texts, MODEL)

    assert sum(len(body["input"]) for body in service.bodies) == 40
    assert max(sum(map(len, body["input"])) for body in service.bodies) / 3 <= 10_000


def test_progress_counts_texts_and_tokens(
    runner: Runner, capsys: pytest.CaptureFixture[str]
) -> None:
    """tqdm's bar on stderr ends at the number of texts."""
    voyage = voyage_over(FakeService())

    runner.call(voyage, "embed", ["a", "b", "c"], MODEL, show_progress_bar=True)

    shown = capsys.readouterr().err
    assert "3/3" in shown
    assert "tokens/s" in shown


def test_vectors_become_a_numpy_table() -> None:
    """Shape (texts, numbers), float32, the same numbers."""
    numpy = pytest.importorskip("numpy")

    table = voyage_over(FakeService()).embed(["a", "bb"], MODEL).to_numpy()

    assert numpy.float32 == table.dtype
    assert [vector_of("a"), vector_of("bb")] == table.tolist()


def test_equal_texts_of_a_stream_are_sent_once_within_a_window(runner: Runner) -> None:
    """Vectors come in order, and a text that returns much later is sent again."""
    service = FakeService()
    texts = [f"text {n // 3 % 400}" for n in range(2_400)]

    vectors = collect(runner, voyage_over(service), iter(texts), batch_size=100)

    assert [vector_of(text) for text in texts] == vectors
    assert sum(len(body["input"]) for body in service.bodies) == 400
    service.attempts.clear()
    apart = ["again", *(f"text {n}" for n in range(RECENT_TEXTS)), "again"]
    assert [vector_of(text) for text in apart] == collect(runner, voyage_over(service), iter(apart))
    assert sum(body["input"].count("again") for body in service.bodies) == 2


def test_changing_a_vector_of_a_stream_does_not_change_later_ones() -> None:
    """Equal texts never share an array, whether they are near or far apart."""
    texts = ["a", "a", "", "", *(f"text {n}" for n in range(MAX_REPEATS)), "a", ""]

    for text, vector in zip(
        texts,
        voyage_over(FakeService()).embed_iter(texts, MODEL, empty_text="zeros", batch_size=100),
        strict=True,
    ):
        assert vector.tolist() == (vector_of(text) if text else [0.0, 0.0])
        vector[0] = -1.0


def test_empty_texts_of_a_stream_have_their_place(runner: Runner) -> None:
    """First, last, among others, and alone if the dimension is known."""
    voyage = voyage_over(FakeService())
    texts, zeros = ["", "a", "", "b", ""], [0.0, 0.0]

    vectors = collect(runner, voyage, texts, empty_text="zeros", batch_size=1)

    assert [zeros, vector_of("a"), zeros, vector_of("b"), zeros] == vectors
    alone = collect(runner, voyage, ["", ""], empty_text="zeros", output_dimension=3)
    assert alone == [[0.0] * 3] * 2


@pytest.mark.parametrize("first", ["", "ab"])
def test_one_text_for_ever_is_read_a_bounded_way_ahead(runner: Runner, first: str) -> None:
    """Repetitions are yielded as they are read, although they fill no request."""
    taken = 0

    def counted() -> Iterator[str]:
        nonlocal taken
        for text in itertools.chain(first, itertools.repeat("a")):
            taken += 1
            yield text

    service = FakeService()
    voyage = voyage_over(service, concurrency=2)
    if runner.is_sync:
        vectors = voyage.embed_iter(counted(), MODEL)
        found = [next(vectors).tolist() for _ in range(10_000)]
        vectors.close()
    else:

        async def program() -> list[list[float]]:
            async with aclosing(voyage.aembed_iter(counted(), MODEL)) as vectors:
                return [(await anext(vectors)).tolist() for _ in range(10_000)]

        found = anyio.run(program, backend=runner.name)
    assert found[-1] == vector_of("a")
    assert len(service.bodies) == 1
    assert taken < 20 * MAX_REPEATS
