"""Locks that a fork cannot leave locked, forks that wait for C libraries, and what happens once."""

from __future__ import annotations

import os
import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
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


def is_first(seen: dict[Hashable, object], key: Hashable) -> bool:
    """Add a key to those seen. Returns True once, even if several threads add the key together."""
    mine = object()
    return seen.setdefault(key, mine) is mine


class _Blocks:
    """How many threads execute a block that a fork must not interrupt."""

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
        """Wait until there are none, and let none begin until `release` is called."""
        self.changed.acquire()
        self.changed.wait_for(lambda: self.count == 0, MAX_FORK_DELAY_SECONDS)

    def release(self) -> None:
        self.changed.release()


_blocks = _Blocks()


@contextmanager
def forks_wait() -> Iterator[None]:
    """Let a fork of this process wait, 5 s at most, while any thread executes the block.

    glibc holds locks while it resolves a name, and OpenSSL while it reads certificates and during a
    handshake. In a child that is forked meanwhile nobody would release them, and its first
    connection would hang.
    """
    _blocks.add(1)
    try:
        yield
    finally:
        _blocks.add(-1)


def _renew_all() -> None:
    _blocks.reset()
    for owner in list(_owners.values()):
        owner._lock = threading.Lock()  # type: ignore[attr-defined] # noqa: SLF001 - see above


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_blocks.hold,
        after_in_parent=_blocks.release,
        after_in_child=_renew_all,
    )
