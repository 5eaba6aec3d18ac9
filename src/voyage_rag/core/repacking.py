"""Combine items that wait for a rate limit in fewer requests, if requests are scarce.

A job is planned before its limit is known. When a 429 names three requests a minute, sixteen small
requests are in flight; the items of rejected and unsent ones may fit into one request.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from itertools import chain
from typing import Generic, TypeVar

from voyage_rag.core.flow import NothingToSendError, RequestItem
from voyage_rag.core.planning import Limits, are_scarce, slices
from voyage_rag.core.rate_limiter import RateLimiter
from voyage_rag.core.retry import PlannedRequest
from voyage_rag.hosts.messages import Request

Item = TypeVar("Item", bound=RequestItem)


class WaitingItems(Generic[Item]):
    """Items of one call that wait to be sent, in the order of the call.

    If the limiter knows that requests are scarce, they are sent with others.
    """

    def __init__(
        self,
        limits: Callable[[], Limits],
        size_of: Callable[[Item], float],
        limiter: RateLimiter,
    ) -> None:
        self._limits = limits
        self._size_of = size_of
        self._limiter = limiter
        self._items: dict[Hashable, Item] = {}
        self._lock = threading.Lock()

    def add(self, items: Sequence[Item]) -> None:
        """Add waiting items."""
        with self._lock:
            self._items |= {item.key: item for item in items}

    def left(self, items: Sequence[Item]) -> list[Item]:
        """Return those of the items that still wait."""
        return [item for item in items if item.key in self._items]

    def together(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return the items of the next request: those that still wait, and others that fit."""
        own = self.left(items)
        if not own or not are_scarce(self._limiter.limits.requests_per_minute):
            return own
        keys = {item.key for item in own}
        with self._lock:
            others = [item for item in self._items.values() if item.key not in keys]
        return next(slices(chain(own, others), self._limits, self._size_of))

    def take(self, items: Sequence[Item]) -> list[Item]:
        """Remove items that are sent, and return those that no other request has taken."""
        with self._lock:
            return [item for item in items if self._items.pop(item.key, None) is not None]


class PackedRequest(PlannedRequest[Item]):
    """A request whose items are determined when it is sent."""

    def __init__(
        self,
        own: Sequence[Item],
        make: Callable[[Sequence[Item]], Request],
        tokens_of: Callable[[float], int],
        waiting: WaitingItems[Item],
    ) -> None:
        super().__init__(own, make(own), tokens_of)
        self._own = own
        self._make = make
        self._waiting = waiting
        self._is_taken = False
        waiting.add(own)

    @property
    def is_needed(self) -> bool:
        """Whether other requests have left some of its items."""
        return self._is_taken or bool(self._waiting.left(self._own))

    def tokens(self) -> int:
        """Return its expected tokens; 0 if other requests have taken all its items."""
        if not self._is_taken:
            self.items = self._waiting.together(self._own)
        return super().tokens() if self.items else 0

    def take(self) -> Request:
        """Return the request to send. After a failure other than a 429, it is the same one."""
        if self._is_taken:
            return self.request
        self.items = self._waiting.take(self.items)
        if not self.items:
            raise NothingToSendError
        self._is_taken = True
        own = self._own
        if len(self.items) != len(own) or self.items[-1] is not own[-1]:
            self.request, self._own = self._make(self.items), self.items
        return self.request

    def withdraw(self) -> Sequence[Item]:
        """Return its remaining items, which no other request may take."""
        if self._is_taken:
            return self.items
        return self._waiting.take(self.items)

    def put_back(self) -> None:
        """Let its items wait again after a 429."""
        self._is_taken = False
        self._waiting.add(self.items)
