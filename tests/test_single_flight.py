"""Results that several callers request are computed once, shared, and kept for a limited time."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from concurrent.futures import CancelledError, Future

import anyio
import pytest
import trio

from voyage_rag.errors import InvalidRequestError, ServerError
from voyage_rag.single_flight import SingleFlight, result_of


def test_a_key_is_claimed_by_one_caller_until_it_is_forgotten() -> None:
    """The others get the same future."""
    flight: SingleFlight[str, int] = SingleFlight()
    own, first = flight.claim(["a", "b"])
    others, second = flight.claim(["b", "c"])
    assert (own, others) == (["a", "b"], ["c"])
    assert first["b"] is second["b"]
    with flight.publishing(own) as results:
        results |= {"a": 1, "b": 2}
    assert second["b"].result() == 2
    flight.forget(["b"])
    assert flight.claim(["a", "b"])[0] == ["b"]


def test_a_request_in_flight_is_not_removed() -> None:
    """A caller may forget an older result of the same key; those who wait now still get theirs."""
    flight: SingleFlight[str, int] = SingleFlight()
    own, futures = flight.claim(["a"])
    flight.forget(["a"])
    assert flight.claim(["a"]) == ([], futures)
    with flight.publishing(own) as results:
        results["a"] = 1
    assert futures["a"].result(0) == 1
    flight.forget(["a"])
    assert flight.known == {}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
def test_a_forked_process_sends_its_own_request() -> None:
    """The threads that the requests belong to exist in the parent only."""
    program = """
import os
from voyage_rag.single_flight import SingleFlight

flight = SingleFlight()
flight.claim(["in flight"])
if os.fork() == 0:
    os._exit(flight.get(["in flight"], lambda keys: [7])["in flight"])
assert os.waitstatus_to_exitcode(os.wait()[1]) == 7
assert flight.claim(["in flight"])[0] == []
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)


def test_a_failure_of_the_service_reaches_those_who_wait_and_frees_the_key() -> None:
    """The next caller computes it again."""
    flight: SingleFlight[str, int] = SingleFlight()
    own, futures = flight.claim(["a"])
    with pytest.raises(ServerError), flight.publishing(own):
        raise ServerError("down")
    with pytest.raises(ServerError, match="down"):
        futures["a"].result(0)
    assert flight.claim(["a"])[0] == ["a"]


@pytest.mark.parametrize("reason", [InvalidRequestError("bad"), KeyboardInterrupt(), ValueError()])
def test_what_may_concern_the_caller_alone_lets_others_ask_themselves(
    reason: BaseException,
) -> None:
    flight: SingleFlight[str, int] = SingleFlight()
    own, futures = flight.claim(["a"])
    with pytest.raises(type(reason)), flight.publishing(own):
        raise reason
    with pytest.raises(CancelledError):
        futures["a"].result(0)
    assert flight.claim(["a"])[0] == ["a"]


def test_results_that_an_error_carries_are_kept() -> None:
    """They were paid for."""
    flight: SingleFlight[str, int] = SingleFlight()
    own, futures = flight.claim(["a", "b"])
    with pytest.raises(ServerError), flight.publishing(own, lambda _: {"a": 1}):
        raise ServerError("half way")
    assert futures["a"].result(0) == 1
    assert flight.claim(["a", "b"])[0] == ["b"]


def test_the_oldest_results_are_dropped_beyond_a_size() -> None:
    """Those in flight are kept; a result that was used counts as recent."""
    flight: SingleFlight[str, int] = SingleFlight()
    own, _ = flight.claim(["a", "bb", "c"])
    with flight.publishing(own) as results:
        results |= {"a": 1, "bb": 2, "c": 3}
    pending, _ = flight.claim(["d"])
    flight.use("a")
    flight.use("never claimed")
    flight.forget((), most=3)
    assert list(flight.known) == ["c", "d", "a"]
    flight.forget((), most=3)
    assert list(flight.known) == ["c", "d", "a"]
    flight.forget((), most=0)
    assert list(flight.known) == pending


def test_a_large_cache_is_not_searched_for_each_result() -> None:
    """It reads only the results to remove; otherwise a hit would take longer than a request."""
    looked_at: list[object] = []

    class Counted(Future[int]):
        def done(self) -> bool:
            looked_at.append(self)
            return super().done()

    flight: SingleFlight[int, int] = SingleFlight()
    flight.known = {number: Counted() for number in range(1_000)}
    for future in flight.known.values():
        future.set_result(1)
    looked_at.clear()
    flight.forget((), most=1_000, size=None)
    assert (looked_at, len(flight.known)) == ([], 1_000)
    flight.forget((), most=998, size=None)
    assert (len(looked_at), next(iter(flight.known))) == (2, 2)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_event_loop_waits_for_the_result_of_a_thread(backend: str) -> None:
    """Without being blocked."""
    flight: SingleFlight[str, int] = SingleFlight()
    own, futures = flight.claim(["a"])

    def work() -> None:
        with flight.publishing(own) as results:
            results["a"] = 1

    async def program() -> int:
        thread = threading.Thread(target=work)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep, 0)
            thread.start()
            found = await result_of(futures["a"])
        thread.join()
        return found + await result_of(futures["a"])

    assert anyio.run(program, backend=backend) == 2


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_sync_call_does_not_wait_for_a_task_of_its_own_event_loop(backend: str) -> None:
    """The task could never finish, and the program would hang."""
    flight: SingleFlight[str, int] = SingleFlight()
    found: list[dict[str, int]] = []

    async def program() -> None:
        arrived, may_end = anyio.Event(), anyio.Event()

        async def ask(_: list[str]) -> list[int]:
            arrived.set()
            await may_end.wait()
            return [1]

        async def task() -> None:
            found.append(await flight.aget(["a"], ask))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(task)
            await arrived.wait()
            found.append(flight.get(["a", "b"], lambda keys: [len(keys) + 1 for _ in keys]))
            may_end.set()
        found.append(flight.get(["a", "b"], lambda _: pytest.fail("both are known")))

    anyio.run(program, backend=backend)
    assert found == [{"a": 2, "b": 2}, {"a": 1}, {"a": 1, "b": 2}]


def test_trio_as_a_guest_of_asyncio_waits_too() -> None:
    """A loop is then running, but the caller is not one of its tasks."""
    flight: SingleFlight[str, int] = SingleFlight()
    own, futures = flight.claim(["a"])

    async def guest() -> int:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, work)
            return await result_of(futures["a"])

    def work() -> None:
        with flight.publishing(own) as results:
            results["a"] = 1

    async def host() -> int:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        trio.lowlevel.start_guest_run(
            guest, run_sync_soon_threadsafe=loop.call_soon_threadsafe, done_callback=done.set_result
        )
        found: int = (await done).unwrap()
        return found

    assert asyncio.run(host()) == 1


@pytest.mark.parametrize("runner", ["sync", "asyncio", "trio"], indirect=True)
def test_a_result_is_asked_for_once_and_kept(runner) -> None:
    flight: SingleFlight[str, int] = SingleFlight()
    asked: list[list[str]] = []

    def ask(keys: list[str]) -> list[int]:
        asked.append(keys)
        return list(map(len, keys))

    async def aask(keys: list[str]) -> list[int]:
        return ask(keys)

    async def program() -> None:
        for keys in (["a", "bb"], ["bb", "ccc"]):
            found = flight.get(keys, ask) if runner.is_sync else await flight.aget(keys, aask)
            assert found == {key: len(key) for key in keys}

    runner.run(program)
    assert asked == [["a", "bb"], ["ccc"]]
