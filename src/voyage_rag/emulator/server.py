"""Serve the emulated API, in a thread of this process or as a separate process."""

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from voyage_rag.emulator.app import DIALECTS, create_app
from voyage_rag.emulator.faults import TRANSPORT_KEY
from voyage_rag.emulator.options import EmulatorOptions, ReceivedRequest
from voyage_rag.emulator.responses import NOTICE, Receive, Scope, Send

_START_TIMEOUT_SECONDS = 10.0  # far more than needed
_STOP_TIMEOUT_SECONDS = 1.0


class Emulator:
    """An emulated API in a thread of this process.

    NOT VOYAGE AI: responses follow the rules of the API; vectors and scores are based on word
    counts.

    Attributes:
        options: The settings.
        requests: All requests to endpoints so far, in order of arrival.

    Setup:
        Run `pip install 'voyage-rag[emulator]'`. No key is needed.

    Examples:
        >>> from voyage_rag import Voyage
        >>> from voyage_rag.emulator import Emulator
        >>> with Emulator(requests_per_minute=100) as url:
        ...     Voyage("any-key", base_url=url).embed(["Hello, world"], model="voyage-4").vectors
        <Vectors: 1 × 1024 numbers, float>
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, **options: Any) -> None:
        """Create an emulator, without starting it.

        Args:
            host: Address to listen on.
            port: Port to listen on; 0 for any free port.
            **options: The fields of `EmulatorOptions`.
        """
        self.options: EmulatorOptions = EmulatorOptions(**options)
        self.requests: list[ReceivedRequest] = []
        self._address = host, port
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._url = ""

    @property
    def url(self) -> str:
        """Base URL of the running emulator. For the Voyage API, it ends in `/v1`."""
        if self._server is None:
            raise RuntimeError("the emulator is not running: call start(), or use `with`")
        return self._url

    def start(self) -> str:
        """Start listening, and return the base URL."""
        if self._server is not None:
            raise RuntimeError(f"the emulator is already running at {self._url}")
        self._app = create_app(self.options, self.requests)
        listening = _listen(*self._address)
        self._url = _base_url(listening, self.options)
        listens = threading.Event()
        self._server = _Server(_configure(self._app), listens.set)
        self._thread = threading.Thread(
            target=self._server.run, args=([listening],), name="voyage-emulator", daemon=True
        )
        self._thread.start()
        if not listens.wait(_START_TIMEOUT_SECONDS):
            raise RuntimeError("the emulator did not start")
        return self._url

    def stop(self) -> None:
        """Close all connections and the port. Does nothing if the emulator is not running."""
        if self._server is not None and self._thread is not None:
            self._server.stop_soon()
            self._thread.join()
            self._app.state.resources.close()
        self._server = self._thread = None

    def __enter__(self) -> str:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


def serve(
    host: str = "127.0.0.1",
    port: int = 8080,
    *,
    announcement: str = f"{{url}} is an {NOTICE}. Ctrl-C stops it.",
    **options: Any,
) -> None:
    """Serve an emulated API until interrupted.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 for any free port.
        announcement: A line to write to stdout after the start, with `{url}` for the base URL.
        **options: The fields of `EmulatorOptions`.
    """
    settings = EmulatorOptions(**options)
    app = create_app(settings)
    with _listen(host, port) as listening, suppress(KeyboardInterrupt):
        line = announcement.replace("{url}", _base_url(listening, settings))
        _Server(_configure(app), lambda: print(line, flush=True)).run([listening])  # noqa: T201
    app.state.resources.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


def _base_url(listening: socket.socket, options: EmulatorOptions) -> str:
    host, port = listening.getsockname()[:2]
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{port}{DIALECTS[options.dialect].base_path}"


def _configure(app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_Connection,
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,  # does not change the program's logging
        log_level="critical",
        access_log=False,
        timeout_keep_alive=600,  # seconds, as for the service's load balancer
        server_header=False,  # the application writes these two, in the service's order
        date_header=False,
    )


class _Connection(H11Protocol):
    """An HTTP connection that the application can close during a response."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # asyncio does this only for sockets opened with the protocol number of TCP, which those of
        # `socket.create_server` are not; without it each response waits 40 ms to be acknowledged.
        connected: socket.socket = transport.get_extra_info("socket")
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        app = self.app

        async def app_with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            scope[TRANSPORT_KEY] = transport
            await app(scope, receive, send)

        self.app = app_with_transport


class _Server(uvicorn.Server):
    """A server that calls back after the start, and stops without waiting for clients."""

    def __init__(self, config: uvicorn.Config, on_listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    async def main_loop(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._on_listening()
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002
        for server in self.servers:
            server.close()
        # Responses that wait or stall end with their connection.
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        if self.server_state.tasks:
            await asyncio.wait(list(self.server_state.tasks), timeout=_STOP_TIMEOUT_SECONDS)

    def stop_soon(self) -> None:
        """Stop the server, from any thread."""
        self._loop.call_soon_threadsafe(self._stopping.set)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self.stop_soon()
