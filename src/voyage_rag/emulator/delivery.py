"""An answer onto the wire, whole or in one of the ways deliveries fail."""

import asyncio
import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, TypeAlias

import anyio

from voyage_rag.emulator.answers import Answer
from voyage_rag.emulator.faults import Broken

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PIECE = 256 * 1024
"""Bytes of a file that are sent at once."""

TRANSPORT = "voyage_emulator.transport"
"""Key of the scope under which the server puts the connection, for faults to close."""


async def read_body(receive: Receive) -> bytes:
    """Return the body of a request."""
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


async def wait(seconds: float | None, receive: Receive) -> bool:
    """Let so many seconds pass, None for all; return whether the client is still there."""
    if seconds == 0:
        return True
    try:
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return True
    return False


async def deliver(answer: Answer, send: Send) -> None:
    """Send an answer."""
    await _start(answer, len(answer.body), send)
    await _continue(answer.body, send, last=True)


async def deliver_file(head: Answer, path: Path, send: Send) -> None:
    """Send an answer whose body is a file, however large."""
    async with await anyio.open_file(path, "rb") as source:
        await _start(head, await source.seek(0, os.SEEK_END), send)
        await source.seek(0)
        while piece := await source.read(PIECE):
            await _continue(piece, send)
    await _continue(b"", send, last=True)


async def deliver_badly(
    answer: Answer, broken: Broken, scope: Scope, receive: Receive, send: Send
) -> None:
    """Send an answer so that it does not arrive as it should."""
    body, half = answer.body, answer.body[: len(answer.body) // 2]
    match broken.manner:
        case "dropped":
            await _hang_up(scope, receive)
        case "silent":
            await wait(None, receive)
        case "truncated":
            await _start(answer, len(half), send)
            await _continue(half, send, last=True)
        case "trickled":
            await _start(answer, len(body), send)
            await _trickle(body, broken, receive, send)
        case "stalled":
            await _start(answer, len(body), send)
            await _continue(half, send)
            await wait(None, receive)
        case "cut_off" | "wrong_length":
            part, missing = (half, 0) if broken.manner == "cut_off" else (body, 10)
            await _start(answer, len(body) + missing, send)
            await _continue(part, send)
            await _hang_up(scope, receive)
        case "closed":
            await deliver(answer, send)
            await _hang_up(scope, receive)
        case "short_length":
            await _start(answer, len(body) - 10, send)
            await _continue(body[:-10], send)
            _connection(scope).write(body[-10:])  # past the server, which would not
            await _hang_up(scope, receive)


async def _start(answer: Answer, length: int, send: Send) -> None:
    headers = answer.headers | {"content-length": str(length)}
    encoded = [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": encoded})


async def _continue(body: bytes, send: Send, *, last: bool = False) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": not last})


async def _trickle(body: bytes, broken: Broken, receive: Receive, send: Send) -> None:
    size = -(-len(body) // broken.pieces) or 1
    for start in range(0, len(body), size):
        if not await wait(broken.pause, receive):
            return
        await _continue(body[start : start + size], send, last=start + size >= len(body))


async def _hang_up(scope: Scope, receive: Receive) -> None:
    """Close the connection after what has been written, and wait until the server noticed."""
    _connection(scope).close()
    await wait(None, receive)


def _connection(scope: Scope) -> asyncio.Transport:
    if TRANSPORT not in scope:
        raise ConnectionAbortedError("this fault needs the emulator's own server")
    transport: asyncio.Transport = scope[TRANSPORT]
    return transport
