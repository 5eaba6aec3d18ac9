"""The transport of a host that runs in this process."""

from __future__ import annotations

from voyage_rag.core.flow import Attempt
from voyage_rag.hosts import InProcessHost
from voyage_rag.hosts.messages import Response
from voyage_rag.io.call_state import ThreadCallState
from voyage_rag.io.tasks import in_thread


class InProcessSender:
    """Lets a host compute responses: in the thread of a sync call, or off the event loop.

    A computation cannot be interrupted, so timeouts do not apply.
    """

    def __init__(self, host: InProcessHost) -> None:
        self._host = host

    def send(self, attempt: Attempt, abort: ThreadCallState) -> Response:  # noqa: ARG002 - no abort
        """Compute a response."""
        return self._host.respond(attempt.request)

    async def asend(self, attempt: Attempt) -> Response:
        """Async variant of `send`."""
        return await in_thread(self._host.respond, attempt.request)

    def close(self) -> None:
        """Do nothing: there are no connections."""

    async def aclose(self) -> None:
        """Do nothing: there are no connections."""
