"""Many requests of one call: their number, and the consequences of a failure."""

from __future__ import annotations

import asyncio
import contextvars
import json
import threading
import time
from collections import Counter
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import numpy as np
import pytest
import trio
import trio.testing

from fakes import (
    MODEL,
    FakeClock,
    FakeService,
    embedded,
    failed,
    ok,
    served,
    vector_of,
    voyage_over,
)
from voyage_rag.client.session import run_in_thread_if_many
from voyage_rag.core.flow import Attempt
from voyage_rag.errors import AuthenticationError, InvalidRequestError
from voyage_rag.hosts.messages import Response
from voyage_rag.io.clock import SYSTEM_CLOCK, SystemClock
from voyage_rag.io.concurrency import OrderedResults, run_in_threads
from voyage_rag.io.driver import Driver
from voyage_rag.usage import Usage


def texts_up_to(count: int) -> list[str]:
    """Return texts that differ."""
    return [f"text {number}" for number in range(count)]


class CrowdedService(FakeService):
    """Responds when a number of requests are in flight, and records the maximum."""

    def __init__(self, crowd: int) -> None:
        super().__init__()
        self.crowd = crowd
        self.most = self.now = 0
        self.together = threading.Event()
        self.counting = threading.Lock()

    def begins(self) -> None:
        with self.counting:
            self.now += 1
            self.most = max(self.most, self.now)
            if self.now == self.crowd:
                threading.Timer(0.02, self.together.set).start()

    def send(self, attempt: Attempt, abort: Any) -> Response:
        self.begins()
        assert self.together.wait(5)
        with self.counting:
            self.now -= 1
        return super().send(attempt, abort)

    async def asend(self, attempt: Attempt) -> Response:
        self.begins()
        await anyio.to_thread.run_sync(self.together.wait, 5, limiter=anyio.CapacityLimiter(50))
        assert self.together.is_set()
        self.now -= 1
        return FakeService.send(self, attempt, None)


@pytest.mark.parametrize("concurrency", [2, 5])
def test_as_many_requests_as_allowed_are_in_flight_and_no_more(runner, concurrency: int) -> None:
    """`concurrency` is reached, and never exceeded."""
    service = CrowdedService(concurrency)
    voyage = voyage_over(service, concurrency=concurrency)

    result = runner.call(voyage, "embed", texts_up_to(20), MODEL, batch_size=1)

    assert concurrency == service.most
    assert [vector_of(text) for text in texts_up_to(20)] == result.embeddings


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("error", [ZeroDivisionError("ours"), KeyError("ours")])
def test_an_error_is_raised_as_it_is(runner, error: Exception, several: bool) -> None:
    """The same object, in no group, from a single request and from many."""
    service = FakeService(always=lambda body: (_ for _ in ()).throw(error))

    with pytest.raises(type(error)) as caught:
        runner.call(
            voyage_over(service), "embed", texts_up_to(4 if several else 1), MODEL, batch_size=1
        )

    assert error is caught.value


@pytest.mark.parametrize("steps", range(12))
def test_slow_planning_loses_no_request(
    runner, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that is planned while the only task ends is sent, too."""

    async def planned(driver: Driver, plan: Any) -> Any:
        for _ in range(steps):
            await anyio.lowlevel.checkpoint()
        return plan()

    monkeypatch.setattr(Driver, "_plan", planned)
    voyage = voyage_over(FakeService(), concurrency=1)

    result = runner.call(voyage, "embed", texts_up_to(20), MODEL, batch_size=1)

    assert [vector_of(text) for text in texts_up_to(20)] == result.embeddings


class FailingService(FakeService):
    """Refuses `text 0` when the others are in flight; these are answered after that."""

    def __init__(self, others: int) -> None:
        super().__init__()
        self.others = others
        self.refused = False

    def send(self, attempt: Attempt, abort: Any) -> Response:
        super().send(attempt, abort)
        if b'"text 0"' not in attempt.request.body:
            assert abort.stopping.wait(5)
            return served(attempt.request.body)
        deadline = time.monotonic() + 5
        while len(self.attempts) <= self.others:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        return failed(401)

    async def asend(self, attempt: Attempt) -> Response:
        FakeService.send(self, attempt, None)
        with anyio.fail_after(5):
            if b'"text 0"' in attempt.request.body:
                while len(self.attempts) <= self.others:
                    await anyio.lowlevel.checkpoint()
                self.refused = True
                return failed(401)
            while not self.refused:
                await anyio.lowlevel.checkpoint()
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        return served(attempt.request.body)


def test_after_a_failure_what_is_in_flight_finishes_and_nothing_new_is_sent(runner) -> None:
    """It has been paid for: the error carries it, and the object's usage counts it."""
    service = FailingService(others=3)
    voyage = voyage_over(service, concurrency=4)

    with pytest.raises(AuthenticationError) as caught:
        runner.call(voyage, "embed", texts_up_to(30), MODEL, batch_size=1)

    assert len(service.attempts) == 4
    assert {1, 2, 3} == set(caught.value.partial.vectors)
    assert (0, *range(4, 30)) == caught.value.partial.missing
    assert Usage(18, 3) == voyage.usage == caught.value.partial.usage


def test_a_failure_wakes_those_that_wait_for_their_turn(runner) -> None:
    """They do not wait for a Retry-After after the call has failed."""

    def always(body: bytes) -> Response:
        if b'"text 0"' in body:
            return failed(503, retry_after="30")
        waits = any(b'"text 0"' in attempt.request.body for attempt in service.attempts)
        return failed(400) if waits else failed(503, retry_after="0")

    service = FakeService(always=always)
    voyage = voyage_over(service, SYSTEM_CLOCK, concurrency=2)
    began = time.monotonic()

    with pytest.raises(InvalidRequestError):
        runner.call(voyage, "embed", texts_up_to(9), MODEL, batch_size=1)

    assert time.monotonic() - began < 5


def test_context_variables_reach_the_requests(runner) -> None:
    """A request runs in the context of its call, in whatever thread or task; so do traces."""
    whose: contextvars.ContextVar[str] = contextvars.ContextVar("whose", default="nobody")
    seen: list[str] = []

    def always(body: bytes) -> Response:
        seen.append(whose.get())
        return served(body)

    voyage = voyage_over(FakeService(always=always))
    token = whose.set("mine")
    try:
        runner.call(voyage, "embed", texts_up_to(5), MODEL, batch_size=1)
    finally:
        whose.reset(token)

    assert seen == ["mine"] * 5


def test_no_thread_outlives_a_call() -> None:
    """Neither one that went well nor one that failed."""
    voyage_over(FakeService()).embed(texts_up_to(9), MODEL, batch_size=1)
    with pytest.raises(InvalidRequestError):
        voyage_over(FakeService(failed(400))).embed(texts_up_to(9), MODEL, batch_size=1)

    names = [thread.name for thread in threading.enumerate()]
    assert [name for name in names if name.startswith("voyage-rag")] == []


@pytest.mark.parametrize("count", [1, 9])
def test_a_single_request_takes_no_thread(count: int) -> None:
    """It runs in the caller's thread; several run in other threads."""
    seen = set()

    def always(body: bytes) -> Response:
        seen.add(threading.current_thread())
        return served(body)

    voyage_over(FakeService(always=always)).embed(texts_up_to(count), MODEL, batch_size=1)

    assert (count == 1) is (threading.current_thread() in seen)


# ── cancellation ──────────────────────────────────────────────────────────────────────────────────


class EndlessService(FakeService):
    """Never responds, and records which requests were cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.cancelled = 0

    async def asend(self, attempt: Attempt) -> Response:
        FakeService.send(self, attempt, None)
        try:
            await anyio.sleep_forever()
        except BaseException:
            self.cancelled += 1
            raise
        raise AssertionError


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("count", [1, 12])
def test_cancellation_ends_what_is_in_flight(backend: str, count: int) -> None:
    """Every request is cancelled, none starts, and the object still works."""
    service = EndlessService()
    voyage = voyage_over(service, concurrency=4)

    async def program() -> Any:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: voyage.aembed(texts_up_to(count), MODEL, batch_size=1))
            with anyio.fail_after(5):
                while len(service.attempts) < min(4, count):
                    await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        sent = len(service.attempts)
        voyage.driver.sender = FakeService()
        return sent, await voyage.aembed(["again"], MODEL)

    sent, result = anyio.run(program, backend=backend)

    assert min(4, count) == sent == service.cancelled
    assert [vector_of("again")] == result.embeddings


class CrowdedClock(FakeClock):
    """Records how many callers sleep at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self.most = self.asleep_now = 0
        self.counting = threading.Lock()

    def count(self, more: int) -> None:
        with self.counting:
            self.asleep_now += more
            self.most = max(self.most, self.asleep_now)

    def sleep(self, seconds: float, wake: threading.Event) -> None:
        self.count(1)
        wake.wait(0.001)
        super().sleep(seconds, wake)
        self.count(-1)

    async def asleep(self, seconds: float, wake: anyio.Event) -> None:
        self.count(1)
        await anyio.sleep(0.001)
        super().sleep(seconds, threading.Event())
        self.count(-1)


def test_one_request_of_a_call_queues_for_a_limit(runner) -> None:
    """The next one is counted by what is known then, and its timeout begins then."""
    service, clock = FakeService(), CrowdedClock()
    voyage = voyage_over(service, clock=clock, concurrency=16, requests_per_minute=30)

    result = runner.call(voyage, "embed", texts_up_to(60), MODEL, batch_size=1)

    assert clock.most == 1
    assert [vector_of(text) for text in texts_up_to(60)] == result.embeddings


def test_a_limit_is_used_up_though_costs_were_overestimated_at_first() -> None:
    """In the first minute already: 32 requests at once, and tokens are a third of the guess."""
    tokens, limit = 8_000, 1_000_000
    left: list[float] = []

    class TrioClock(SystemClock):
        def now(self) -> float:
            return trio.current_time()

    class Slow(FakeService):
        async def asend(self, attempt: Attempt) -> Response:
            left.append(trio.current_time())
            await anyio.sleep(0.5)
            texts = json.loads(attempt.request.body)["input"]
            return ok(embedded([vector_of(text) for text in texts], tokens))

    async def program() -> None:
        voyage = voyage_over(Slow(), clock=TrioClock(), concurrency=32, tokens_per_minute=limit)
        await voyage.aembed(
            [f"{n:03}" + "x" * (9 * tokens - 3) for n in range(250)], MODEL, batch_size=1
        )

    clock = trio.testing.MockClock(autojump_threshold=0)

    anyio.run(program, backend="trio", backend_options={"clock": clock})

    in_minutes = Counter(int((at - left[0]) // 60) for at in left)
    assert in_minutes[0] * tokens >= 0.93 * limit
    assert in_minutes[1] * tokens >= 0.96 * limit
    assert all(sum(tokens for other in left if at <= other < at + 60) <= limit for at in left)


def test_flows_are_taken_no_further_ahead_than_allowed() -> None:
    """However many have finished, until the parts before them were consumed."""
    results: OrderedResults[int] = OrderedResults(iter(range(100)), ahead=3)  # type: ignore[arg-type]

    started = [results.next() for _ in range(5)]
    assert [indexed and indexed.number for indexed in started] == [0, 1, 2, None, None]
    for number in (2, 1):
        results.done(number, number)
    assert (list(results.ready()), results.next()) == ([], None)
    results.done(0, 0)
    assert list(results.ready()) == [0, 1, 2]
    assert [results.next() is None for _ in range(4)] == [False, False, False, True]


def test_a_call_starts_requests_for_four_rounds_ahead_of_what_was_consumed(
    runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which bounds the memory of a stream whose first response is late."""
    bounds: list[int] = []

    class Recorded(OrderedResults[Any]):
        def __init__(self, flows: Any, ahead: int) -> None:
            bounds.append(ahead)
            super().__init__(flows, ahead)

    monkeypatch.setattr("voyage_rag.io.concurrency.OrderedResults", Recorded)
    voyage = voyage_over(FakeService(), concurrency=3)
    runner.call(voyage, "embed", ["a", "b", "c"], MODEL, batch_size=1)
    assert bounds == [12]


def test_a_consumer_that_stops_waits_no_longer_than_a_moment_for_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Which may be in a function of the user's that nothing can end."""
    monkeypatch.setattr("voyage_rag.io.concurrency.SECONDS_TO_END", 0.01)
    released = threading.Event()
    parts = run_in_threads(iter(["quick", "stuck"]), drive_unless(released), 2)  # type: ignore[arg-type]
    assert next(parts) == "quick"
    parts.close()
    assert not released.is_set()
    released.set()


def drive_unless(released: threading.Event) -> Any:
    """Drives flows, and cannot be ended while it drives the one that is stuck."""

    def drive(flow: str, state: Any) -> str:
        if flow == "stuck":
            released.wait()
        return flow

    return drive


@pytest.mark.parametrize(
    ("inputs", "is_long"),
    [
        (range(1_001), True),
        (dict.fromkeys(range(1_001)).values(), True),
        (range(1_000), False),
        ("a" * 5_000, False),
        (iter(range(5_000)), False),
        (np.zeros(()), False),
    ],
    ids=["range", "view", "few", "text", "iterator", "scalar"],
)
def test_only_many_inputs_are_checked_in_a_thread(inputs: object, is_long: bool) -> None:
    """A text and an iterator are not counted."""

    async def program() -> bool:
        here = threading.get_ident()
        return await run_in_thread_if_many(threading.get_ident, inputs) != here

    assert asyncio.run(program()) == is_long
