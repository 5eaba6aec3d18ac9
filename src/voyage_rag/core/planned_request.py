"""A request that has been planned, and what the requests of one call share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import Generic, TypeVar

from voyage_rag.core.flow import RequestItem
from voyage_rag.hosts.messages import Request

Item = TypeVar("Item", bound=RequestItem)


class PlannedRequest(Generic[Item]):
    """A request, and its items. A subclass may determine both when the request is sent.

    Attributes:
        items: The items.
        request: The request.
    """

    def __init__(
        self, items: Sequence[Item], request: Request, tokens_of: Callable[[float], int]
    ) -> None:
        self.items: Sequence[Item] = items
        self.request: Request = request
        self._tokens_of = tokens_of

    @property
    def is_needed(self) -> bool:
        """Whether it has items that no other request has sent."""
        return True

    def tokens(self) -> int:
        """Return its expected tokens."""
        return self._tokens_of(sum(item.estimated_tokens for item in self.items))

    def take(self) -> Request:
        """Return the request to send, or raise a `NothingToSendError`."""
        return self.request

    def put_back(self) -> None:
        """Prepare for the next attempt after a 429."""

    def withdraw(self) -> Sequence[Item]:
        """Return its items, which will not be sent."""
        return self.items


class Rejected:
    """The requests of one call that a 429 rejected. They wait for the limit one after another.

    Otherwise a request would wait for all the others, for which its total timeout is too short.

    Attributes:
        accepted_at: When the service last accepted a request of the call.
        first: The request that waits for the limit.
    """

    def __init__(self) -> None:
        self.accepted_at: float = -inf
        self.first: object = None

    def is_turn_of(self, request: object) -> bool:
        """Return whether a request may wait for the limit. It then leaves at the end."""
        self.first = self.first or request
        return self.first is request

    def leave(self, request: object) -> None:
        """Let the next request wait for the limit."""
        if self.first is request:
            self.first = None
