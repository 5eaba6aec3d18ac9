"""Send through httpx: with clients that the user has passed, or if a library intercepts httpx.

Clients of the user keep their authentication, headers, proxies, certificates, hooks and
connections, and are never closed here. Redirects are not followed, because they would send the key
to another address.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import aclosing, closing, contextmanager, suppress
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import httpx

from voyage_rag._version import __version__
from voyage_rag.errors import ConfigurationError
from voyage_rag.hosts.host import Host
from voyage_rag.hosts.messages import Request, Response
from voyage_rag.io.http.certificates import TrustedCertificates
from voyage_rag.io.http.failures import connection_error
from voyage_rag.io.http.pool import MAX_CONNECT_SECONDS
from voyage_rag.io.http.response import (
    ACCEPTED_ENCODING,
    ResponseBody,
    UnreadableBodyError,
    UnwritableFileError,
    body_of,
    max_response_bytes,
    response_of,
)

if TYPE_CHECKING:
    from voyage_rag.core.flow import Attempt

FAILURES = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.StreamError,
    UnreadableBodyError,
    UnwritableFileError,
)
UNUSABLE = re.compile("client has been closed|event loop|different loop", re.IGNORECASE)
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class UserClients:
    """Sends attempts through a user's client.

    Args:
        host: The target, which also defines authentication unless the client does.
        http_client: The client for sync calls.
        async_http_client: The client for async calls.

    Raises:
        ConfigurationError: A client has the wrong type.
    """

    def __init__(
        self,
        host: Host,
        http_client: httpx.Client | None,
        async_http_client: httpx.AsyncClient | None,
    ) -> None:
        _check("http_client", http_client, httpx.Client)
        _check("async_http_client", async_http_client, httpx.AsyncClient)
        self._host = host
        self._sync = http_client
        self._async = async_http_client

    def send(self, attempt: Attempt) -> Response:
        """Send an attempt and wait for its whole response.

        Raises:
            APIConnectionError: There was no usable response.
            ConfigurationError: Only a client for async calls was passed.
        """
        if self._sync is None:
            raise _missing("sync", "http_client", httpx.Client)
        end = inf if attempt.limits_silence else time.monotonic() + attempt.timeout
        try:
            with _content(attempt.request) as content:
                request = self._request(self._sync, attempt, content)
                auth = self._sync.auth
                received = self._sync.send(request, auth=auth, follow_redirects=False, stream=True)
            with closing(received):
                if received.is_stream_consumed:
                    return self._response(received, _consumed(received, attempt.request))
                body = body_of(attempt.request, received.status_code, received.headers)
                with closing(body):
                    for piece in received.iter_raw():
                        body.add(piece)
                        if time.monotonic() > end:
                            raise httpx.ReadTimeout("no complete response in time")
                    return self._response(received, body.finish())
        except httpx.HTTPStatusError as error:
            return self._refused(error.response)
        except FAILURES as error:
            failure = self._failure(error, attempt)
        except RuntimeError as error:
            failure = _misused("http_client", error)
        raise failure  # outside `except`: the context refers to the request and its headers

    async def asend(self, attempt: Attempt) -> Response:
        """Async variant of `send`."""
        if self._async is None:
            raise _missing("async", "async_http_client", httpx.AsyncClient)
        try:
            with anyio.fail_after(None if attempt.limits_silence else attempt.timeout):
                with _content(attempt.request) as content:
                    request = self._request(self._async, attempt, content)
                    received = await self._async.send(
                        request, auth=self._async.auth, follow_redirects=False, stream=True
                    )
                async with aclosing(received):
                    if received.is_stream_consumed:
                        return self._response(received, _consumed(received, attempt.request))
                    body = body_of(attempt.request, received.status_code, received.headers)
                    with closing(body):
                        async for piece in received.aiter_raw():
                            body.add(piece)
                        return self._response(received, body.finish())
        except httpx.HTTPStatusError as error:
            return self._refused(error.response)
        except (TimeoutError, *FAILURES) as error:
            failure = self._failure(error, attempt)
        except RuntimeError as error:
            failure = _misused("async_http_client", error)
        raise failure

    def _request(
        self,
        client: httpx.Client | httpx.AsyncClient,
        attempt: Attempt,
        content: Mapping[str, Any],
    ) -> httpx.Request:
        """Return a request in which the client's own settings take precedence."""
        request = attempt.request
        url = self._host.url(request)
        headers = {"accept": "application/json", "accept-encoding": ACCEPTED_ENCODING}
        if request.upload is None:
            headers["content-type"] = "application/json"
        if client.headers.get("user-agent", "").startswith("python-httpx/"):
            headers["user-agent"] = f"voyage-rag/{__version__} httpx/{httpx.__version__}"
        if client.auth is None:
            given = self._host.headers(request.method, url, request.body)
            headers |= {name: text for name, text in given.items() if name not in client.headers}
        connect = min(attempt.timeout, MAX_CONNECT_SECONDS)
        timeout = httpx.Timeout(attempt.timeout, connect=connect, pool=None)
        return client.build_request(
            request.method, url, **content, headers=headers, timeout=timeout
        )

    def _response(self, received: httpx.Response, body: bytes) -> Response:
        return response_of(self._host, received.status_code, received.headers, body)

    def _refused(self, received: httpx.Response) -> Response:
        """Return a response for which a hook has called `raise_for_status`."""
        body = b""
        with suppress(httpx.StreamError):  # the hook has not read the body, or did not keep it
            body = received.content
        return self._response(received, body)

    def _failure(self, error: Exception, attempt: Attempt) -> Exception:
        if isinstance(error, UnwritableFileError):
            return error.reason
        return connection_error(
            error,
            self._host,
            attempt,
            is_timeout=isinstance(error, (TimeoutError, httpx.TimeoutException)),
            never_sent=isinstance(error, NEVER_SENT),
        )


def send_once(host: Host, attempt: Attempt) -> Response:
    """Send an attempt through a new client, for libraries that intercept httpx."""
    context = TrustedCertificates.of_environment(os.environ).ssl_context()
    with httpx.Client(verify=context) as client:
        return UserClients(host, client, None).send(attempt)


async def asend_once(host: Host, attempt: Attempt) -> Response:
    """Async variant of `send_once`."""
    context = TrustedCertificates.of_environment(os.environ).ssl_context()
    async with httpx.AsyncClient(verify=context) as client:
        return await UserClients(host, None, client).asend(attempt)


def _check(name: str, client: object, kind: type) -> None:
    if client is not None and not isinstance(client, kind):
        raise ConfigurationError(f"{name} must be an httpx.{kind.__name__}, not {type(client)!r}")


def _missing(variant: str, name: str, kind: type) -> ConfigurationError:
    return ConfigurationError(
        f"this object has its own HTTP client, but none for {variant} calls, which would be "
        f"sent without its proxies, certificates and headers: pass {name}="
        f"httpx.{kind.__name__}(...) too"
    )


def _misused(name: str, error: RuntimeError) -> ConfigurationError:
    """Return the error for a client that is closed or has connections of another event loop.

    Raises:
        RuntimeError: The same error, if it has another cause, such as a hook.
    """
    if not UNUSABLE.search(str(error)):
        raise error
    return ConfigurationError(
        f"{name} cannot be used ({error}): use a separate client for each event loop, and close it "
        f"after its last call; without {name}, all event loops are supported"
    )


def _consumed(received: httpx.Response, request: Request) -> bytes:
    """Return a body that a hook of the client has already read and decompressed."""
    body = ResponseBody({}, max_response_bytes(request))
    body.add(received.content)
    return body.finish()


@contextmanager
def _content(request: Request) -> Iterator[Mapping[str, Any]]:
    """Return the content for httpx. A file is read while it is sent, 64 KiB at a time."""
    if request.upload is None:
        yield {"content": request.body}
        return
    with Path(request.upload.path).open("rb") as file:
        yield {"files": {"file": (request.upload.filename, file)}, "data": request.upload.fields}
