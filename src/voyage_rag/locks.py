"""Locks that a fork does not leave held."""

from __future__ import annotations

import os
import threading
from weakref import WeakValueDictionary

_owners: WeakValueDictionary[int, object] = WeakValueDictionary()


def lock_for(owner: object) -> threading.Lock:
    """A mutex for the attribute `_lock` of `owner`, which has a free one in a forked child.

    Only the forking thread lives on in the child: a lock that another one held would be held for
    ever. What it guards may then lack that thread's last change; so it is for things that stay
    usable, such as counters.

    Args:
        owner: An object that can be referred to weakly, such as an instance or a module.
    """
    _owners[id(owner)] = owner
    return threading.Lock()


def _renew_all() -> None:
    for owner in list(_owners.values()):
        owner._lock = threading.Lock()  # type: ignore[attr-defined] # noqa: SLF001 - see above


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
