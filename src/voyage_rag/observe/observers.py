"""Observers, and protection of calls from failing observers."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, cast

from voyage_rag.errors import ConfigurationError
from voyage_rag.events import Call, Event, Observer
from voyage_rag.locks import lock_for

LOG = logging.getLogger("voyage_rag")


class GuardedObserver:
    """An observer whose first exception is logged and never raised.

    If the observer has a method `within(call)`, calls that return a complete result run in the
    context manager that it returns, such as the current span of OpenTelemetry.
    """

    __slots__ = ("_has_failed", "_within", "observer")

    def __init__(self, observer: Observer) -> None:
        self.observer: Observer = observer
        self._within = getattr(observer, "within", None)
        self._has_failed = False

    def __call__(self, event: Event) -> None:
        """Notify the observer."""
        try:
            self.observer(event)
        except Exception as error:  # noqa: BLE001 - whatever it is, the call continues
            self._log_once(error)

    def within(self, call: Call) -> AbstractContextManager[object]:
        """Return the context in which the call runs."""
        return nullcontext() if self._within is None else self._entered(call)

    @contextmanager
    def _entered(self, call: Call) -> Iterator[None]:
        context = None
        try:
            context = self._within(call)  # type: ignore[misc] # `within` has checked it
            context.__enter__()
        except Exception as error:  # noqa: BLE001 - whatever it is, the call continues
            self._log_once(error)
            context = None
        try:
            yield
        finally:
            try:
                if context is not None:
                    context.__exit__(None, None, None)
            except Exception as error:  # noqa: BLE001 - whatever it is, the call continues
                self._log_once(error)

    def _log_once(self, error: Exception) -> None:
        if not self._has_failed:
            self._has_failed = True
            LOG.error(
                "the observer %r failed; this is logged once, and calls continue",
                type(self.observer).__name__
                if not inspect.isroutine(self.observer)
                else self.observer.__qualname__,
                exc_info=error,
            )


class Observers(tuple["Observer", ...]):
    """Observers, which copies share and pickles omit."""

    __slots__ = ()

    def __deepcopy__(self, memo: dict[int, object]) -> Observers:
        return self

    def __reduce__(self) -> tuple[type[Observers], tuple[()]]:
        return Observers, ()


NO_OBSERVERS = Observers()


def as_observers(observers: object) -> Observers:
    """Return observers, or raise a `ConfigurationError` if one is not a function of an event."""
    if isinstance(observers, Observers):
        return observers
    try:
        given = iter(observers)  # type: ignore[call-overload]
    except TypeError:
        raise ConfigurationError(
            f"observers must be a list of functions that take an event, not "
            f"{type(observers).__name__}"
        ) from None
    return Observers(map(_checked, given))


class GlobalObservers:
    """The observers of all calls of this process.

    Attributes:
        current: The observers. The tuple is replaced as a whole, so readers need no lock.
    """

    def __init__(self) -> None:
        self.current: tuple[GuardedObserver, ...] = ()
        self._lock = lock_for(self)

    def add(self, observer: Observer) -> None:
        """Add an observer, unless it was added before."""
        with self._lock:
            if all(known.observer != observer for known in self.current):
                self.current = (*self.current, GuardedObserver(observer))

    def remove(self, observer: Observer) -> None:
        """Remove an observer, if it was added."""
        with self._lock:
            self.current = tuple(known for known in self.current if known.observer != observer)


GLOBAL_OBSERVERS = GlobalObservers()


def add_observer(observer: Observer) -> None:
    """Notify this observer of all calls of this process, from the next one on.

    Raises:
        ConfigurationError: It is not a plain function of an event.
    """
    GLOBAL_OBSERVERS.add(_checked(observer))


def remove_observer(observer: Observer) -> None:
    """Stop notifying this observer. Does nothing if it was not added."""
    GLOBAL_OBSERVERS.remove(observer)


def _checked(observer: Any) -> Observer:
    call = observer if inspect.isroutine(observer) else getattr(observer, "__call__", None)  # noqa: B004
    if not callable(observer) or isinstance(observer, type):
        raise ConfigurationError(
            f"an observer must be a function that takes an event, not {type(observer).__name__}"
        )
    if inspect.iscoroutinefunction(call):
        raise ConfigurationError(
            "an observer must not be a coroutine function, because threads call it, too: put the "
            "events into a queue, and read it in a task"
        )
    return cast("Observer", observer)
