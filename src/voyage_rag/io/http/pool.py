"""Connections that stay open between requests, for threads and event loops alike.

The socket of an idle connection is not bound to a thread or event loop. One pool therefore serves
all of them, including a query in a new event loop.
"""

from __future__ import annotations

import os
import socket
import time
import weakref
from collections import deque
from contextlib import suppress
from functools import partial

import anyio

from voyage_rag.io.http.network import (
    NOTHING_TO_READ,
    ConnectingEndedError,
    connect_tcp,
    seconds_until,
    start_tls,
)
from voyage_rag.io.http.route import Route
from voyage_rag.io.http.tunnel import open_tunnel
from voyage_rag.io.tasks import in_thread

MAX_IDLE_SECONDS = 60.0
MAX_AGE_SECONDS = 600.0
"""Maximum age of a connection, even of a busy one, so that a new address of the host is used."""

MAX_CONNECT_SECONDS = 15.0
REMEMBERED_REQUEST_IDS = 32


class PooledConnection:
    """A connection, or one that is about to be opened.

    Attributes:
        socket: The connected socket; None before `open`.
        exchanges: Number of requests it was used for.
        suspect: Whether a response was invalid, so that later ones cannot be trusted either.
        request_ids: The service's ids of the last requests.
        used_at: Time of its last return to the pool, on the monotonic clock, which stands still
            while a laptop sleeps or a serverless function is frozen.
        used_at_wall_time: The same by the wall clock.
        is_ended: Whether another thread has ended it.
    """

    def __init__(self, route: Route) -> None:
        self.socket: socket.socket | None = None
        self.exchanges = 0
        self.suspect: bool = False
        self.request_ids: deque[str] = deque(maxlen=REMEMBERED_REQUEST_IDS)
        self.used_at: float = 0.0
        self.used_at_wall_time: float = 0.0
        self._route = route
        self._opened_at = 0.0
        self._announced: socket.socket | None = None
        self.is_ended: bool = False

    def open(self, deadline: float) -> socket.socket:
        """Connect.

        Raises:
            OSError: The connection failed, timed out, or was ended.
            ConfigurationError: The trusted certificates cannot be read.
        """
        self._opened_at = time.monotonic()
        deadline = min(deadline, self._opened_at + MAX_CONNECT_SECONDS)
        route, proxy = self._route, self._route.proxy
        first = route if proxy is None else proxy
        sock = connect_tcp(first.host, first.port, deadline, lambda: self.is_ended)
        try:
            self._announce(sock)
            if proxy is not None and proxy.scheme == "https":
                sock = self._start_tls(sock, proxy.host, deadline)
            if proxy is not None and not route.is_forwarded:
                open_tunnel(sock, proxy, route.host, route.port, deadline)
            if route.scheme == "https":
                sock = self._start_tls(sock, route.host, deadline)
        except BaseException:
            sock.close()
            raise
        self.socket = sock
        if self.is_ended:
            sock.close()
            raise ConnectingEndedError("ended while connecting")
        return sock

    async def aopen(self, deadline: float, limiter: anyio.CapacityLimiter) -> socket.socket:
        """Async variant of `open`. It runs in a thread, which a cancellation abandons."""
        open_until = partial(self.open, deadline)
        try:
            with anyio.fail_after(seconds_until(deadline)):
                return await in_thread(open_until, abandon_on_cancel=True, limiter=limiter)
        except RuntimeError as error:  # a limit of the system
            raise OSError(f"no thread can be started to connect: {error}") from error
        except BaseException:
            self.end()
            self.close()
            raise

    def _start_tls(self, sock: socket.socket, host: str, deadline: float) -> socket.socket:
        context = self._route.certificates.ssl_context()
        name = host.rstrip(".")  # certificates do not have the dot of an absolute name
        return start_tls(sock, context, name, deadline, self._announce)

    def _announce(self, sock: socket.socket) -> None:
        self._announced = sock
        if self.is_ended:
            self.end()

    def end(self) -> None:
        """Shut the socket down, so that a waiting thread continues."""
        self.is_ended = True
        if self._announced is not None:
            with suppress(OSError):  # not by the method of TLS, which is not thread-safe
                socket.socket.shutdown(self._announced, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket, unless it is already closed, as in a program that became a daemon."""
        if self.socket is not None:
            with suppress(OSError):
                self.socket.close()

    def distrust(self) -> None:
        """Do not reuse the connection, because it delivered an invalid response."""
        self.suspect = True

    def is_reusable(self, now: float) -> bool:
        """Return whether another request may be sent over the connection."""
        return (
            not (self.is_ended or self.suspect)
            and now - self.used_at < MAX_IDLE_SECONDS
            and time.time() - self.used_at_wall_time < MAX_IDLE_SECONDS
            and now - self._opened_at < MAX_AGE_SECONDS
            and self._is_quiet()
        )

    def _is_quiet(self) -> bool:
        """Return whether it is open without unread bytes, as required between requests."""
        with suppress(OSError):
            assert self.socket is not None  # noqa: S101 - it was used
            self.socket.settimeout(0)
            try:
                self.socket.recv(1)
            except NOTHING_TO_READ:
                return True
        return False


class ConnectionPool:
    """The idle connections to one host.

    It uses only atomic operations of a deque, so there is no lock that a fork could leave
    locked. A forked child starts with an empty pool.

    Attributes:
        route: The route of its connections.
        has_unique_ids: Whether a request id that repeats on a connection is suspicious. Some
            gateways repeat the id of a trace, or send a constant.
    """

    def __init__(self, route: Route) -> None:
        self.route = route
        self.has_unique_ids: bool = True
        self._begin()

    def _begin(self) -> None:
        self._idle: deque[PooledConnection] = deque()
        weakref.finalize(self, _close_all, self._idle)
        self._process = os.getpid()

    def new(self) -> PooledConnection:
        """Return a connection that is not open yet."""
        return PooledConnection(self.route)

    def take(self) -> PooledConnection:
        """Return an idle connection, or a new one."""
        if self._process != os.getpid():
            _close_all(self._idle)  # closes the copies in this process only
            self._begin()
        now = time.monotonic()
        while self._idle:
            with suppress(IndexError):  # another thread was faster
                connection = self._idle.pop()
                if connection.is_reusable(now):
                    return connection
                connection.close()
        return self.new()

    def give_back(self, connection: PooledConnection) -> None:
        """Keep a connection for the next request, and close one that has been idle too long."""
        connection.used_at = time.monotonic()
        connection.used_at_wall_time = time.time()
        self._idle.append(connection)
        with suppress(IndexError):
            if connection.used_at - self._idle[0].used_at > MAX_IDLE_SECONDS:
                self._idle.popleft().close()

    def drop_older(self, used_at: float) -> None:
        """Close the idle connections that were last used at this time or earlier."""
        with suppress(IndexError):
            while self._idle[0].used_at <= used_at:
                self._idle.popleft().close()

    def close(self) -> None:
        """Close all idle connections."""
        _close_all(self._idle)


def _close_all(idle: deque[PooledConnection]) -> None:
    with suppress(IndexError):
        while True:
            idle.pop().close()
