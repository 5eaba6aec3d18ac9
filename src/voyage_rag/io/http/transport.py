"""What the driver calls: one attempt out, one response or one of our errors back.

A connection is used again only if its response was complete and sound and no byte was left over. A
reused connection that fails before the first byte of a response was closed by the other side, or
dropped in between: the request is sent once more, on a new connection, as part of the same attempt.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from os import environ
from typing import TYPE_CHECKING, Any

import anyio
import httpcore
from anyio.lowlevel import RunVar

from voyage_rag._version import __version__
from voyage_rag.io.http.exchange import Exchange, StaleConnectionError
from voyage_rag.io.http.pool import ConnectionPool, PooledConnection
from voyage_rag.io.http.response import (
    ACCEPTED_ENCODING,
    REQUEST_ID,
    UnreadableBodyError,
    UnwritableFileError,
    response_of,
)
from voyage_rag.io.http.route import Address, Route, parse_address
from voyage_rag.io.http.streams import (
    AsyncStream,
    BytesBody,
    SyncStream,
    check_in_time,
    seconds_until,
)
from voyage_rag.io.http.upload import MultipartUpload
from voyage_rag.io.tasks import run_in_thread

if TYPE_CHECKING:
    import httpx

    from voyage_rag.core.flow import Attempt
    from voyage_rag.hosts.host import Host
    from voyage_rag.hosts.messages import Response
    from voyage_rag.io.call_state import ThreadCallState
    from voyage_rag.io.http.response import FileBody, ResponseBody

MAX_CONNECTIONS = 256
"""Requests that one event loop has in flight at once."""

MAX_CONNECTING = 64
"""Threads in which one event loop connects."""

JSON = b"application/json"
REQUEST_TIMEOUT = 408
HEADERS = {
    b"user-agent": f"voyage-rag/{__version__} httpcore/{httpcore.__version__}".encode(),
    b"accept": JSON,
    b"accept-encoding": ACCEPTED_ENCODING.encode(),
}


class Transport:
    """Sends attempts to one host.

    Args:
        host: Where they go, and how they are authorised.
        http_client: Used for sync calls instead of connections of our own; never closed here.
        async_http_client: The same for async calls; belongs to the event loop it is used in.

    Raises:
        ConfigurationError: A client is no httpx client of its kind, or the environment names a
            proxy or certificates that cannot be used.
    """

    def __init__(
        self,
        host: Host,
        http_client: httpx.Client | None = None,
        async_http_client: httpx.AsyncClient | None = None,
    ) -> None:
        self._host = host
        self._user_clients: Any = None
        self._pools: dict[tuple[str, str, int], ConnectionPool] = {}
        self._waits: deque[float] = deque((0.0,), maxlen=32)
        self._limits: RunVar[_LoopLimits] = RunVar("voyage_rag.io.http")
        if http_client is None and async_http_client is None:
            self._pool_for(parse_address(host.base_url))
        else:
            from voyage_rag.io.http.user_client import UserClients  # noqa: PLC0415 - brings httpx

            self._user_clients = UserClients(host, http_client, async_http_client)

    # ── sync ──────────────────────────────────────────────────────────────────────────────────────

    def send(self, attempt: Attempt, state: ThreadCallState) -> Response:
        """Send an attempt and wait for its whole response.

        Raises:
            APIConnectionError: There was no usable response; `Timeout` if it did not come in time.
        """
        if not self._host.is_ready:
            self._host.prepare()
        if self._user_clients is not None:
            return self._user_clients.send(attempt)  # type: ignore[no-any-return]
        exchange = self._begin(attempt)
        with state.in_flight(exchange.end):
            while True:
                try:
                    return self._exchange(exchange)
                except StaleConnectionError:
                    continue

    def _exchange(self, exchange: Exchange) -> Response:
        connection = exchange.take_connection()
        try:
            sock = connection.socket or connection.open(exchange.deadline)
            stream = exchange.stream = SyncStream(
                sock,
                exchange.deadline,
                exchange.max_silence(connection, self._waits),
                is_reused=connection.exchanges > 0,
            )
            http = httpcore.HTTP11Connection(exchange.message.url.origin, stream)
            received = http.handle_request(exchange.message)
            with closing(exchange.begin_response(received, self._waits)) as body:
                pieces: Any = received.stream
                for piece in pieces:
                    body.add(piece)
                received.close()
                content = body.finish()
        except BaseException as error:
            failure = exchange.abandon(connection, error, self._host)
            if failure is None:
                raise
        else:
            return self._finish(exchange, connection, content, is_idle=http.is_idle())
        raise failure  # not while the other is handled: its text may hold the key

    def close(self) -> None:
        """Close the idle connections. A later call opens new ones."""
        for pool in self._pools.values():
            pool.close()

    # ── async ─────────────────────────────────────────────────────────────────────────────────────

    async def asend(self, attempt: Attempt) -> Response:
        """Async variant of `send`."""
        if not self._host.is_ready:
            await run_in_thread(self._host.prepare)
        if self._user_clients is not None:
            return await self._user_clients.asend(attempt)  # type: ignore[no-any-return]
        limits = self._limits.get(None)
        if limits is None:
            limits = _LoopLimits()
            self._limits.set(limits)
        async with limits.requests:
            exchange = self._begin(attempt)
            while True:
                try:
                    return await self._aexchange(exchange, limits)
                except StaleConnectionError:
                    continue

    async def _aexchange(self, exchange: Exchange, limits: _LoopLimits) -> Response:
        connection = exchange.take_connection()
        try:
            with anyio.move_on_after(seconds_until(exchange.deadline)) as scope:
                sock = connection.socket or await connection.aopen(
                    exchange.deadline, limits.connecting
                )
                stream = exchange.stream = AsyncStream(
                    sock,
                    scope,
                    exchange.max_silence(connection, self._waits),
                    is_reused=connection.exchanges > 0,
                )
                http = httpcore.AsyncHTTP11Connection(exchange.message.url.origin, stream)
                received = await http.handle_async_request(exchange.message)
                with closing(exchange.begin_response(received, self._waits)) as body:
                    await _read(received, body, connection)
                    await received.aclose()
                    content = body.finish()
            check_in_time(scope)
        except BaseException as error:
            failure = exchange.abandon(connection, error, self._host)
            if failure is None:
                raise
        else:
            return self._finish(exchange, connection, content, is_idle=http.is_idle())
        raise failure  # not while the other is handled: its text may hold the key

    async def aclose(self) -> None:
        """Close the idle connections, which belong to no event loop."""
        self.close()

    # ── both ──────────────────────────────────────────────────────────────────────────────────────

    def _begin(self, attempt: Attempt) -> Exchange:
        request = attempt.request
        url = self._host.url(request)
        address = parse_address(url)
        pool = self._pool_for(address)
        upload = None if request.upload is None else MultipartUpload(request.upload)
        headers = {b"host": address.host_header, **HEADERS}
        if request.method == "POST":
            headers[b"content-type"] = JSON if upload is None else upload.content_type
            headers[b"content-length"] = b"%d" % len(request.body if upload is None else upload)
        headers |= encoded(self._host.headers(request.method, url, request.body))
        if pool.route.is_forwarded:
            headers |= encoded(pool.route.proxy_headers)
        timeout = attempt.timeout if attempt.limits_silence else None
        message = httpcore.Request(
            request.method,
            address.absolute_url if pool.route.is_forwarded else address.url,
            headers=list(headers.items()),
            content=BytesBody(request.body) if upload is None else upload,
            extensions={"timeout": {"read": timeout, "write": timeout}},
        )
        return Exchange(attempt, message, pool)

    def _pool_for(self, address: Address) -> ConnectionPool:
        pool = self._pools.get(address.origin)
        if pool is None:
            pool = ConnectionPool(Route.of_environment(address, environ))
            pool = self._pools.setdefault(address.origin, pool)
        return pool

    def _finish(
        self, exchange: Exchange, connection: PooledConnection, content: bytes, *, is_idle: bool
    ) -> Response:
        """Keep or close the connection, and refuse what may be the response to another request."""
        stream = exchange.stream
        request_id = exchange.headers.get(REQUEST_ID, "")
        is_doubtful = (
            connection.suspect
            or (stream is not None and stream.has_surplus)
            or (request_id != "" and request_id in connection.request_ids)
            or exchange.status == REQUEST_TIMEOUT  # said to idle connections, by some servers
        )
        if is_idle and not is_doubtful and not connection.is_ended:
            connection.request_ids.append(request_id)
            exchange.pool.give_back(connection)
        else:
            connection.close()
            if is_doubtful and connection.exchanges:
                exchange.want_new_connection(connection)
                raise StaleConnectionError
        connection.exchanges += 1
        return response_of(
            self._host, exchange.status, exchange.headers, content, connection.distrust
        )


def encoded(headers: Mapping[str, str]) -> dict[bytes, bytes]:
    """Headers as httpcore takes them without another look."""
    return {name.encode("ascii"): value.encode("latin-1") for name, value in headers.items()}


class _LoopLimits:
    """How much one event loop does at once."""

    def __init__(self) -> None:
        self.requests = anyio.Semaphore(MAX_CONNECTIONS, fast_acquire=True)
        self.connecting = anyio.CapacityLimiter(MAX_CONNECTING)


async def _read(
    received: httpcore.Response, body: ResponseBody | FileBody, connection: PooledConnection
) -> None:
    """Read a body to its end.

    A body that is refused closes the connection, which ends httpcore's generators from within:
    trio warns of those that are left unfinished.
    """
    failure: Exception | None = None
    pieces: Any = received.stream
    try:
        async for piece in pieces:
            if failure is not None:
                continue
            try:
                if body.blocks:
                    with anyio.CancelScope(shield=True):
                        await run_in_thread(partial(body.add, piece))
                else:
                    body.add(piece)
            except (UnreadableBodyError, UnwritableFileError) as error:
                failure = error
                connection.close()
    except OSError:
        if failure is None:
            raise
    if failure is not None:
        raise failure
