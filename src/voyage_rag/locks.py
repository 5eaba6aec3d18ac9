"""Locks that a fork does not leave held."""

from __future__ import annotations

import os
import threading
from types import TracebackType
from typing import Any
from weakref import WeakSet


class Lock:
    """A mutex that is free in a forked child, whichever thread of the parent held it.

    Only the forking thread lives on in the child: a lock that another one held would be held for
    ever. What it guards may then lack that thread's last change; so it is for things that stay
    usable, such as counters.
    """

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        _LOCKS.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lock.release()

    def renew(self) -> None:
        """Be free, whoever holds it."""
        self._lock = threading.Lock()


def lock_for(owner: Any) -> threading.Lock:
    """The same for `owner._lock`, as a plain lock: a call takes some, and each `with` counts."""
    _OWNERS.add(owner)
    return threading.Lock()


_LOCKS: WeakSet[Lock] = WeakSet()
_OWNERS: WeakSet[Any] = WeakSet()


def _renew_all() -> None:
    for lock in list(_LOCKS):
        lock.renew()
    for owner in list(_OWNERS):
        owner._lock = threading.Lock()  # noqa: SLF001 - as agreed with `lock_for`


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
