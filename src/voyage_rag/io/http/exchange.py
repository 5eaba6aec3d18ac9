"""One attempt on its way: over which connection, and what becomes of it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from math import inf
from typing import TYPE_CHECKING

import httpcore

from voyage_rag.io.http.failures import connection_error
from voyage_rag.io.http.response import UnreadableBodyError, UnwritableFileError, body_of
from voyage_rag.io.http.streams import UnrequestedBytesError

if TYPE_CHECKING:
    from voyage_rag.core.flow import Attempt
    from voyage_rag.hosts.host import Host
    from voyage_rag.io.http.pool import ConnectionPool, PooledConnection
    from voyage_rag.io.http.response import FileBody, ResponseBody
    from voyage_rag.io.http.streams import AsyncStream, SyncStream

MIN_SILENCE_SECONDS = 2.0
SILENCE_FACTOR = 4
SMALL_REQUEST_BYTES = 2**14
"""A reused connection that stays silent is given up early: after four times the longest wait of
late where asking twice costs next to nothing, and else after half of the attempt's time."""

FAILURES = (OSError, httpcore.ProtocolError, httpcore.NetworkError, UnreadableBodyError)


class StaleConnectionError(Exception):
    """A reused connection was of no use; the request is to be sent on a new one."""


class Exchange:
    """One attempt on its way: its message, its connection, and the head of its response.

    Attributes:
        attempt: What is sent.
        message: The same in httpcore's terms.
        deadline: When it has to be over, on the monotonic clock.
        pool: Where connections come from.
        connection: The one that is used, once it is taken.
        stream: What httpcore reads and writes, once there is a connection.
        status: HTTP's, once there is a response.
        headers: Of the response, with names in lower case.
    """

    def __init__(self, attempt: Attempt, message: httpcore.Request, pool: ConnectionPool) -> None:
        self.attempt = attempt
        self.message = message
        self.deadline: float = inf if attempt.limits_silence else time.monotonic() + attempt.timeout
        self.pool = pool
        self.connection: PooledConnection | None = None
        self._wants_new = not attempt.request.repeatable or attempt.request.upload is not None
        self._is_ended = False
        self.stream: SyncStream | AsyncStream | None = None
        self.status = 0
        self.headers: dict[str, str] = {}
        self._began = 0.0

    def take_connection(self) -> PooledConnection:
        """The connection to use, open or not."""
        connection = self.pool.new() if self._wants_new else self.pool.take()
        self.connection = connection
        if self._is_ended:
            connection.end()
        return connection

    def want_new_connection(self, stale: PooledConnection) -> None:
        """Use a new connection next, and no longer any that was idle for as long as a stale one."""
        self.pool.drop_older(stale.used_at)
        self._wants_new = True

    def end(self) -> None:
        """Have the thread that waits for the response stop waiting; called by another thread."""
        self._is_ended = True
        if self.connection is not None:
            self.connection.end()

    def max_silence(self, connection: PooledConnection, waits: Iterable[float]) -> float:
        """Seconds that a reused connection may be silent before it is given up."""
        self._began = time.monotonic()
        if not connection.exchanges:
            return inf
        half = self.attempt.timeout / 2
        if len(self.attempt.request.body) > SMALL_REQUEST_BYTES:
            return half
        return min(half, max(MIN_SILENCE_SECONDS, SILENCE_FACTOR * max(waits)))

    def begin_response(
        self, received: httpcore.Response, waits: deque[float]
    ) -> ResponseBody | FileBody:
        """Read the head of the response; returns where its body goes."""
        request = self.attempt.request
        if len(request.body) <= SMALL_REQUEST_BYTES:
            waits.append(time.monotonic() - self._began)
        self.status, self.headers = received.status, {}
        for name, value in received.headers:
            key, text = name.decode("ascii").lower(), value.decode("latin-1")
            self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text
        return body_of(request, self.status, self.headers)

    def abandon(
        self, connection: PooledConnection, error: BaseException, host: Host
    ) -> Exception | None:
        """Close the connection; returns what callers are to see instead of this error, if any."""
        connection.close()
        if isinstance(error, UnwritableFileError):
            return error.reason
        if not isinstance(error, FAILURES):
            return None
        has_time = time.monotonic() < self.deadline
        is_untouched = self.stream is not None and not self.stream.has_received
        if connection.exchanges and is_untouched and has_time and not connection.is_ended:
            if not isinstance(error, UnrequestedBytesError):  # which is noticed before sending
                self.want_new_connection(connection)
            return StaleConnectionError()
        is_timeout = isinstance(error, TimeoutError)
        never_sent = self.stream is None
        return connection_error(
            error, host, self.attempt, is_timeout=is_timeout, never_sent=never_sent
        )
