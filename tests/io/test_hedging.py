"""A query without a response is sent again: the first response wins, the other request ends."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from conftest import Runner
from fakes import KEY, MODEL, FakeClock, FakeService, failed, served, vector_of, voyage_over
from voyage_rag import Voyage
from voyage_rag.core.flow import Attempt
from voyage_rag.errors import APIConnectionError, ConfigurationError, Timeout
from voyage_rag.hosts.messages import Response
from voyage_rag.io.call_state import Stopped, ThreadCallState
from voyage_rag.io.hedging import HedgedSender


class Patient(FakeClock):
    """Waits as long as a response is possible, so that a second request is never sent."""

    def sleep(self, seconds: float, wake: threading.Event) -> None:
        assert wake.wait(5)

    async def asleep(self, seconds: float, wake: anyio.Event) -> None:
        await anyio.sleep(5)


class Hanging(FakeService):
    """Responds only to the requests of the script, which come last.

    Attributes:
        ended: How many requests that hung were ended.
    """

    def __init__(self, *script: Any, hang: int = 1) -> None:
        super().__init__(*script)
        self.hanging = self.ended = 0
        self._left = hang
        self._changed = threading.Condition()

    def hangs(self) -> bool:
        with self._changed:
            self._left -= 1
            return self._left >= 0

    def send(self, attempt: Attempt, state: Any) -> Response:
        if not self.hangs():
            return super().send(attempt, state)
        over = threading.Event()
        with state.in_flight(over.set):
            with self._changed:
                self.hanging += 1
                self._changed.notify_all()
            assert over.wait(5)
        self.count()
        raise Stopped

    async def asend(self, attempt: Attempt) -> Response:
        if not self.hangs():
            return FakeService.send(self, attempt, None)
        try:
            await anyio.sleep_forever()
        finally:
            self.count()
        raise AssertionError

    def count(self) -> None:
        with self._changed:
            self.ended += 1
            self._changed.notify_all()

    def wait_for(self, ended: int = 0, hanging: int = 0) -> None:
        with self._changed:
            assert self._changed.wait_for(
                lambda: self.ended >= ended and self.hanging >= hanging, 5
            )


def hedged(service: FakeService, clock: FakeClock | None = None, **options: Any) -> Voyage:
    clock = clock or FakeClock()
    voyage = voyage_over(service, clock, **options)
    voyage.driver.sender = HedgedSender(service, clock, 0.2)
    return voyage


def test_the_first_response_is_used_and_the_other_request_ends(runner: Runner) -> None:
    """Both are counted, since the service computes both."""
    service = Hanging()
    voyage = hedged(service)

    found = runner.call(voyage, "embed", ["question"], MODEL, "query")

    assert found.embeddings == [vector_of("question")]
    service.wait_for(ended=1)
    assert voyage.usage.requests == 2
    assert voyage.usage.total_tokens == found.total_tokens == 2 * len("question")


def test_a_query_that_is_answered_in_time_is_sent_once(runner: Runner) -> None:
    """Which is nearly every one."""
    service = FakeService()
    voyage = hedged(service, Patient())

    runner.call(voyage, "embed", ["question"], MODEL, "query")

    assert len(service.attempts) == voyage.usage.requests == 1


def test_a_job_is_never_sent_twice(runner: Runner) -> None:
    """No user waits for one of its responses."""
    service = FakeService()
    voyage = hedged(service)

    runner.call(voyage, "embed", [f"text {n}" for n in range(9)], MODEL, "query")
    runner.call(voyage, "embed", ["text"], MODEL, "document")

    assert len(service.attempts) == 2


def test_a_limit_without_room_is_not_used_for_a_second_request(runner: Runner) -> None:
    """It would take the next query's place."""
    service = FakeService(slow(served))
    voyage = hedged(service, requests_per_minute=1)

    runner.call(voyage, "embed", ["question"], MODEL, "query")

    assert len(service.attempts) == 1


def test_a_second_request_counts_for_the_limit(runner: Runner) -> None:
    """Two of three requests are used."""
    service = Hanging()
    voyage = hedged(service, requests_per_minute=3, total_timeout=10.0)
    runner.call(voyage, "embed", ["question"], MODEL, "query")
    limiter = voyage.context.budgets[MODEL].limiter

    assert limiter.reserve(1, is_query=True).wait() == 0
    assert limiter.reserve(1, is_query=True).wait() > 0


def slow(act: Callable[[bytes], Response]) -> Callable[[bytes], Response]:
    """Respond after a moment in which others run."""

    def answer(body: bytes) -> Response:
        threading.Event().wait(0.01)
        return act(body)

    return answer


@pytest.mark.parametrize("failure", [APIConnectionError("gone"), Timeout("late")])
def test_a_failure_of_one_leaves_the_other(runner: Runner, failure: Exception) -> None:
    """The call does not fail because the first request fails."""
    voyage = hedged(Waiting(failure), max_retries=0)

    found = runner.call(voyage, "embed", ["question"], MODEL, "query")

    assert found.embeddings == [vector_of("question")]


class Waiting(FakeService):
    """Fails the first request when the second one has arrived."""

    def __init__(self, failure: Exception) -> None:
        super().__init__()
        self.failure = failure
        self.second = threading.Event()
        self.numbers = itertools.count(1)

    def send(self, attempt: Attempt, state: Any) -> Response:
        if next(self.numbers) == 1:
            assert self.second.wait(5)
            raise self.failure
        self.second.set()
        threading.Event().wait(0.01)  # the failure comes first
        return super().send(attempt, state)

    async def asend(self, attempt: Attempt) -> Response:
        if next(self.numbers) == 1:
            while not self.second.is_set():
                await anyio.lowlevel.checkpoint()
            raise self.failure
        self.second.set()
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        return FakeService.send(self, attempt, None)


def test_where_both_fail_the_failure_is_raised(runner: Runner) -> None:
    """It is retried like any other."""
    voyage = hedged(FakeService(failed(503), failed(503), failed(503), failed(503)), max_retries=1)

    with pytest.raises(Exception, match="503"):
        runner.call(voyage, "embed", ["question"], MODEL, "query")


def test_a_caller_that_goes_away_ends_both() -> None:
    """No thread is left."""
    service, state = Hanging(hang=2), ThreadCallState()
    attempt = Attempt(Any, 1.0, hedge=lambda: True)  # type: ignore[arg-type]
    sender = HedgedSender(service, FakeClock(), 0.2)

    def leave() -> None:
        service.wait_for(hanging=2)
        state.end_all()

    threading.Thread(target=leave).start()

    with pytest.raises(Stopped):
        sender.send(attempt, state)

    service.wait_for(ended=2)


@pytest.mark.parametrize("after", [0, -1, float("nan"), 60.0])
def test_the_option_is_checked(after: float) -> None:
    """By name, at construction; after the timeout there would be no second request."""
    with pytest.raises(ConfigurationError, match="hedge_after"):
        Voyage(KEY, hedge_after=after)


def test_it_is_off_unless_asked_for() -> None:
    """The option switches it on."""
    with Voyage(KEY) as off, Voyage(KEY, hedge_after=0.2) as on:
        assert not isinstance(off.driver.sender, HedgedSender)
        assert isinstance(on.driver.sender, HedgedSender)
