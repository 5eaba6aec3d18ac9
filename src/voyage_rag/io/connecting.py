"""Connecting, so that an async call that is cancelled meanwhile leaves no connection behind.

On asyncio, anyio loses a connection that is made at the moment its task is cancelled (seen with
4.15): the socket stays open until it is garbage-collected. So the connecting goes on for a moment
in a task of its own, and what comes of it is closed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import anyio
import httpcore

from voyage_rag.io.tasks import spawn

GRACE = 0.5
"""Seconds that connecting may go on after a cancellation."""


class Connecting(httpcore.AsyncNetworkBackend):
    """A backend of httpcore whose TCP connections are closed if nobody wants them any more.

    Args:
        backend: What connects.
    """

    def __init__(self, backend: httpcore.AsyncNetworkBackend) -> None:
        self._backend = backend

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect, or close what is connected too late."""
        streams: list[httpcore.AsyncNetworkStream] = []
        failures: list[Exception] = []
        abandoned = False
        over = anyio.Event()

        async def connect() -> None:
            try:
                stream = await self._backend.connect_tcp(
                    host, port, timeout, local_address, socket_options
                )
            except Exception as error:  # noqa: BLE001 - raised where it is awaited
                failures.append(error)
                return
            if abandoned:
                await stream.aclose()
            streams.append(stream)

        cancel = spawn(connect, over.set)
        try:
            await over.wait()
        except BaseException:
            with anyio.CancelScope(shield=True):
                with anyio.move_on_after(GRACE):
                    await over.wait()
                abandoned = True
                cancel()
                for stream in streams:
                    await stream.aclose()
            raise
        if failures:
            raise failures[0]
        return streams[0]

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect, as the other backend does."""
        return await self._backend.connect_unix_socket(path, timeout, socket_options)

    async def sleep(self, seconds: float) -> None:
        """Wait, as the other backend does."""
        await self._backend.sleep(seconds)
