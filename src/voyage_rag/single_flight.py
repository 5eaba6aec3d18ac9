"""Share the requests of threads and tasks that need the same result at the same time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from functools import partial
from math import inf
from typing import Generic, TypeVar

from anyio import CapacityLimiter

from voyage_rag.errors import InvalidInputError, InvalidRequestError, VoyageError
from voyage_rag.io.tasks import in_thread, is_asyncio
from voyage_rag.locks import in_event_loop, lock_for

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SingleFlight(Generic[K, V]):
    """Results by key, from the first request until they are removed.

    If the caller that requests a result fails, all callers that wait for it receive its error. If
    it is cancelled, or if its input was rejected (which may be due to another key), they send the
    request themselves. A copy, and a forked process, start without results.
    """

    def __init__(self) -> None:
        self.known: dict[K, Future[V]] = {}
        self._process = os.getpid()
        self._lock = lock_for(self)

    def __reduce__(self) -> tuple[type[SingleFlight[K, V]], tuple[()]]:
        """Copies start without results, because futures cannot be copied."""
        return type(self), ()

    def claim(self, keys: Iterable[K]) -> tuple[list[K], dict[K, Future[V]]]:
        """Return the keys that the caller must request, and the results of all keys."""
        with self._lock:
            if self._process != os.getpid():  # a fork, which the threads and tasks did not survive
                self._process, self.known = os.getpid(), {}
            listed = list(keys)
            own = [key for key in listed if key not in self.known]
            self.known |= {key: Future() for key in own}
            return own, {key: self.known[key] for key in listed}

    def get(
        self,
        keys: Iterable[K],
        request: Callable[[list[K]], Iterable[V]],
        finished_of: Callable[[list[K], VoyageError], Mapping[K, V]] = lambda _, __: {},
    ) -> dict[K, V]:
        """Return the results of the keys, and request those that no other caller has requested.

        In an event loop, it requests those of other callers, too: waiting for them would block the
        loop, perhaps with the very task that it waits for.

        Args:
            keys: The keys.
            request: Returns one result per key.
            finished_of: Returns the results of these keys that an error contains.
        """
        listed, found = list(keys), dict[K, V]()
        while missing := [key for key in listed if key not in found]:
            own, futures = self.claim(missing)
            if own:
                with self.publishing(own, partial(finished_of, own)) as results:
                    results.update(zip(own, request(own), strict=True))
            if in_event_loop():
                others = [key for key, future in futures.items() if not future.done()]
                found |= zip(others, request(others) if others else (), strict=True)
            for key, future in futures.items():
                if key not in found:
                    with suppress(CancelledError):
                        found[key] = future.result()
        return found

    async def aget(
        self,
        keys: Iterable[K],
        request: Callable[[list[K]], Awaitable[Iterable[V]]],
        finished_of: Callable[[list[K], VoyageError], Mapping[K, V]] = lambda _, __: {},
    ) -> dict[K, V]:
        """Async variant of `get`."""
        listed, found = list(keys), dict[K, V]()
        while missing := [key for key in listed if key not in found]:
            own, futures = self.claim(missing)
            if own:
                with self.publishing(own, partial(finished_of, own)) as results:
                    results.update(zip(own, await request(own), strict=True))
            for key, future in futures.items():
                with suppress(CancelledError):
                    found[key] = await result_of(future)
        return found

    @contextmanager
    def publishing(
        self, own: Iterable[K], finished_of: Callable[[VoyageError], Mapping[K, V]] = lambda _: {}
    ) -> Iterator[dict[K, V]]:
        """Publish the results that the block adds to the dictionary, or its exception.

        Args:
            own: The claimed keys.
            finished_of: Returns the results that an error contains.
        """
        results: dict[K, V] = {}
        failure: BaseException | None = None
        try:
            yield results
        except VoyageError as error:
            failure, results = error, dict(finished_of(error))
            raise
        except BaseException as error:
            failure, results = error, {}
            raise
        finally:
            self._publish(own, results, failure)

    def forget(
        self,
        keys: Iterable[K],
        most: float = inf,
        size: Callable[[K], int] | None = len,  # type: ignore[assignment]
    ) -> None:
        """Remove results, and then the least recently used ones while their size exceeds `most`.

        A result that is still in flight is not removed: other callers wait for it.

        Args:
            keys: The keys of the results.
            most: The maximum size of all results.
            size: Returns the size of a result; None counts results.
        """
        with self._lock:
            for key in keys:
                if key in self.known and self.known[key].done():
                    del self.known[key]
            kept = len(self.known) if size is None else sum(map(size, self.known))
            removed = []
            for key, future in self.known.items():
                if kept <= most:
                    break
                if future.done():
                    kept -= 1 if size is None else size(key)
                    removed.append(key)
            for key in removed:
                del self.known[key]

    def use(self, key: K) -> None:
        """Mark a result as recently used."""
        with self._lock:
            if key in self.known:
                self.known[key] = self.known.pop(key)

    def _publish(
        self, own: Iterable[K], finished: Mapping[K, V], failure: BaseException | None
    ) -> None:
        concerns_others = isinstance(failure, VoyageError) and not isinstance(
            failure, (InvalidInputError, InvalidRequestError)
        )
        with self._lock:
            for key in own:
                future = self.known[key]
                if key in finished:
                    future.set_result(finished[key])
                    continue
                del self.known[key]
                if concerns_others:
                    future.set_exception(failure)
                else:
                    future.cancel()


async def result_of(future: Future[V]) -> V:
    """Await a result that a thread or another task will set, without blocking the event loop."""
    if not future.done():
        if is_asyncio():
            arrived = asyncio.Event()
            future.add_done_callback(partial(_notify, asyncio.get_running_loop(), arrived))
            await arrived.wait()
        else:
            await in_thread(_wait, future, abandon_on_cancel=True, limiter=CapacityLimiter(inf))
    return future.result()


def _notify(loop: asyncio.AbstractEventLoop, arrived: asyncio.Event, _: object) -> None:
    with suppress(RuntimeError):  # the loop has been closed
        loop.call_soon_threadsafe(arrived.set)


def _wait(future: Future[V]) -> None:
    try:
        future.exception()
    except CancelledError:
        return
