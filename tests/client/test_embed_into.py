"""`embed_into` and its async variant: the sink gets each response as soon as it arrives."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import anyio
import pytest

from conftest import Runner
from fakes import KEY, MODEL, FakeService, HTTPService, failed, vector_of, voyage_over
from voyage_rag import InvalidInputError, InvalidRequestError, Voyage
from voyage_rag.core.text_stream import MAX_REPEATS, RECENT_TEXTS
from voyage_rag.types import Vector
from voyage_rag.usage import Usage


class Recorder:
    """A sink in memory."""

    def __init__(self) -> None:
        self.vectors: dict[int, list[float]] = {}
        self.usage = Usage()
        self._lock = threading.Lock()

    def __call__(self, positions: Sequence[int], vectors: Sequence[Vector], usage: Usage) -> None:
        with self._lock:
            for position, vector in zip(positions, vectors, strict=True):
                assert position not in self.vectors
                self.vectors[position] = vector.tolist()
            self.usage += usage


def test_every_vector_is_handed_over_with_the_position_of_its_text(runner: Runner) -> None:
    """In any order of responses. The usage is returned."""
    service, kept = FakeService(), Recorder()
    texts = [f"text {n}" for n in range(1_000)]

    runner.call(voyage_over(service), "embed_into", kept, iter(texts), MODEL, batch_size=64)

    assert kept.vectors == {n: vector_of(text) for n, text in enumerate(texts)}
    assert kept.usage == Usage(sum(map(len, texts)), 16)


def test_what_was_answered_before_and_beside_a_failure_is_handed_over(runner: Runner) -> None:
    """A request that fails permanently loses no other result, and no other is sent after it."""
    service, kept = FakeService(), Recorder()
    voyage = voyage_over(service, concurrency=1)
    sent = service.always
    service.always = lambda body: failed(400) if b'"text 5"' in body else sent(body)

    with pytest.raises(InvalidRequestError) as caught:
        runner.call(
            voyage, "embed_into", kept, (f"text {n}" for n in range(50)), MODEL, batch_size=2
        )

    assert caught.value.indices == (4, 5)
    assert sorted(kept.vectors) == [0, 1, 2, 3]


def test_a_bad_text_ends_the_call_after_what_is_in_flight(runner: Runner) -> None:
    """It is named by its position."""
    kept = Recorder()

    with pytest.raises(InvalidInputError, match=r"texts\[3\]"):
        runner.call(voyage_over(FakeService()), "embed_into", kept, ["a", "b", "c", ""], MODEL)


def test_a_sink_that_fails_ends_the_call(runner: Runner) -> None:
    """Its error is raised unchanged."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        runner.call(voyage_over(FakeService()), "embed_into", full, ["a", "b"], MODEL, batch_size=1)


class AsyncRecorder(Recorder):
    """A sink whose calls are coroutines."""

    async def __call__(self, *given: Any) -> None:  # type: ignore[override]
        await anyio.lowlevel.checkpoint()
        super().__call__(*given)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_coroutine_function_is_awaited_in_the_event_loop(backend: str) -> None:
    """A function, or an object that is called like one."""
    texts = [f"text {n}" for n in range(10)]
    first, second = AsyncRecorder(), AsyncRecorder()

    async def sink(kept: AsyncRecorder, *given: Any) -> None:
        await kept(*given)

    async def program() -> None:
        voyage = voyage_over(FakeService())
        await voyage.aembed_into(first, texts, MODEL, batch_size=2)
        await voyage.aembed_into(partial(sink, second), texts, MODEL, batch_size=2)

    anyio.run(program, backend=backend)
    expected = {n: vector_of(text) for n, text in enumerate(texts)}
    assert first.vectors == second.vectors == expected


def test_a_sink_that_the_sync_call_cannot_await_is_refused() -> None:
    """Its vectors would be paid for and lost. A function is recognised before anything is sent."""
    service, kept = FakeService(), AsyncRecorder()
    given: list[Any] = [kept, kept.__call__, partial(kept.__call__), None, ["a"]]
    for each in given:
        with pytest.raises(InvalidInputError, match="sink"):
            voyage_over(service).embed_into(each, ["a"], MODEL)
    assert service.attempts == []


class Later:
    """What the methods of some databases return."""

    def __await__(self) -> Iterator[None]:
        yield


@pytest.mark.parametrize("is_coroutine", [True, False])
def test_an_awaitable_that_nobody_awaits_is_reported(is_coroutine: bool) -> None:
    """Of a function that is not recognised as a coroutine function before its first call."""
    kept = AsyncRecorder()
    voyage = voyage_over(FakeService())

    def sink(*_: object) -> Any:
        return kept([], [], Usage()) if is_coroutine else Later()

    with pytest.raises(InvalidInputError, match=r"returned a (coroutine|Later)"):
        voyage.embed_into(sink, ["a"], MODEL)


def test_no_request_leaves_before_an_answer_is_taken(
    runner: Runner, http_service: HTTPService
) -> None:
    """With one request at a time, the service never sees the next one while the sink works."""
    seen: list[int] = []

    def sink(positions: Sequence[int], *_: object) -> None:
        seen.append(len(http_service.received) - positions[0])

    def texts() -> Iterator[str]:
        for number in range(20):
            yield f"text {number}"

    voyage = Voyage(KEY, base_url=http_service.url, concurrency=1)
    runner.call(voyage, "embed_into", sink, texts(), MODEL, batch_size=1)

    assert seen == [1] * 20


def test_equal_texts_are_sent_once_and_handed_over_for_each_position(runner: Runner) -> None:
    """In one call of the sink, in rising order."""
    service, kept = FakeService(), Recorder()
    texts = [f"text {n % 30}" for n in range(300)]
    orders: list[list[int]] = []

    def sink(positions: Sequence[int], vectors: Sequence[Vector], usage: Usage) -> None:
        orders.append(list(positions))
        kept(positions, vectors, usage)

    runner.call(voyage_over(service), "embed_into", sink, iter(texts), MODEL, batch_size=10)

    assert kept.vectors == {n: vector_of(text) for n, text in enumerate(texts)}
    assert sum(len(body["input"]) for body in service.bodies) == 30
    assert all(order == sorted(order) for order in orders)


def sent(service: FakeService) -> list[str]:
    """Every text that was sent, as often as it was."""
    return [text for body in service.bodies for text in body["input"]]


def test_texts_that_repeat_far_apart_are_sent_once(runner: Runner) -> None:
    """The vectors of the last different texts are remembered; one that is older is sent again."""
    service, kept = FakeService(), Recorder()
    texts = ["again", *(f"text {n}" for n in range(RECENT_TEXTS - 1)), "again", "last", "text 1"]

    runner.call(voyage_over(service, concurrency=1), "embed_into", kept, iter(texts), MODEL)

    assert kept.vectors == {n: vector_of(text) for n, text in enumerate(texts)}
    counts = Counter(sent(service))
    assert (counts["again"], counts["text 1"]) == (1, 1)
    beyond = ["text 0", *(f"text {n}" for n in range(1, RECENT_TEXTS + 1)), "text 0"]
    service.attempts.clear()
    runner.call(voyage_over(service), "embed_into", Recorder(), iter(beyond), MODEL)
    assert Counter(sent(service))["text 0"] == 2


def test_one_text_for_ever_is_sent_once_and_delivered_as_it_comes(runner: Runner) -> None:
    """Memory does not grow with the repetitions."""
    service, kept = FakeService(), Recorder()
    sizes: list[int] = []

    def sink(positions: Sequence[int], vectors: Sequence[Vector], usage: Usage) -> None:
        sizes.append(len(positions))
        kept(positions, vectors, usage)

    count = 3 * MAX_REPEATS
    voyage = voyage_over(service, concurrency=1)
    runner.call(voyage, "embed_into", sink, ["a", *["b"] * count], MODEL, batch_size=1)

    assert sent(service) == ["a", "b"]
    assert len(kept.vectors) == count + 1
    assert kept.usage == Usage(2, 2)


@pytest.mark.parametrize(
    ("texts", "options", "expected"),
    [
        (["", "a", ""], {"empty_text": "zeros", "output_dimension": 2}, [[0.0, 0.0], "a", [0, 0]]),
        ([""], {"empty_text": "zeros", "output_dimension": 2}, [[0.0, 0.0]]),
        (["", "a"], {"empty_text": "space"}, [" ", "a"]),
        (["a\ud83d", "\ud83d\ude00"], {"invalid_text": "replace"}, ["a\ufffd", "\U0001f600"]),
    ],
)
def test_empty_and_malformed_texts_follow_the_policy(
    runner: Runner, texts: list[str], options: dict[str, Any], expected: list[Any]
) -> None:
    """As in `embed`."""
    kept = Recorder()
    runner.call(voyage_over(FakeService()), "embed_into", kept, texts, MODEL, **options)

    assert [kept.vectors[n] for n in range(len(texts))] == [
        vector_of(one) if isinstance(one, str) else one for one in expected
    ]
