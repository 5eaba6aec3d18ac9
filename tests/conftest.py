"""For every test: no Voyage settings from the environment, only loopback, no waiting."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, TypeAlias, TypeVar

import anyio
import pytest
from hypothesis import settings

from fakes import FakeClock, HTTPService
from voyage_rag.core.context import BUDGETS

T = TypeVar("T")

collect_ignore = ["dropin", "stores"]
"""Run only if named, as `make stores` does: they need more packages than the rest."""

LOOPBACK = {"127.0.0.1", "127.255.255.255", "::1", "localhost"}

settings.register_profile("suite", deadline=None)
settings.load_profile("suite")


def pytest_configure() -> None:
    """Receive Ctrl-C also in a background job, whose shell makes every process ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process more than cores: tests also wait, for deadlines, disks and other processes."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_finish() -> None:
    """Exclude the imported modules and the collected tests from later garbage collections."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove settings and proxies from the environment, and reset all budgets."""
    for name in os.environ:
        if name.upper().startswith("VOYAGE_") or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
    BUDGETS.clear()


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow only connections to this machine."""

    def guarded(connect: Callable[..., Any]) -> Callable[..., Any]:
        def connect_here(self: socket.socket, address: Any) -> Any:
            if isinstance(address, tuple) and address[0] not in LOOPBACK:
                raise AssertionError(f"a test wants to connect to {address[0]!r}")
            return connect(self, address)

        return connect_here

    monkeypatch.setattr(socket.socket, "connect", guarded(socket.socket.connect))
    monkeypatch.setattr(socket.socket, "connect_ex", guarded(socket.socket.connect_ex))


@pytest.fixture
def clock() -> FakeClock:
    """A fake clock: no test waits."""
    return FakeClock()


@pytest.fixture
def http_service() -> Iterator[HTTPService]:
    """The service of the tests on a real socket."""
    service = HTTPService()
    yield service
    service.end()


class Runner:
    """Runs calls in one of three ways: sync, asyncio or trio.

    `call` makes one call. A `program` that makes several in one event loop is written once, as a
    coroutine that awaits `ask`; the sync runner runs it without an event loop.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_sync = name == "sync"
        self._closing: list[Any] = []

    def call(self, owner: Any, verb: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call `owner.verb(...)`, or its async variant in a new event loop."""
        return self.run(partial(self.ask, owner, verb, *args, **kwargs))

    async def ask(self, owner: Any, verb: str, /, *args: Any, **kwargs: Any) -> Any:
        """Do the same inside a coroutine."""
        if not self.is_sync:
            twin = "await_" if verb == "wait" else f"a{verb}"  # the other is a keyword
            return await getattr(owner, twin)(*args, **kwargs)
        self._closing.append(owner)
        return getattr(owner, verb)(*args, **kwargs)

    def run(self, program: Callable[[], Awaitable[T]]) -> T:
        """Run a coroutine to its end."""
        if not self.is_sync:
            return anyio.run(program, backend=self.name)  # type: ignore[arg-type]
        steps = program().__await__()
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        raise AssertionError("a program of the sync runner waits for an event loop")

    def close(self) -> None:
        """Close the connections that sync calls have left open."""
        for owner in self._closing:
            client = getattr(owner, "voyage", owner)
            if hasattr(client, "close"):
                client.close()


@pytest.fixture(params=["sync", "asyncio", "trio"])
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    """The test runs on all three."""
    runner = Runner(request.param)
    yield runner
    runner.close()


@pytest.fixture
def runners() -> Iterator[list[Runner]]:
    """All three for one test, which can wait for them at the same time."""
    runners = [Runner(name) for name in ("sync", "asyncio", "trio")]
    yield runners
    for runner in runners:
        runner.close()


EagerThreads: TypeAlias = Callable[[Callable[[], Any]], list[Any]]


@pytest.fixture
def eager_threads() -> Iterator[EagerThreads]:
    """Calls a function in four threads that start together and are switched often."""

    def call(function: Callable[[], Any]) -> list[Any]:
        barrier, results = threading.Barrier(4), []

        def run() -> None:
            barrier.wait()
            results.append(function())

        threads = [threading.Thread(target=run) for _ in range(barrier.parties)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield call
    sys.setswitchinterval(interval)
