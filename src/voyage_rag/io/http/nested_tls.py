"""TLS to a host inside the TLS connection to a proxy, which `ssl.SSLSocket` does not support."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

RECEIVED_BYTES = 2**16
NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class NestedTLSSocket:
    """TLS over another TLS connection, with the socket methods that this package uses.

    Args:
        outer: The connection to the proxy.
        context: The trusted certificates.
        hostname: The host name that the certificate must match.
    """

    def __init__(self, outer: ssl.SSLSocket, context: ssl.SSLContext, hostname: str) -> None:
        self._outer = outer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)
        self._unsent = b""
        self.fileno: Callable[[], int] = outer.fileno
        self.settimeout = outer.settimeout
        self.setblocking = outer.setblocking
        self.close: Callable[[], None] = outer.close

    def do_handshake(self) -> None:
        """See `ssl.SSLSocket`."""
        self._perform(self._tls.do_handshake)

    def getpeercert(self) -> dict[str, Any] | None:
        """See `ssl.SSLSocket`."""
        return self._tls.getpeercert()

    def version(self) -> str | None:
        """See `ssl.SSLSocket`."""
        return self._tls.version()

    def recv(self, max_bytes: int) -> bytes:
        """See `socket.socket`."""
        try:
            return self._perform(self._tls.read, max_bytes)  # type: ignore[no-any-return]
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return b""

    def send(self, data: memoryview) -> int:
        """See `socket.socket`."""
        self._flush()
        sent = self._tls.write(data)
        with suppress(*NOT_NOW):  # it is encrypted, and is sent before anything else
            self._flush()
        return sent

    def sendall(self, data: memoryview) -> None:
        """See `socket.socket`."""
        while data:
            data = data[self.send(data) :]
        self._flush()

    def _perform(self, operation: Callable[..., Any], *args: object) -> Any:
        while True:
            try:
                result = operation(*args)
            except ssl.SSLWantReadError:
                self._flush()
                if received := self._outer.recv(RECEIVED_BYTES):
                    self._incoming.write(received)
                else:
                    self._incoming.write_eof()
            else:
                self._flush()
                return result

    def _flush(self) -> None:
        self._unsent += self._outgoing.read()
        while self._unsent:
            self._unsent = self._unsent[self._outer.send(self._unsent) :]
