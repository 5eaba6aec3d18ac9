"""Items left over by a 429 are sent in fewer requests: nothing is lost or sent twice."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from math import inf
from typing import Any

import anyio
import pytest

from conftest import Runner
from fakes import (
    FREE_TIER,
    MODEL,
    TOO_MANY_TOKENS,
    FakeClock,
    FakeService,
    embedded,
    failed,
    ok,
    vector_of,
    voyage_over,
)
from voyage_rag.core.flow import Attempt
from voyage_rag.core.planning import MAX_SPREAD_INPUTS
from voyage_rag.errors import InvalidRequestError, RateLimitError
from voyage_rag.hosts.messages import Response


class Meeting:
    """Blocks the first callers, threads or tasks, until all of them have arrived."""

    def __init__(self, callers: int) -> None:
        self._missing = callers
        self._lock = threading.Lock()
        self._complete = threading.Event()
        self._acomplete = anyio.Event()

    def join(self) -> None:
        self._count()
        assert self._complete.wait(30)

    async def ajoin(self) -> None:
        if self._count():
            self._acomplete.set()
        with anyio.fail_after(30):
            await self._acomplete.wait()

    def _count(self) -> bool:
        with self._lock:
            self._missing -= 1
            if self._missing <= 0:
                self._complete.set()
            return self._complete.is_set()


class ConcurrentService(FakeService):
    """Responds once the first requests of a call have all left."""

    def __init__(self, requests: int, answer: Callable[[bytes], Response]) -> None:
        super().__init__(always=answer)
        self._meeting = Meeting(requests)

    def send(self, attempt: Attempt, abort: object) -> Response:
        if abort is not None:
            self._meeting.join()
        return super().send(attempt, abort)

    async def asend(self, attempt: Attempt) -> Response:
        await self._meeting.ajoin()
        return await super().asend(attempt)


class ConcurrentClock(FakeClock):
    """Lets no time pass before so many calls wait."""

    def __init__(self, waiting: int) -> None:
        super().__init__()
        self._meeting = Meeting(waiting)

    def sleep(self, seconds: float, wake: threading.Event) -> None:
        self._meeting.join()
        super().sleep(seconds, wake)

    async def asleep(self, seconds: float, wake: anyio.Event) -> None:
        await self._meeting.ajoin()
        FakeClock.sleep(self, seconds, threading.Event())


class SimulatedClock(FakeClock):
    """Tasks that sleep at the same time do so for the same time, as in reality."""

    def __init__(self) -> None:
        super().__init__()
        self._due: list[float] = []

    async def asleep(self, seconds: float, wake: anyio.Event) -> None:
        due = self.now() + seconds
        self._due.append(due)
        while self.now() < due and not wake.is_set():
            for _ in range(20):  # the other tasks may begin to sleep, or wake
                await anyio.lowlevel.checkpoint()
            if due == min(self._due):
                self.advance(max(1e-6, due - self.now()))
        self._due.remove(due)


class Limited:
    """Accepts so many requests and tokens in a minute, and counts texts.

    Attributes:
        accepted: How often each text was embedded.
        sizes: Texts of each request that was accepted.
    """

    def __init__(
        self,
        clock: FakeClock,
        requests: int,
        detail: str = FREE_TIER,
        tokens: float = inf,
        characters_per_token: int = 3,
    ) -> None:
        self.accepted: Counter[str] = Counter()
        self.sizes: list[int] = []
        self._clock, self._requests, self._detail = clock, requests, detail
        self._tokens, self._characters_per_token = tokens, characters_per_token
        self._taken: list[tuple[float, int]] = []
        self._lock = threading.Lock()

    def __call__(self, body: bytes) -> Response:
        with self._lock:
            now = self._clock.now()
            texts = json.loads(body)["input"]
            tokens = sum(map(len, texts)) // self._characters_per_token
            recent = [used for at, used in self._taken if at > now - 60]
            if len(recent) >= self._requests or sum(recent) + tokens > self._tokens:
                return failed(429, self._detail)
            self._taken.append((now, tokens))
            self.accepted.update(texts)
            self.sizes.append(len(texts))
        return ok(embedded([vector_of(text) for text in texts], tokens))


def texts_of(count: int) -> list[str]:
    """Texts of 30 estimated tokens."""
    return [f"text {number:05} ".ljust(87, "x") for number in range(count)]


@pytest.mark.parametrize("count", [640, 1_600, 3_000])
def test_what_was_refused_leaves_in_fewer_requests(runner: Runner, count: int) -> None:
    """Sixteen were in flight when the limit of three became known."""
    clock = ConcurrentClock(13)
    service = Limited(clock, 3, "Requests Per Minute (RPM) rate limit of 3")
    voyage = voyage_over(ConcurrentService(16, service), clock, total_timeout=None)
    texts = texts_of(count)

    found = runner.call(voyage, "embed", texts, MODEL)

    assert found.embeddings == [vector_of(text) for text in texts]
    assert set(service.accepted.values()) == {1}
    assert len(service.sizes) < 16
    assert max(service.sizes) > -(-count // 16)
    assert voyage.usage.requests == len(service.sizes)


@pytest.mark.parametrize("count", [1_000, 4_000])
def test_a_job_outlasts_the_total_timeout_while_the_service_accepts_requests(count: int) -> None:
    """The free tier rejects all but the first requests, and a whole job takes many minutes."""
    clock = SimulatedClock()
    service = Limited(clock, 3, tokens=10_000)
    voyage = voyage_over(FakeService(always=service), clock, total_timeout=300)
    texts = texts_of(count)

    found = anyio.run(voyage.aembed, texts, MODEL)

    assert found.embeddings == [vector_of(text) for text in texts]
    assert set(service.accepted.values()) == {1}
    minutes = count * len(texts[0]) / 3 / 10_000
    assert clock.now() < 1_000 + 60 * (minutes * 1.5 + 2)


@pytest.mark.parametrize("detail", [FREE_TIER, "slow down"])
def test_a_service_that_accepts_nothing_ends_a_job_after_the_total_timeout(detail: str) -> None:
    """However many of its requests take turns."""
    clock = SimulatedClock()
    service = FakeService(always=lambda _: failed(429, detail))
    voyage = voyage_over(service, clock, total_timeout=300)
    began = clock.now()

    with pytest.raises(RateLimitError):
        anyio.run(voyage.aembed, texts_of(1_400), MODEL)

    assert clock.now() - began < 330


@pytest.mark.parametrize("given", [{}, {"requests_per_minute": 3, "tokens_per_minute": 10_000}])
def test_a_request_with_more_tokens_than_estimated_is_divided(given: dict[str, int]) -> None:
    """The service never accepts more tokens than the limit of a minute in one request."""
    clock = SimulatedClock()
    service = Limited(clock, 3, tokens=10_000, characters_per_token=1)
    voyage = voyage_over(FakeService(always=service), clock, total_timeout=300, **given)
    texts = texts_of(400)

    found = anyio.run(voyage.aembed, texts, MODEL)

    assert found.embeddings == [vector_of(text) for text in texts]
    assert set(service.accepted.values()) == {1}


def test_where_requests_are_not_scarce_slices_stay_as_planned(runner: Runner) -> None:
    """Under a limit of thousands, requests are not combined."""
    clock = FakeClock()
    service = Limited(clock, 5, "Requests Per Minute (RPM) rate limit of 2,000")
    voyage = voyage_over(FakeService(always=service), clock, total_timeout=None)

    runner.call(voyage, "embed", texts_of(1_600), MODEL)

    assert set(service.sizes) == {100}
    assert set(service.accepted.values()) == {1}


def test_a_merged_request_that_is_too_large_is_split(runner: Runner) -> None:
    """Also for the items of other slices, none of which is sent twice."""
    clock = FakeClock()
    limited = Limited(clock, 3, "Requests Per Minute (RPM) rate limit of 3")

    def answer(body: bytes) -> Response:
        if len(json.loads(body)["input"]) > 300:
            return failed(400, TOO_MANY_TOKENS)
        return limited(body)

    voyage = voyage_over(FakeService(always=answer), clock, total_timeout=None)
    texts = texts_of(1_600)

    found = runner.call(voyage, "embed", texts, MODEL)

    assert found.embeddings == [vector_of(text) for text in texts]
    assert set(limited.accepted.values()) == {1}


def test_a_merged_request_that_fails_keeps_what_was_finished(runner: Runner) -> None:
    """The error names the inputs of the request, from whichever slices."""
    clock = ConcurrentClock(13)
    limited = Limited(clock, 3, "Requests Per Minute (RPM) rate limit of 3")

    def answer(body: bytes) -> Response:
        if len(json.loads(body)["input"]) > 300:
            return failed(400, "no")
        return limited(body)

    voyage = voyage_over(ConcurrentService(16, answer), clock, total_timeout=None)

    with pytest.raises(InvalidRequestError) as raised:
        runner.call(voyage, "embed", texts_of(1_600), MODEL)

    done = sum(limited.sizes)
    partial: Any = raised.value.partial
    assert len(raised.value.indices) > 300
    assert len(partial.vectors) == done
    assert not set(partial.vectors) & set(raised.value.indices)


@pytest.mark.parametrize("concurrency", [1, 4, 16])
@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_lost_whatever_fails(runner: Runner, seed: int, concurrency: int) -> None:
    """429s with and without limits, outages, and requests that are too large, in any order."""
    clock, chance = FakeClock(), random.Random(seed)
    limited = Limited(clock, 5, "Requests Per Minute (RPM) rate limit of 5")

    def answer(body: bytes) -> Response:
        failures = [None, None, failed(503), failed(429), failed(400, TOO_MANY_TOKENS)]
        if len(json.loads(body)["input"]) > 20 and (failure := chance.choice(failures)):
            return failure
        return limited(body)

    options = {"total_timeout": None, "max_retries": 50, "concurrency": concurrency}
    voyage = voyage_over(FakeService(always=answer), clock, **options)
    texts = texts_of(1_000)

    found = runner.call(voyage, "embed", texts, MODEL)

    assert found.embeddings == [vector_of(text) for text in texts]
    assert set(limited.accepted.values()) == {1}
    assert voyage.usage.requests == len(limited.sizes)


def test_with_a_cache_only_what_is_new_is_packed(runner: Runner, tmp_path: Any) -> None:
    """And all of it is kept."""
    clock = FakeClock()
    service = Limited(clock, 3, "Requests Per Minute (RPM) rate limit of 3")
    options = {"cache": tmp_path / "vectors.db", "total_timeout": None}
    texts = texts_of(1_600)
    voyage_over(FakeService(), clock, **options).embed(texts[::2], MODEL)

    for _ in range(2):
        found = runner.call(
            voyage_over(FakeService(always=service), clock, **options), "embed", texts, MODEL
        )
        assert found.embeddings == [vector_of(text) for text in texts]

    assert set(service.accepted) == set(texts[1::2])
    assert set(service.accepted.values()) == {1}


@pytest.mark.parametrize("verb", ["embed_iter", "embed_into"])
def test_streams_are_packed_again_too(runner: Runner, verb: str) -> None:
    """What a 429 left over leaves in fewer requests, and every vector comes once."""
    clock = ConcurrentClock(13)
    service = Limited(clock, 3, "Requests Per Minute (RPM) rate limit of 3")
    voyage = voyage_over(ConcurrentService(16, service), clock, total_timeout=None)
    texts = texts_of(16 * MAX_SPREAD_INPUTS)
    found: dict[int, list[float]] = {}

    if verb == "embed_into":

        def sink(positions: Any, vectors: Any, _: object) -> None:
            found.update({n: v.tolist() for n, v in zip(positions, vectors, strict=True)})

        runner.call(voyage, verb, sink, iter(texts), MODEL)
    else:
        found |= dict(enumerate(streamed(runner, voyage, texts)))

    assert found == {n: vector_of(text) for n, text in enumerate(texts)}
    assert set(service.accepted.values()) == {1}
    assert len(service.sizes) < 16
    assert max(service.sizes) > MAX_SPREAD_INPUTS


@pytest.mark.parametrize(("count", "characters_per_token"), [(300, 3), (700, 3), (300, 1)])
def test_what_is_left_of_a_long_request_is_sent_once(count: int, characters_per_token: int) -> None:
    """A rest that needs more than a minute is divided, and no other request takes its texts."""
    clock = SimulatedClock()
    service = Limited(clock, 3, tokens=10_000, characters_per_token=characters_per_token)
    voyage = voyage_over(FakeService(always=service), clock)
    texts = [text.ljust(255, "x") for text in texts_of(count)]

    async def program() -> int:
        return len([vector async for vector in voyage.aembed_iter(iter(texts), MODEL)])

    assert anyio.run(program) == count
    assert set(service.accepted.values()) == {1}


def streamed(runner: Runner, voyage: Any, texts: list[str]) -> list[list[float]]:
    """What `embed_iter` yields."""
    if runner.is_sync:
        return [vector.tolist() for vector in voyage.embed_iter(texts, MODEL)]

    async def program() -> list[list[float]]:
        vectors = voyage.aembed_iter(texts, MODEL)
        return [vector.tolist() async for vector in vectors]

    return anyio.run(program, backend=runner.name)
