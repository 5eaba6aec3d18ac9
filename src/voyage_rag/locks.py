"""Locks that do not stay locked after a fork."""

from __future__ import annotations

import os
import threading
from weakref import WeakValueDictionary

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


def _renew_all() -> None:
    for owner in list(_owners.values()):
        owner._lock = threading.Lock()  # type: ignore[attr-defined] # noqa: SLF001 - see above


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
