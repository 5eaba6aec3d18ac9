"""An attempt in progress, without I/O: the caller sends and receives the bytes.

Threads and event loops therefore share this module. h11 writes and parses HTTP/1.1, and detects
bytes that are left over after a response.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from math import inf

import h11

from voyage_rag._version import __version__
from voyage_rag.core.flow import Attempt
from voyage_rag.hosts.host import Host
from voyage_rag.hosts.messages import Response
from voyage_rag.io.http.failures import connection_error
from voyage_rag.io.http.pool import ConnectionPool, PooledConnection
from voyage_rag.io.http.response import (
    ACCEPTED_ENCODING,
    REQUEST_ID,
    ResponseBody,
    UnreadableBodyError,
    UnwritableFileError,
    body_of,
    response_of,
)
from voyage_rag.io.http.route import Address
from voyage_rag.io.http.upload import MultipartUpload

MIN_SILENCE_SECONDS = 5.0
SILENCE_FACTOR = 4
SMALL_REQUEST_BYTES = 2**14
"""A reused connection without a response is abandoned early: after four times the longest recent
response time if the request is small, but at most half of the attempt's timeout. If a recent
response took more than that half, the service is slow, and nothing is abandoned.
"""

MAX_HEAD_BYTES = 100 * 1024
MAX_WRITE_BYTES = 2**18
"""Size of the pieces of a request, between which the deadline is checked."""

REQUEST_TIMEOUT = 408
JSON = b"application/json"
HEADERS = {
    b"user-agent": f"voyage-rag/{__version__}".encode(),
    b"accept": JSON,
    b"accept-encoding": ACCEPTED_ENCODING.encode(),
}
FAILURES = (OSError, h11.ProtocolError, UnreadableBodyError)


class StaleConnectionError(Exception):
    """A reused connection failed. The request has to be sent on a new one."""


class Exchange:
    """One attempt, which uses one connection after another until one of them works.

    For each connection, call `start`, send the output of `outgoing`, pass received bytes to
    `receive` until `is_complete`, and call `finish`; after an error, call `abandon`. If one of
    these raises or returns a `StaleConnectionError`, begin again.

    Args:
        waits: Recent response times of the service in seconds.

    Attributes:
        deadline: Latest end of the attempt, on the monotonic clock.
        is_complete: Whether the whole response has been received.
    """

    def __init__(
        self,
        attempt: Attempt,
        host: Host,
        url: str,
        address: Address,
        pool: ConnectionPool,
        waits: deque[float],
    ) -> None:
        request = attempt.request
        self.attempt = attempt
        self.deadline: float = inf if attempt.limits_silence else time.monotonic() + attempt.timeout
        self._host = host
        self._pool = pool
        self._waits = waits
        self._upload = MultipartUpload(request.upload) if request.upload else None
        headers = {b"host": address.host_header, **HEADERS}
        if request.method == "POST":
            headers[b"content-type"] = JSON if self._upload is None else self._upload.content_type
            length = len(request.body if self._upload is None else self._upload)
            headers[b"content-length"] = b"%d" % length
        headers |= encoded(host.headers(request.method, url, request.body))
        if any(name.lower() == REQUEST_ID.encode() for name in headers):
            pool.has_unique_ids = False  # the response repeats the caller's
        if pool.route.is_forwarded:
            headers |= encoded(pool.route.proxy_headers)
        target = address.absolute_target if pool.route.is_forwarded else address.target
        self._head = h11.Request(
            method=request.method, target=target, headers=list(headers.items())
        )
        self._wants_new = not request.repeatable or self._upload is not None
        self._connection: PooledConnection | None = None
        self._repeated_id: str | None = None
        self._is_ended = False

    def start(self) -> PooledConnection:
        """Start on a connection, and return it. It may not be open yet."""
        connection = self._pool.new() if self._wants_new else self._pool.take()
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._body: ResponseBody | None = None
        self._has_sent = self._has_received = False
        self.is_complete: bool = False
        self._first_byte_timeout = self._max_silence(connection)
        self._connection = connection
        if self._is_ended:
            connection.end()
        return connection

    def outgoing(self) -> Iterator[bytes]:
        """Yield the request in pieces. The first has the headers and all of a small body."""
        self._has_sent = True
        self._began = time.monotonic()
        unsent = self._http.send(self._head) or b""
        for piece in self._upload or _pieces(self.attempt.request.body):
            data = self._http.send(h11.Data(piece)) or b""
            if len(unsent) + len(data) > MAX_WRITE_BYTES:
                yield unsent
                unsent = b""
            unsent += data
        self._http.send(h11.EndOfMessage())
        yield unsent

    def max_wait(self) -> float:
        """Return the seconds that the next bytes may take, or raise a `TimeoutError`."""
        if self.attempt.limits_silence:
            return self.attempt.timeout
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("no complete response in time")
        return seconds if self._has_received else min(seconds, self._first_byte_timeout)

    def receive(self, data: bytes) -> None:
        """Process received bytes of the response; b"" is the end of the connection.

        Raises:
            h11.RemoteProtocolError: The response is not valid HTTP or is incomplete.
            UnreadableBodyError: The body is too large, or its compression is unknown or broken.
            UnwritableFileError: The body cannot be written to its file.
        """
        if not data and self._http.their_state is h11.SEND_RESPONSE:
            raise h11.RemoteProtocolError("the connection was closed without a response")
        self._has_received = self._has_received or data != b""
        self._http.receive_data(data)
        while (event := self._http.next_event()) is not h11.NEED_DATA:
            if isinstance(event, h11.Response):
                self._begin_body(event)
            elif isinstance(event, h11.Data) and self._body is not None:
                self._body.add(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self.is_complete = True
                return

    def finish(self, connection: PooledConnection) -> Response:
        """Return the response. Keep the connection only if the response was valid and complete.

        Raises:
            UnreadableBodyError: The compressed data is incomplete.
            UnwritableFileError: The body cannot be written to its file.
            StaleConnectionError: The response may belong to an earlier request.
        """
        assert self._body is not None  # noqa: S101 - it is complete
        content = self._body.finish()
        is_reused = connection.exchanges > 0
        connection.exchanges += 1
        request_id = self._headers.get(REQUEST_ID, "")
        is_repeated = request_id != "" and request_id in connection.request_ids
        if request_id == self._repeated_id:  # also on another connection
            self._pool.has_unique_ids = False
        is_doubtful = (
            connection.suspect
            or self._http.trailing_data[0] != b""
            or (is_repeated and self._pool.has_unique_ids)
            or self._status == REQUEST_TIMEOUT  # some servers send this to idle connections
        )
        is_idle = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        if is_idle and not is_doubtful and not connection.is_ended:
            connection.request_ids.append(request_id)
            self._pool.give_back(connection)
        else:
            connection.close()
            if is_doubtful and is_reused:
                self._repeated_id = request_id if is_repeated else None
                self._want_new_connection(connection)
                raise StaleConnectionError
        return response_of(self._host, self._status, self._headers, content, connection.distrust)

    def abandon(self, connection: PooledConnection, error: BaseException) -> Exception | None:
        """Close the connection, and return the error to raise instead of this one, or None."""
        connection.close()
        if self._body is not None:
            self._body.close()
        if isinstance(error, UnwritableFileError):
            return error.reason
        if not isinstance(error, FAILURES):
            return None
        has_time = time.monotonic() < self.deadline
        is_untouched = self._has_sent and not self._has_received
        if connection.exchanges and is_untouched and has_time and not connection.is_ended:
            self._want_new_connection(connection)
            return StaleConnectionError()
        return connection_error(
            error,
            self._host,
            self.attempt,
            is_timeout=isinstance(error, TimeoutError),
            never_sent=not self._has_sent,
            proxy=self._pool.route.proxy,
        )

    def end(self) -> None:
        """Wake the thread that waits for the response. Another thread calls this."""
        self._is_ended = True
        if self._connection is not None:
            self._connection.end()

    def _want_new_connection(self, stale: PooledConnection) -> None:
        """Use a new connection next, and close idle ones that are at least as old as this one."""
        self._pool.drop_older(stale.used_at)
        self._wants_new = True

    def _max_silence(self, connection: PooledConnection) -> float:
        """Return the seconds after which a silent reused connection is abandoned."""
        if not connection.exchanges:
            return inf
        half, longest = self.attempt.timeout / 2, max(self._waits)
        if longest > half:
            return inf
        if len(self.attempt.request.body) > SMALL_REQUEST_BYTES:
            return half
        return min(half, max(MIN_SILENCE_SECONDS, SILENCE_FACTOR * longest))

    def _begin_body(self, response: h11.Response) -> None:
        if not self.attempt.limits_silence:  # the time of an upload is not a response time
            self._waits.append(time.monotonic() - self._began)
        self._status, headers = response.status_code, dict[str, str]()
        for name, value in response.headers:
            key, text = name.decode("ascii"), value.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
        self._headers = headers
        self._body = body_of(self.attempt.request, self._status, headers)


def _pieces(body: bytes) -> Iterable[bytes]:
    starts = range(0, len(body), MAX_WRITE_BYTES)
    return (body[start : start + MAX_WRITE_BYTES] for start in starts)


def encoded(headers: Mapping[str, str]) -> dict[bytes, bytes]:
    """Return headers in the form that h11 accepts without normalising them."""
    return {name.encode("ascii"): value.encode("latin-1") for name, value in headers.items()}
