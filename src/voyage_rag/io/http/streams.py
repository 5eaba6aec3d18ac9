"""The byte streams that httpcore writes a request to and reads its response from.

A stream lives for one exchange. It keeps the deadline of the whole, sends head and body together,
and knows whether bytes were left over: it holds the last byte it received back until httpcore asks
for more, so a byte that is still held after a complete response is not part of it.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from math import inf

import anyio
import httpcore
from anyio.lowlevel import checkpoint

MAX_BUFFERED_BYTES = 2**16
MAX_WRITE_BYTES = 2**18
"""A deadline is checked between writes of this size."""

LATE = "no complete response in time"
NOTHING_TO_READ = (BlockingIOError, ssl.SSLWantReadError)


class UnrequestedBytesError(OSError):
    """A connection that should be quiet has brought something, or its end."""


class ExchangeStream:
    """What both streams know of one request and its response.

    Attributes:
        has_received: Whether any byte of the response has come.
    """

    def __init__(self, sock: socket.socket, first_byte_timeout: float, *, is_reused: bool) -> None:
        self.has_received: bool = False
        self._is_unchecked = is_reused
        self._socket = sock
        self._first_byte_timeout = first_byte_timeout
        self._held = b""
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0

    @property
    def has_surplus(self) -> bool:
        """Whether more than a response has come, once that is complete."""
        return self._held != b""

    def _buffer(self, data: bytes) -> list[bytes]:
        """Keep what is small until there is more to send; returns what is to be sent now."""
        if len(data) + self._unsent_bytes <= MAX_BUFFERED_BYTES:
            self._unsent.append(data)
            self._unsent_bytes += len(data)
            return []
        return [*self._take_unsent(), data]

    def _take_unsent(self) -> list[bytes]:
        if self._is_unchecked:
            self._is_unchecked = False
            if not is_quiet(self._socket):
                raise UnrequestedBytesError("bytes came before the request was sent")
        unsent, self._unsent, self._unsent_bytes = b"".join(self._unsent), [], 0
        return [unsent] if unsent else []

    def _release(self) -> bytes:
        held, self._held = self._held, b""
        return held

    def _hold_last(self, data: bytes) -> bytes:
        self.has_received = self.has_received or data != b""  # which is the connection's end
        if len(data) < 2:  # noqa: PLR2004 - nothing to hold back but all of it
            return data
        self._held = data[-1:]
        return data[:-1]


class SyncStream(ExchangeStream, httpcore.NetworkStream):
    """A stream for a thread.

    Args:
        sock: Connected; it is put into the mode of waiting with a timeout.
        deadline: When the exchange has to be over, on the monotonic clock.
        first_byte_timeout: Seconds that may pass between the request and the first byte.
        is_reused: Whether it has been used before, so that there must be nothing to read yet.
    """

    def __init__(
        self,
        sock: socket.socket,
        deadline: float,
        first_byte_timeout: float = inf,
        *,
        is_reused: bool = False,
    ) -> None:
        super().__init__(sock, first_byte_timeout, is_reused=is_reused)
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Bytes of the response, b"" at the end of the connection.

        Raises:
            OSError: The connection is broken; a `TimeoutError` if nothing came in time.
        """
        if self._held:
            return self._release()
        with suppress(httpcore.WriteError):  # there may be a response that says why
            self._send(self._take_unsent(), timeout)
        seconds = _shorter(seconds_until(self._deadline), timeout)
        if not self.has_received:
            seconds = min(seconds, self._first_byte_timeout)
        self._socket.settimeout(seconds)
        return self._hold_last(self._socket.recv(max_bytes))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send bytes, or keep them until there are more of them.

        Raises:
            httpcore.WriteError: The connection is broken.
            TimeoutError: They could not be sent in time.
        """
        self._send(self._buffer(buffer), timeout)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _send(self, pieces: list[bytes], timeout: float | None) -> None:
        for piece in pieces:
            for part in _parts(piece):
                self._socket.settimeout(_shorter(seconds_until(self._deadline), timeout))
                try:
                    self._socket.sendall(part)
                except TimeoutError:
                    raise
                except OSError as error:
                    raise httpcore.WriteError(str(error)) from error


class AsyncStream(ExchangeStream, httpcore.AsyncNetworkStream):
    """A stream for an event loop.

    Args:
        sock: Connected; it is put into the mode that does not wait.
        scope: Ends the exchange at its deadline.
        first_byte_timeout: Seconds that may pass between the request and the first byte.
        is_reused: Whether it has been used before, so that there must be nothing to read yet.
    """

    def __init__(
        self,
        sock: socket.socket,
        scope: anyio.CancelScope,
        first_byte_timeout: float = inf,
        *,
        is_reused: bool = False,
    ) -> None:
        super().__init__(sock, first_byte_timeout, is_reused=is_reused)
        self._scope = scope
        sock.setblocking(False)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """Async variant of `SyncStream.read`."""
        if self._held:
            return self._release()
        with suppress(httpcore.WriteError):
            await self._send(self._take_unsent(), timeout)
        if self.has_received:
            await checkpoint()  # a flood must not keep the loop from its other tasks
            return self._hold_last(await self._receive(max_bytes, timeout))
        deadline = self._scope.deadline
        if self._first_byte_timeout < inf:
            self._scope.deadline = min(deadline, anyio.current_time() + self._first_byte_timeout)
        data = await self._receive(max_bytes, timeout)
        if self._scope.cancel_called:  # at this very moment, so that what comes next would fail
            raise TimeoutError(LATE)
        self._scope.deadline = deadline
        return self._hold_last(data)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Async variant of `SyncStream.write`."""
        await self._send(self._buffer(buffer), timeout)

    async def aclose(self) -> None:
        """Close the socket."""
        self._socket.close()

    async def _receive(self, max_bytes: int, timeout: float | None) -> bytes:  # noqa: ASYNC109
        while True:
            try:
                return self._socket.recv(max_bytes)
            except NOTHING_TO_READ:
                await self._wait(anyio.wait_readable, timeout)
            except ssl.SSLWantWriteError:
                await self._wait(anyio.wait_writable, timeout)

    async def _send(self, pieces: list[bytes], timeout: float | None) -> None:  # noqa: ASYNC109
        for piece in pieces:
            for part in _parts(piece):
                try:
                    await self._send_part(part, timeout)
                except TimeoutError:
                    raise
                except OSError as error:
                    raise httpcore.WriteError(str(error)) from error

    async def _send_part(self, part: memoryview, timeout: float | None) -> None:  # noqa: ASYNC109
        while part:
            try:
                part = part[self._socket.send(part) :]
            except ssl.SSLWantReadError:
                await self._wait(anyio.wait_readable, timeout)
            except (BlockingIOError, ssl.SSLWantWriteError):
                await self._wait(anyio.wait_writable, timeout)

    async def _wait(
        self,
        until: Callable[[socket.socket], Awaitable[None]],
        timeout: float | None,  # noqa: ASYNC109 - that of httpcore's interface
    ) -> None:
        if timeout is None:
            await until(self._socket)
            return
        with anyio.fail_after(timeout):
            await until(self._socket)


class BytesBody:
    """The body of a request, in memory, for sync and async use."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        return iter((self._content,))

    def __aiter__(self) -> AsyncIterator[bytes]:
        return OnePiece(self._content)


class OnePiece:
    """No generator, since trio warns of one that a cancelled request leaves unfinished."""

    def __init__(self, content: bytes) -> None:
        self._pieces = [content]

    def __aiter__(self) -> OnePiece:
        return self

    async def __anext__(self) -> bytes:
        if not self._pieces:
            raise StopAsyncIteration
        return self._pieces.pop()


def is_quiet(sock: socket.socket) -> bool:
    """Whether a connection is open and has nothing to read, as it should be between exchanges."""
    with suppress(OSError):
        sock.settimeout(0)
        try:
            sock.recv(1)
        except NOTHING_TO_READ:
            return True
    return False


def seconds_until(deadline: float) -> float:
    """Seconds that are left.

    Raises:
        TimeoutError: None are.
    """
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError(LATE)
    return seconds


def check_in_time(scope: anyio.CancelScope) -> None:
    """Check that a scope has ended by itself.

    `anyio.fail_after` would look at its deadline, which a stream moves.

    Raises:
        TimeoutError: It was cancelled by its deadline.
    """
    if scope.cancelled_caught:
        raise TimeoutError(LATE)


def _shorter(seconds: float, timeout: float | None) -> float:
    return seconds if timeout is None else min(seconds, timeout)


def _parts(data: bytes) -> list[memoryview]:
    view = memoryview(data)
    return [view[start : start + MAX_WRITE_BYTES] for start in range(0, len(view), MAX_WRITE_BYTES)]
