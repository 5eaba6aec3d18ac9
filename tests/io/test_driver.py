"""The driver: the outcome of a flow, however it ends."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import Any

import anyio
import pytest

from fakes import FakeClock, FakeService, ok
from voyage_rag.core.flow import Attempt, CacheGet, CachePut, Flow
from voyage_rag.errors import APIConnectionError, AuthenticationError
from voyage_rag.hosts.messages import Request, Response
from voyage_rag.io.call_state import Stopped, ThreadCallState
from voyage_rag.io.clock import SystemClock
from voyage_rag.io.driver import Driver

REQUEST = Request("/embeddings", b'{"input":"a"}', "m", 1)


def driven(runner: Any, flow: Flow[Any], *script: Any, clock: Any = None, store: Any = None) -> Any:
    """Return the outcome of a flow, sync or async."""
    driver = Driver(FakeService(*script), clock or FakeClock(), store)
    return runner.run(partial(runner.ask, driver, "run", flow))


class Recorded:
    """A flow that records what it was sent, and whether it was closed."""

    def __init__(self, *effects: Any) -> None:
        self.effects = effects
        self.reported: list[Any] = []
        self.closed = False

    def flow(self) -> Flow[str]:
        try:
            for effect in self.effects:
                try:
                    self.reported.append((yield effect))
                except APIConnectionError as error:
                    self.reported.append(error)
            return "done"
        finally:
            self.closed = True


def test_a_flow_receives_responses_and_lost_connections(runner) -> None:
    """Responses are sent in, APIConnectionErrors are thrown in, and its result comes out."""
    lost = APIConnectionError("lost")
    recorded = Recorded(Attempt(REQUEST, 1.0), Attempt(REQUEST, 1.0))

    assert driven(runner, recorded.flow(), ok({}), lost) == "done"
    assert [ok({}), lost] == recorded.reported
    assert recorded.closed


def test_an_attempt_waits_until_the_limit_allows_it(runner) -> None:
    """The limit is checked again after every wait, because it may have been reached meanwhile."""
    clock = FakeClock()
    waits = iter([2.0, 0.5, 0.0])
    recorded = Recorded(Attempt(REQUEST, 1.0, wait=lambda: next(waits)))

    assert driven(runner, recorded.flow(), ok({}), clock=clock) == "done"
    assert clock.sleeps == [2.0, 0.5]


@pytest.mark.parametrize("error", [ZeroDivisionError, AuthenticationError, StopIteration])
def test_an_error_of_the_transport_closes_the_flow(runner, error: type[Exception]) -> None:
    """Anything but a lost connection is the caller's; StopIteration is not taken for the end."""
    recorded = Recorded(Attempt(REQUEST, 1.0))

    def breaks(body: bytes) -> Response:
        raise error

    with pytest.raises((error, RuntimeError)):
        driven(runner, recorded.flow(), breaks)
    assert (recorded.reported, recorded.closed) == ([], True)


def test_an_error_of_the_flow_is_raised(runner) -> None:
    """It is unchanged."""
    error = AuthenticationError("no")

    def flow() -> Flow[None]:
        yield Attempt(REQUEST, 1.0)
        raise error

    with pytest.raises(AuthenticationError) as caught:
        driven(runner, flow(), ok({}))
    assert error is caught.value


def test_without_a_cache_nothing_is_recalled(runner) -> None:
    """A flow that reads the cache all the same gets nothing."""
    recorded = Recorded(CacheGet([b"k"]), CachePut({b"k": b"v"}))

    assert driven(runner, recorded.flow()) == "done"
    assert recorded.reported == [{}, {}]


def test_a_cache_is_read_and_written(runner) -> None:
    """Cached entries are passed to the flow, and new ones are stored before it continues."""
    kept: dict[bytes, bytes] = {b"old": b"1"}

    class Store:
        def find(self, keys: Any) -> Any:
            return {key: kept[key] for key in keys if key in kept}

        def add(self, entries: Any) -> None:
            kept.update(entries)

        def close(self) -> None:
            pass

    recorded = Recorded(CachePut({b"new": b"2"}), CacheGet([b"old", b"new", b"none"]))
    driven(runner, recorded.flow(), store=Store())

    assert recorded.reported[1] == {b"old": b"1", b"new": b"2"}


def test_a_stopped_thread_sends_nothing_more() -> None:
    """Stopped before its first attempt, or while it waits for a turn; the flow is closed."""
    for waiting in (False, True):
        abort, service, clock = ThreadCallState(), FakeService(), FakeClock()
        recorded = Recorded(Attempt(REQUEST, 1.0, wait=partial(_stops, abort, stops=waiting)))
        if not waiting:
            abort.stop()

        with pytest.raises(Stopped):
            Driver(service, clock).drive(recorded.flow(), abort, None)
        assert (service.attempts, recorded.reported, recorded.closed) == ([], [], True)


def _stops(abort: ThreadCallState, *, stops: bool) -> float:
    """A request that is stopped shortly before it may be sent."""
    if stops:
        abort.stop()
    return 5.0 if stops else 0.0


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cancellation_closes_the_flow(backend: str) -> None:
    """In flight, and while it waits for a turn."""

    class Silent(FakeService):
        async def asend(self, attempt: Attempt) -> Response:
            await anyio.sleep_forever()
            raise AssertionError

    async def program(recorded: Recorded) -> bool:
        with anyio.move_on_after(0.05) as scope:
            await Driver(Silent(), SystemClock()).arun(recorded.flow())
        return scope.cancelled_caught

    for wait in (0.0, 60.0):
        recorded = Recorded(Attempt(REQUEST, 1.0, wait=partial(float, wait)))
        assert anyio.run(program, recorded, backend=backend)
        assert (recorded.reported, recorded.closed) == ([], True)


# ── time ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_real_clock_goes_forward_and_knows_the_date() -> None:
    """`now` never goes back; `wall` is the time of day."""
    clock = SystemClock()
    now = clock.now()

    assert abs(clock.wall() - time.time()) < 1
    assert now <= clock.now() < now + 1


def test_a_real_sleep_lasts_and_can_be_ended(runner) -> None:
    """It lasts as long as requested, or until it is woken."""
    clock = SystemClock()

    async def slept(seconds: float, *, woken: bool) -> float:
        began = time.monotonic()
        wake: Any = threading.Event() if runner.is_sync else anyio.Event()
        if woken:
            wake.set()
        if runner.is_sync:
            clock.sleep(seconds, wake)
        else:
            await clock.asleep(seconds, wake)
        return time.monotonic() - began

    assert 0.05 <= runner.run(partial(slept, 0.05, woken=False)) < 1
    assert runner.run(partial(slept, 20, woken=True)) < 1
