"""Connect by DNS, TCP and TLS, with a deadline. Another thread can end each step.

This is blocking code, which event loops run in a thread.
"""

from __future__ import annotations

import os
import selectors
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, zip_longest
from queue import Empty, SimpleQueue
from typing import Any

from voyage_rag.io.http.nested_tls import NestedTLSSocket
from voyage_rag.io.tasks import start_thread
from voyage_rag.locks import delay_forks

CONNECT_STAGGER_SECONDS = 0.25
"""Time after which the next address is tried concurrently (RFC 8305)."""

SOCKET_OPTIONS: tuple[tuple[str, str, int], ...] = (
    ("IPPROTO_TCP", "TCP_NODELAY", 1),
    ("SOL_SOCKET", "SO_KEEPALIVE", 1),
    ("IPPROTO_TCP", "TCP_KEEPIDLE", 15),
    ("IPPROTO_TCP", "TCP_KEEPALIVE", 15),  # the name of TCP_KEEPIDLE on macOS
    ("IPPROTO_TCP", "TCP_KEEPINTVL", 5),
    ("IPPROTO_TCP", "TCP_KEEPCNT", 3),
    ("IPPROTO_TCP", "TCP_USER_TIMEOUT", 10_000),
)
"""Socket options by name, because platforms support different ones. Times are in seconds; the last
one, the maximum time for which sent bytes stay unacknowledged, is in milliseconds.
"""


NOTHING_TO_READ = (BlockingIOError, ssl.SSLWantReadError)


class ConnectingEndedError(OSError):
    """Another thread has ended the attempt to connect."""


def connect_tcp(
    host: str, port: int, deadline: float, is_ended: Callable[[], bool]
) -> socket.socket:
    """Connect to the first address of a host that accepts the connection.

    Args:
        host: Name or IP address.
        port: TCP port.
        deadline: Deadline on the monotonic clock.
        is_ended: Returns whether to stop; called four times a second.

    Raises:
        OSError: The name is unknown, or no address accepts the connection; a `TimeoutError` at the
            deadline.
    """
    addresses = deque(_alternating(_resolve(host, port, deadline, is_ended)))
    failure = OSError(f"{host} has no address")
    with selectors.DefaultSelector() as connecting:
        try:
            while addresses or connecting.get_map():
                if addresses:
                    try:
                        connecting.register(_begin(*addresses.popleft()), selectors.EVENT_WRITE)
                    except OSError as error:  # no IPv6 here, for example
                        failure = error
                        continue
                wait = min(CONNECT_STAGGER_SECONDS, seconds_until(deadline))
                for key, _ in connecting.select(wait):
                    sock: Any = key.fileobj
                    connecting.unregister(sock)
                    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if not code:
                        return _with_options(sock)
                    sock.close()
                    failure = OSError(code, os.strerror(code))
                if is_ended():
                    raise ConnectingEndedError("ended while connecting")
            raise failure
        finally:
            for key in list(connecting.get_map().values()):
                connecting.unregister(key.fileobj)
                key.fileobj.close()  # type: ignore[union-attr] # all of them are sockets


def start_tls(
    sock: socket.socket,
    context: ssl.SSLContext,
    hostname: str,
    deadline: float,
    announce: Callable[[socket.socket], None],
) -> socket.socket:
    """Perform the TLS handshake on a connected socket, and return the new socket.

    `announce` receives the new socket before the handshake, so that another thread can end it.

    Raises:
        OSError: The certificate is not trusted, or the handshake failed or took too long.
    """
    wrapped: Any
    if isinstance(sock, ssl.SSLSocket):
        wrapped = NestedTLSSocket(sock, context, hostname)
    else:
        wrapped = context.wrap_socket(sock, server_hostname=hostname, do_handshake_on_connect=False)
        announce(wrapped)
    try:
        wrapped.settimeout(seconds_until(deadline))
        with delay_forks():
            wrapped.do_handshake()
    except BaseException:
        wrapped.close()
        raise
    return wrapped  # type: ignore[no-any-return]


def _resolve(host: str, port: int, deadline: float, is_ended: Callable[[], bool]) -> Sequence[Any]:
    """Look up a name in another thread, because a lookup can be neither limited nor interrupted."""
    outcome: SimpleQueue[Sequence[Any] | Exception] = SimpleQueue()

    def look_up() -> None:
        try:
            with delay_forks():
                outcome.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as error:  # noqa: BLE001 - raised by the caller's thread
            outcome.put(error)

    if start_thread(look_up, "voyage-rag-resolver") is None:
        look_up()
    while True:
        with suppress(Empty):
            found = outcome.get(timeout=min(CONNECT_STAGGER_SECONDS, seconds_until(deadline)))
            if isinstance(found, Exception):
                raise found
            return found
        if is_ended():
            raise ConnectingEndedError("ended while the name was looked up")


def _begin(family: int, kind: int, protocol: int, _name: str, address: Any) -> socket.socket:
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        with suppress(BlockingIOError, InterruptedError):  # it continues in the background
            sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


def _alternating(addresses: Iterable[Any]) -> Iterator[Any]:
    """Return addresses of both families in turn, starting with the system's first choice."""
    families: dict[int, list[Any]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    return (one for one in chain.from_iterable(zip_longest(*families.values())) if one)


def _with_options(sock: socket.socket) -> socket.socket:
    for level, name, value in SOCKET_OPTIONS:
        if hasattr(socket, name):
            try:
                sock.setsockopt(getattr(socket, level), getattr(socket, name), value)
            except OSError:
                continue  # known to Python, but not to this kernel
    return sock


def seconds_until(deadline: float) -> float:
    """Return the seconds until a deadline, or raise a `TimeoutError` after it."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("not connected in time")
    return seconds
