"""Locks that a fork cannot leave locked, forks that wait for C libraries, and event loops."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakValueDictionary

MAX_FORK_DELAY_SECONDS = 5.0

_owners: WeakValueDictionary[int, object] = WeakValueDictionary()


def lock_for(owner: object) -> threading.Lock:
    """Return a mutex for the attribute `_lock` of `owner`, which is unlocked in a forked child.

    Only the forking thread continues in the child, so a lock that another thread held would never
    be released. The guarded state may lack the last change of that thread; use this only for state
    that stays usable, such as counters.

    Args:
        owner: An object that supports weak references, such as an instance or a module.
    """
    _owners[id(owner)] = owner
    return threading.Lock()


def in_event_loop() -> bool:
    """Return whether an event loop runs in this thread, without an import, which would block it."""
    asyncio: Any = sys.modules.get("asyncio")
    with suppress(RuntimeError):
        if asyncio is not None:
            return bool(asyncio.get_running_loop())
    trio: Any = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_run())


def is_first(seen: dict[Hashable, object], key: Hashable) -> bool:
    """Add a key to `seen`, and return whether it is new: True for one thread only."""
    mine = object()
    return seen.setdefault(key, mine) is mine


class _ForkGuard:
    """Counts the threads that execute a block which a fork must not interrupt."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.count = 0
        self.changed = threading.Condition()  # reentrant: a signal handler may fork

    def add(self, number: int) -> None:
        with self.changed:
            self.count += number
            self.changed.notify_all()

    def hold(self) -> None:
        """Wait until no thread executes a block, and block new ones until `release` is called."""
        self.changed.acquire()
        self.changed.wait_for(lambda: self.count == 0, MAX_FORK_DELAY_SECONDS)

    def release(self) -> None:
        self.changed.release()


_guard = _ForkGuard()


@contextmanager
def delay_forks() -> Iterator[None]:
    """Delay forks of this process by up to 5 s while a thread executes the block.

    glibc holds locks while it resolves a name, and OpenSSL while it reads certificates and during a
    handshake. In a child that is forked meanwhile, they would never be released, and its first
    connection would hang.
    """
    _guard.add(1)
    try:
        yield
    finally:
        _guard.add(-1)


def _reset_in_child() -> None:
    _guard.reset()
    for owner in list(_owners.values()):
        owner._lock = threading.Lock()  # type: ignore[attr-defined] # noqa: SLF001 - see above


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_guard.hold,
        after_in_parent=_guard.release,
        after_in_child=_reset_in_child,
    )
