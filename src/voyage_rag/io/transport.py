"""The only file that knows httpx: one call out, one answer or one of our errors back.

Connections live long. Sync calls take a *lane*, a client with one connection, from a stack, so that
a request some thread is waiting for can be ended from another thread. So do async calls, from a
stack of their event loop, which is closed with it: what httpcore's pool does for each request grows
with the square of its connections (seen with 1.0.9; two hundred took 30 ms). After a fork the child
starts with none of these: it drops what it inherited, and never closes it.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
import weakref
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, closing, contextmanager, suppress
from functools import cache, lru_cache
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
import httpx
from anyio.lowlevel import RunVar

from voyage_rag._version import __version__
from voyage_rag.errors import APIConnectionError, ConfigurationError, Timeout
from voyage_rag.hosts.messages import Response
from voyage_rag.io.body import ACCEPTED_ENCODING, Body, UnreadableBodyError, body_of
from voyage_rag.io.tasks import run_in_thread
from voyage_rag.locks import Lock

if TYPE_CHECKING:
    from voyage_rag.core.flow import Attempt
    from voyage_rag.hosts.messages import Request
    from voyage_rag.io.call_state import ThreadCallState
    from voyage_rag.settings import Settings

HTTPClient: TypeAlias = httpx.Client
AsyncHTTPClient: TypeAlias = httpx.AsyncClient
"""What a user may hand in, for who has no business with httpx itself."""

KEEP_ALIVE = 60.0
LONGEST_CONNECT = 15.0
NO_TIME = 0.001
WRITTEN_AT_ONCE = 2**18
MOST_CONNECTIONS = 256
USER_AGENT = f"voyage-rag/{__version__} httpx/{httpx.__version__}"

HEADERS = {
    "content-type": "application/json",
    "accept": "application/json",
    "accept-encoding": ACCEPTED_ENCODING,
    "user-agent": USER_AGENT,
}

NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
ONE_CONNECTION = httpx.Limits(
    max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP_ALIVE
)

NO_ANSWER = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnreadableBodyError)

BEGINS = ("connect_tcp.started", "start_tls.started")
NEW_CONNECTION = ("connect_tcp.complete", "start_tls.complete", "connect_unix_socket.complete")


class Transport:
    """Sends attempts to one host with one key.

    Args:
        settings: Address and key.
        http_client: Used for sync calls instead of our own clients; never closed by us.
        async_http_client: The same for async calls; belongs to the loop it is used in.

    Raises:
        ConfigurationError: One of the clients is no httpx client of the right face.
    """

    def __init__(
        self,
        settings: Settings,
        http_client: httpx.Client | None = None,
        async_http_client: httpx.AsyncClient | None = None,
    ) -> None:
        _check_client("http_client", http_client, httpx.Client)
        _check_client("async_http_client", async_http_client, httpx.AsyncClient)
        self.http_client = http_client
        self.async_http_client = async_http_client
        self._host = settings.host
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        process = os.getpid()
        self._idle: deque[Lane] = deque()
        weakref.finalize(self, _close, self._idle, process)
        self._per_loop: RunVar[AsyncLanes] = RunVar("voyage_rag.lanes")
        self._process = process  # last: until then every thread of a forked child begins anew

    def _guard(self) -> None:
        if self._process != os.getpid():
            self._lock = threading.Lock()
            self._begin()

    # ── sync ──────────────────────────────────────────────────────────────────────────────────────

    def send(self, attempt: Attempt, abort: ThreadCallState) -> Response:
        """Send and wait for the whole answer.

        Raises:
            APIConnectionError: No usable answer; `Timeout` if it did not come in time.
        """
        self._guard()
        if self.http_client is not None:
            return self._sent(self.http_client, attempt, None)
        with self._lock:
            lane = self._idle.pop() if self._idle else Lane()
        try:
            with abort.in_flight(lane.end):
                response = self._sent(lane.client, attempt, lane)
        except BaseException:
            lane.client.close()
            raise
        if lane.ended:  # too late for this request, and no connection for the next
            lane.client.close()
            return response
        with self._lock:
            self._idle.append(lane)
            unwanted = self._idle.popleft() if self._idle[0].idle_for() > KEEP_ALIVE else None
        if unwanted is not None:
            unwanted.client.close()
        return response

    def _sent(self, client: httpx.Client, attempt: Attempt, lane: Lane | None) -> Response:
        end = time.monotonic() + attempt.time_for_all
        try:
            with _content(attempt.request) as content:
                request = self._request(client, attempt, content)
                if lane is not None:
                    lane.watch(request, end)
                answer = client.send(request, auth=None, follow_redirects=False, stream=True)
            with closing(answer):
                if answer.is_stream_consumed:  # by a hook of the user's client
                    return self._response(answer, _consumed(answer, attempt))
                with body_of(attempt.request, answer.status_code, answer.headers) as body:
                    for piece in _in_time(answer.iter_raw(), end):
                        body.add(piece)
                    return self._response(answer, body.whole())
        except NO_ANSWER as error:
            raise self._failure(error, attempt) from error

    def close(self) -> None:
        """Close the idle connections of sync calls. A later call opens new ones."""
        self._guard()
        with self._lock:
            _close(self._idle, self._process)

    # ── async ─────────────────────────────────────────────────────────────────────────────────────

    async def asend(self, attempt: Attempt) -> Response:
        """Async twin of `send`."""
        self._guard()
        if self.async_http_client is not None:
            return await self._asent(self.async_http_client, attempt)
        lanes = await self._lanes_of_loop()
        client = await lanes.take()
        try:
            response = await self._asent(client, attempt)
        except BaseException:
            await lanes.discard(client)
            raise
        await lanes.give_back(client)
        return response

    async def _asent(self, client: httpx.AsyncClient, attempt: Attempt) -> Response:
        try:
            with anyio.fail_after(attempt.time_for_all):
                with _content(attempt.request) as content:
                    request = self._request(client, attempt, content)
                    answer = await client.send(
                        request, auth=None, follow_redirects=False, stream=True
                    )
                async with aclosing(answer):
                    if answer.is_stream_consumed:
                        return self._response(answer, _consumed(answer, attempt))
                    with body_of(attempt.request, answer.status_code, answer.headers) as body:
                        async for piece in answer.aiter_raw():
                            await body.aadd(piece)
                        return self._response(answer, body.whole())
        except TimeoutError as error:
            raise self._failure(httpx.ReadTimeout("no whole answer in time"), attempt) from error
        except NO_ANSWER as error:
            raise self._failure(error, attempt) from error

    async def _lanes_of_loop(self) -> AsyncLanes:
        lanes = self._per_loop.get(None)
        if lanes is None:
            lanes = AsyncLanes()
            self._per_loop.set(lanes)
            await lanes.open()
        return lanes

    async def aclose(self) -> None:
        """Close the connections of this event loop. A later call opens new ones."""
        self._guard()
        lanes = self._per_loop.get(None)
        if lanes is not None:
            self._per_loop = RunVar("voyage_rag.lanes")
            await lanes.close()

    # ── both ──────────────────────────────────────────────────────────────────────────────────────

    def _request(
        self,
        client: httpx.Client | httpx.AsyncClient,
        attempt: Attempt,
        content: Mapping[str, Any],
    ) -> httpx.Request:
        asked = attempt.request
        url = _address(self._host.url(asked))
        headers = {**HEADERS, **self._host.headers(asked.method, str(url), asked.body)}
        extensions = {"timeout": _timeouts(attempt.timeout)}
        if asked.upload is not None:  # whose content type names its boundary
            del headers["content-type"]
        elif asked.method == "POST" and client not in (self.http_client, self.async_http_client):
            headers["host"] = url.netloc.decode("ascii")
            headers["content-length"] = str(len(asked.body))
            body = RequestBody(asked.body)
            return httpx.Request("POST", url, headers=headers, stream=body, extensions=extensions)
        return client.build_request(
            asked.method, url, **content, headers=headers, extensions=extensions
        )

    def _response(self, answer: httpx.Response, body: bytes) -> Response:
        """The answer; what is no result does not say the key back, as debugging gateways do."""
        headers: Mapping[str, str] = answer.headers
        if answer.status_code != httpx.codes.OK:
            body = self._host.redact(body)
        if named := headers.get("x-request-id"):
            hidden = self._host.redact(named.encode()).decode()
            headers = headers if hidden == named else {**headers, "x-request-id": hidden}
        return Response(answer.status_code, headers, body)

    def _failure(self, error: Exception, attempt: Attempt) -> APIConnectionError:
        failure = self._named(error, attempt)
        failure.never_sent = isinstance(error, NEVER_SENT)
        return failure

    def _named(self, error: Exception, attempt: Attempt) -> APIConnectionError:
        told = str(error) or type(error).__name__
        model = attempt.request.model
        if isinstance(error, httpx.TimeoutException):
            return Timeout(
                f"{self._host.base_url} did not answer within {attempt.timeout:g} s ({told}): "
                "raise timeout, or send less at once",
                model=model,
            )
        return APIConnectionError(
            f"no answer from {self._host.base_url}: {told} (`voyage-rag doctor` looks at network, "
            "proxy and certificates)",
            model=model,
        )


class RequestBody(httpx.ByteStream):
    """Bytes in one piece.

    httpx gives them out by an async generator, which a cancelled request leaves behind unfinished,
    and trio warns of that.
    """

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self._body = body

    def __aiter__(self) -> AsyncIterator[bytes]:
        return OnePiece(self._body)


class OnePiece:
    """An async iterator that needs no end."""

    def __init__(self, piece: bytes) -> None:
        self._pieces = [piece]

    def __aiter__(self) -> OnePiece:
        return self

    async def __anext__(self) -> bytes:
        if not self._pieces:
            raise StopAsyncIteration
        return self._pieces.pop()


class Lane:
    """A sync client with one connection, which another thread can end, and which keeps deadlines.

    httpx times each step of a request, and each read; so an answer that trickles could take for
    ever. The connection is told to wait for what is left of the request's time.

    Attributes:
        ended: Whether another thread has ended it.
    """

    def __init__(self) -> None:
        self.client = httpx.Client(verify=shared_ssl_context(), limits=ONE_CONNECTION)
        self.ended = False
        self._stream: Any = None
        self._extensions: dict[str, Any] = {}
        self._used_at = -inf
        self._until = inf

    def watch(self, request: httpx.Request, until: float) -> None:
        """Follow the next request, which is to be over by then.

        It is traced only where it opens a connection: that costs a tenth of a small call.
        """
        self._used_at, self._until = time.monotonic(), until
        self._extensions = request.extensions
        if self._stream is None:
            self._extensions["trace"] = self.trace

    def idle_for(self) -> float:
        """Seconds since its last request began."""
        return time.monotonic() - self._used_at

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Follow httpcore's trace to know the connection (httpx docs, "Extensions: trace")."""
        if event.endswith(BEGINS):
            info["timeout"] = self._time_left(info["timeout"])
        elif event.endswith(NEW_CONNECTION):
            self._stream = info["return_value"]
            self._keep_deadlines(self._stream)
            if self.ended:
                self.end()

    def end(self) -> None:
        """Shut the connection down, so that the thread that waits for its answer stops waiting."""
        self.ended = True
        connection = self._stream and self._stream.get_extra_info("socket")
        if connection is not None:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _time_left(self, timeout: float | None) -> float:
        left = max(self._until - time.monotonic(), NO_TIME)
        return left if timeout is None else min(timeout, left)

    def _keep_deadlines(self, stream: Any) -> None:
        """Shorten the waits of httpcore's `NetworkStream` (its docs, "Network Backends")."""
        read, write, told, close = stream.read, stream.write, stream.get_extra_info, stream.close

        def read_in_time(max_bytes: int, timeout: float | None = None) -> Any:
            return read(max_bytes, self._time_left(timeout))

        def write_in_time(buffer: bytes, timeout: float | None = None) -> None:
            for start in range(0, len(buffer), WRITTEN_AT_ONCE):
                part = buffer[start : start + WRITTEN_AT_ONCE]
                write(part, self._time_left(timeout))

        def told_unless_ended(name: str) -> Any:
            """A request in the making is to fail on this connection, not to open another."""
            return False if self.ended and name == "is_readable" else told(name)

        def close_and_follow_the_next() -> None:
            """This request may be the one that opens another, or the next."""
            self._stream, self._extensions["trace"] = None, self.trace
            close()

        stream.read, stream.write = read_in_time, write_in_time
        stream.get_extra_info, stream.close = told_unless_ended, close_and_follow_the_next


class AsyncLanes:
    """The async clients of one event loop, of one connection each, closed when the loop ends.

    Both asyncio and trio close the async generators that are still open when they end; a generator
    that is held open until then is how to be told.
    """

    def __init__(self) -> None:
        self._room = anyio.Semaphore(MOST_CONNECTIONS, fast_acquire=True)
        self._idle: deque[tuple[float, httpx.AsyncClient]] = deque()
        self._all: set[httpx.AsyncClient] = set()
        self._preparing = anyio.Lock()
        self._life = self._open_until_the_loop_ends()

    async def take(self) -> httpx.AsyncClient:
        """One that is free, as soon as there is one."""
        await self._room.acquire()
        if self._idle:
            return self._idle.pop()[1]
        try:
            await self._prepare()
            client = httpx.AsyncClient(verify=shared_ssl_context(), limits=ONE_CONNECTION)
            _connect_cleanly(client)
        except BaseException:
            self._room.release()
            raise
        self._all.add(client)
        return client

    async def _prepare(self) -> None:
        """Make what all clients share, in a thread: it takes a tenth of a second."""
        if not is_prepared():
            async with self._preparing:
                if not is_prepared():
                    await run_in_thread(shared_ssl_context)

    async def give_back(self, client: httpx.AsyncClient) -> None:
        """It is free again. One that nobody wanted for long is closed."""
        now = time.monotonic()
        self._idle.append((now, client))
        self._room.release()
        if self._idle[0][0] < now - KEEP_ALIVE:
            await self._close(self._idle.popleft()[1])

    async def discard(self, client: httpx.AsyncClient) -> None:
        """Close one whose request failed or was cancelled."""
        self._room.release()
        await self._close(client)

    async def open(self) -> None:
        """Tie their life to the running loop's."""
        await self._life.__anext__()

    async def close(self) -> None:
        """Close all of them now."""
        await self._life.aclose()

    async def _close(self, client: httpx.AsyncClient) -> None:
        self._all.discard(client)
        with anyio.CancelScope(shield=True):
            await client.aclose()

    async def _open_until_the_loop_ends(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self._idle.clear()
            while self._all:
                await self._close(next(iter(self._all)))


def _connect_cleanly(client: httpx.AsyncClient) -> None:
    """Have a client's connections made by `Connecting`; httpx has no public way to say so."""
    from voyage_rag.io.connecting import Connecting  # noqa: PLC0415 - httpcore brings trio

    for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001
        pool: Any = getattr(transport, "_pool", None)
        if hasattr(pool, "_network_backend"):
            pool._network_backend = Connecting(pool._network_backend)  # noqa: SLF001


def _consumed(answer: httpx.Response, attempt: Attempt) -> bytes:
    """An answer that something in the user's client has read and unpacked already."""
    body = Body({}, attempt.request.largest_answer)
    body.add(answer.content)
    return body.whole()


@contextmanager
def _content(request: Request) -> Iterator[Mapping[str, Any]]:
    """What httpx is to send; a file is read as it goes, 64 KiB at a time."""
    if request.upload is None:
        yield {"content": request.body}
        return
    with Path(request.upload.path).open("rb") as file:
        yield {"files": {"file": (request.upload.filename, file)}, "data": request.upload.fields}


def _in_time(pieces: Iterator[bytes], end: float) -> Iterator[bytes]:
    """Pieces of an answer until `end`: httpx times each of them, and not the whole."""
    for piece in pieces:
        yield piece
        if time.monotonic() > end:
            raise httpx.ReadTimeout("no whole answer in time")


def _close(idle: deque[Lane], process: int) -> None:
    """Close idle lanes, unless they are those of the process this one was forked from."""
    while idle and process == os.getpid():
        idle.pop().client.close()


@cache
def _address(url: str) -> httpx.URL:
    """An address, parsed once: it would be a twentieth of what a request on its way costs."""
    return httpx.URL(url)


@lru_cache(64)
def _timeouts(seconds: float) -> dict[str, float | None]:
    """What httpx does with a timeout: how long each step of a request may take."""
    connect = min(seconds, LONGEST_CONNECT)
    return httpx.Timeout(seconds, connect=connect, pool=None).as_dict()


def shared_ssl_context() -> ssl.SSLContext:
    """One TLS context for all clients: reading the certificates is the costly part of a client."""
    with _PREPARING:
        return _prepared()


def is_prepared() -> bool:
    """Whether there is that context."""
    return _prepared.cache_info().currsize > 0


_PREPARING = Lock()


@cache
def _prepared() -> ssl.SSLContext:
    from voyage_rag.io import connecting  # noqa: F401, PLC0415 - imports much, here and not later

    return httpx.create_ssl_context()


def _check_client(name: str, client: object, face: type) -> None:
    if client is not None and not isinstance(client, face):
        raise ConfigurationError(
            f"{name} must be an httpx.{face.__name__}, not {type(client).__name__}"
        )
