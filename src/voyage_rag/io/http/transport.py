"""The HTTP transport: sends an attempt, and returns a response or raises a `VoyageError`.

A connection is reused only if its response was complete and valid and no byte was left over. If a
reused connection fails before the first byte of a response, the server or a firewall has closed it:
the request is sent once more, on a new connection, as part of the same attempt.
"""

from __future__ import annotations

import socket
import ssl
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from itertools import count
from os import environ
from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import RunVar, checkpoint

from voyage_rag.core.flow import Attempt
from voyage_rag.hosts.host import Host
from voyage_rag.hosts.messages import Response
from voyage_rag.io.call_state import ThreadCallState
from voyage_rag.io.http.exchange import Exchange, StaleConnectionError
from voyage_rag.io.http.network import NOTHING_TO_READ
from voyage_rag.io.http.pool import ConnectionPool
from voyage_rag.io.http.route import Address, Route, parse_address
from voyage_rag.io.tasks import run_in_thread

if TYPE_CHECKING:
    import httpx

    from voyage_rag.io.http.user_client import UserClients

MAX_CONNECTIONS = 256
"""Maximum number of requests that one event loop has in flight."""

MAX_CONNECTING = 64
"""Maximum number of threads in which one event loop connects."""

MAX_READ_BYTES = 2**16
READS_PER_TURN = 4
"""Number of non-blocking reads before other tasks of the event loop run."""

REPLACEABLE = (
    ("httpx", "HTTPTransport", "handle_request"),
    ("httpx", "AsyncHTTPTransport", "handle_async_request"),
    ("httpcore", "ConnectionPool", "handle_request"),
    ("httpcore", "AsyncConnectionPool", "handle_async_request"),
)
"""Methods that libraries for mocking and recording HTTP replace."""


class Transport:
    """Sends attempts to one host.

    Args:
        host: The target, which also defines authentication.
        http_client: Used for sync calls; never closed here.
        async_http_client: Used for async calls; bound to the event loop in which it is used.

    Raises:
        ConfigurationError: A client has the wrong type, or a proxy or certificates of the
            environment cannot be used.
    """

    def __init__(
        self,
        host: Host,
        http_client: httpx.Client | None = None,
        async_http_client: httpx.AsyncClient | None = None,
    ) -> None:
        self._host = host
        self._user_clients: UserClients | None = None
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
            APIConnectionError: There was no usable response; a `Timeout` if it did not arrive in
                time.
        """
        if not self._host.is_ready:
            self._host.prepare()
        if self._user_clients is not None:
            return self._user_clients.send(attempt)
        if is_httpx_replaced():
            from voyage_rag.io.http.user_client import send_once  # noqa: PLC0415 - brings httpx

            return send_once(self._host, attempt)
        exchange = self._exchange(attempt)
        with state.in_flight(exchange.end):
            while True:
                try:
                    return self._respond(exchange)
                except StaleConnectionError:
                    continue

    def _respond(self, exchange: Exchange) -> Response:
        connection = exchange.start()
        try:
            sock = connection.socket or connection.open(exchange.deadline)
            _transfer(sock, exchange)
            return exchange.finish(connection)
        except BaseException as error:
            failure = exchange.abandon(connection, error)
            if failure is None:
                raise
        raise failure  # outside `except`: the context may contain the key

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
            return await self._user_clients.asend(attempt)
        if is_httpx_replaced():
            from voyage_rag.io.http.user_client import asend_once  # noqa: PLC0415 - brings httpx

            return await asend_once(self._host, attempt)
        limits = self._limits.get(None)
        if limits is None:
            limits = _LoopLimits()
            self._limits.set(limits)
        async with limits.requests:
            exchange = self._exchange(attempt)
            while True:
                try:
                    return await self._arespond(exchange, limits)
                except StaleConnectionError:
                    continue

    async def _arespond(self, exchange: Exchange, limits: _LoopLimits) -> Response:
        connection = exchange.start()
        try:
            sock = connection.socket or await connection.aopen(exchange.deadline, limits.connecting)
            await _atransfer(sock, exchange)
            return exchange.finish(connection)
        except BaseException as error:
            failure = exchange.abandon(connection, error)
            if failure is None:
                raise
        raise failure  # outside `except`: the context may contain the key

    async def aclose(self) -> None:
        """Close the idle connections, which are not bound to an event loop."""
        self.close()

    # ── both ──────────────────────────────────────────────────────────────────────────────────────

    def _exchange(self, attempt: Attempt) -> Exchange:
        url = self._host.url(attempt.request)
        address = parse_address(url)
        return Exchange(attempt, self._host, url, address, self._pool_for(address), self._waits)

    def _pool_for(self, address: Address) -> ConnectionPool:
        pool = self._pools.get(address.origin)
        if pool is None:
            pool = ConnectionPool(Route.of_environment(address, environ))
            pool = self._pools.setdefault(address.origin, pool)
        return pool


def is_httpx_replaced() -> bool:
    """Return whether another library has replaced httpx's transports.

    Libraries that mock or record HTTP (vcrpy, respx, pytest-httpx) replace these methods. Programs
    that use them expect all requests to be intercepted, so requests then go through httpx. Wrappers
    of tracers, which refer to the original methods, do not count.
    """
    return any(
        _is_replaced(getattr(sys.modules[module], owner), method)
        for module, owner, method in REPLACEABLE
        if module in sys.modules
    )


def _is_replaced(owner: type, method: str) -> bool:
    code = getattr(getattr(owner, method), "__code__", None)
    return code is None or code.co_qualname != f"{owner.__name__}.{method}"


class _LoopLimits:
    """Limits of concurrent work in one event loop."""

    def __init__(self) -> None:
        self.requests = anyio.Semaphore(MAX_CONNECTIONS, fast_acquire=True)
        self.connecting = anyio.CapacityLimiter(MAX_CONNECTING)


def _transfer(sock: socket.socket, exchange: Exchange) -> None:
    for piece in (memoryview(data) for data in exchange.outgoing()):  # its repr hides the key
        try:
            sock.settimeout(exchange.max_wait())
            sock.sendall(piece)
        except TimeoutError:
            raise
        except OSError:
            break  # a response may give the reason
    while not exchange.is_complete:
        sock.settimeout(exchange.max_wait())
        exchange.receive(sock.recv(MAX_READ_BYTES))


async def _atransfer(sock: socket.socket, exchange: Exchange) -> None:
    sock.setblocking(False)
    request, pieces = exchange.attempt.request, exchange.outgoing()
    while piece := memoryview(await _next(pieces) if request.upload else next(pieces, b"")):
        try:
            await _asend(sock, piece, exchange)
        except TimeoutError:
            raise
        except OSError:
            break
    for reads in count(1):
        data = await _areceive(sock, exchange)
        if request.save_to:  # a thread writes to the disk
            with anyio.CancelScope(shield=True):
                await run_in_thread(partial(exchange.receive, data))
        else:
            exchange.receive(data)
        if exchange.is_complete:
            return
        if reads % READS_PER_TURN == 0:
            exchange.max_wait()  # checks the deadline
            await checkpoint()


async def _next(pieces: Iterator[bytes]) -> bytes:
    """Return the next piece of an upload, which is read from the disk."""
    piece: bytes = await run_in_thread(partial(next, pieces, b""))
    return piece


async def _asend(sock: socket.socket, unsent: memoryview, exchange: Exchange) -> None:
    while unsent:
        try:
            unsent = unsent[sock.send(unsent) :]
        except ssl.SSLWantReadError:
            await _wait(anyio.wait_readable, sock, exchange)
        except (BlockingIOError, ssl.SSLWantWriteError):
            await _wait(anyio.wait_writable, sock, exchange)


async def _areceive(sock: socket.socket, exchange: Exchange) -> bytes:
    while True:
        try:
            return sock.recv(MAX_READ_BYTES)
        except NOTHING_TO_READ:
            await _wait(anyio.wait_readable, sock, exchange)
        except ssl.SSLWantWriteError:
            await _wait(anyio.wait_writable, sock, exchange)


async def _wait(
    until: Callable[[socket.socket], Awaitable[None]], sock: socket.socket, exchange: Exchange
) -> None:
    with anyio.fail_after(exchange.max_wait()):
        await until(sock)
