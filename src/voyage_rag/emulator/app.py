"""The emulated API as an ASGI application.

NOT VOYAGE AI. It implements the rules of the HTTP API (arguments, limits, errors, headers, usage),
not the models: vectors and scores are based on word counts. Every response says so in its
`x-voyage-emulator` header.
"""

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableSequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeAlias

import anyio.to_thread
import orjson
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from voyage_rag.emulator.arguments import (
    EmulatedEndpoint,
    RejectedRequest,
    check_arguments,
    parse_json,
)
from voyage_rag.emulator.azure_dialects import AzureApplicationDialect, AzureFoundryDialect
from voyage_rag.emulator.dialects import MODEL_ENDPOINTS, EmulatedDialect
from voyage_rag.emulator.faults import (
    ContentFault,
    DeliveryFault,
    Fault,
    ResponseFault,
    iterate_faults,
    send_badly,
)
from voyage_rag.emulator.files_and_batches import FilesAndBatches, ResourceHandler, ResourceRequest
from voyage_rag.emulator.openai_dialect import LOCAL_MODEL, OpenAIDialect
from voyage_rag.emulator.options import DialectName, EmulatorOptions, ReceivedRequest
from voyage_rag.emulator.rate_limits import EmulatedRateLimits
from voyage_rag.emulator.responses import (
    NOTICE,
    PAYMENT_NOTICE,
    EmulatedResponse,
    Payload,
    Receive,
    Scope,
    Send,
    encode,
    make_response,
    send_file,
    send_response,
    wait_or_disconnect,
)
from voyage_rag.emulator.sagemaker_dialect import SageMakerDialect
from voyage_rag.emulator.tokens import EmulatedTokenizer

DIALECTS: dict[DialectName, type[EmulatedDialect]] = {
    "voyage": EmulatedDialect,
    "sagemaker": SageMakerDialect,
    "azure-foundry": AzureFoundryDialect,
    "azure-application": AzureApplicationDialect,
    "openai": OpenAIDialect,
}

_SECRET_HEADERS = {"authorization", "api-key", "x-amz-security-token"}

JSONL_CONTENT_TYPE = "application/octet-stream"
"""Content type of a file. This is a guess."""


def create_app(
    options: EmulatorOptions | None = None, requests: MutableSequence[ReceivedRequest] | None = None
) -> Starlette:
    """Return an emulated API.

    Args:
        options: Its settings.
        requests: Where to record the requests it receives; None to record nothing.
    """
    options = options or EmulatorOptions()
    dialect = make_dialect(options)
    shared = _Shared(
        options,
        dialect,
        EmulatedRateLimits(options),
        EmulatedTokenizer(options.characters_per_token),
        iterate_faults(options.faults),
        requests,
    )
    resources = FilesAndBatches(options, shared.tokens, _epoch_clock(options))
    by_path: dict[str, dict[str, ResourceHandler]] = {}
    for (method, path), handler in resources.handlers.items() if dialect.has_files else ():
        by_path.setdefault(path, {})[method] = handler
    methods = list(dialect.methods)
    routes = [
        *(
            Route(path, _PathApp(shared, partial(_compute, shared, endpoint)), methods=methods)
            for path, endpoint in dialect.paths().items()
        ),
        *(
            Route(
                path,
                _PathApp(shared, partial(_serve_resource, shared, handlers)),
                methods=list(handlers),
            )
            for path, handlers in by_path.items()
        ),
        *(
            Route(path, _document(dialect, document), methods=["GET"])
            for path, document in dialect.documents().items()
        ),
    ]
    names = [
        f"{method} {route.path}"
        for route in routes
        for method in sorted((route.methods or set()) - {"HEAD"})
    ]
    app = Starlette(
        routes=[Route("/", _index_page(names), methods=["GET"]), *routes],
        exception_handlers={HTTPException: partial(_respond_to_wrong_path, dialect)},
    )
    app.router.redirect_slashes = False
    app.state.resources = resources
    return app


def make_dialect(options: EmulatorOptions) -> EmulatedDialect:
    """Return the dialect, or raise a `ValueError` for an unknown dialect or model."""
    if options.dialect not in DIALECTS:
        raise ValueError(f"dialect must be one of {', '.join(DIALECTS)}, not {options.dialect!r}")
    if options.served_model not in {None, LOCAL_MODEL, *MODEL_ENDPOINTS}:
        names = ", ".join((LOCAL_MODEL, *MODEL_ENDPOINTS))
        raise ValueError(f"served_model must be one of {names}, not {options.served_model!r}")
    return DIALECTS[options.dialect](options)


def _epoch_clock(options: EmulatorOptions) -> Callable[[], float]:
    """Return a clock of seconds since the epoch that runs as fast as the emulator's clock."""
    begin = cache(lambda: time.time() - options.clock())
    return lambda: begin() + options.clock()


@dataclass(frozen=True, slots=True)
class _Shared:
    """State that all paths of an emulator share."""

    options: EmulatorOptions
    dialect: EmulatedDialect
    limits: EmulatedRateLimits
    tokens: EmulatedTokenizer
    faults: Iterator[Fault | None]
    requests: MutableSequence[ReceivedRequest] | None


_Handle: TypeAlias = Callable[[Request, Any, ReceivedRequest], Awaitable[EmulatedResponse | Path]]
"""Returns a response or the path of its body, or raises `RejectedRequest`."""


class _PathApp:
    """ASGI application of one path: records requests, applies faults, sends responses."""

    def __init__(self, shared: _Shared, handle: _Handle) -> None:
        self._shared, self._options, self._dialect = shared, shared.options, shared.dialect
        self._handle = handle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await _read_body(request)
        received = self._record(request, body)
        fault = received.fault = next(self._shared.faults)
        try:
            if isinstance(fault, ResponseFault):
                response: EmulatedResponse | Path = fault.response()
            else:
                response = await self._handle(request, body, received)
        except RejectedRequest as rejected:
            response = self._dialect.reject(rejected)
        await request.close()
        delay = self._options.latency + self._options.seconds_per_token * (received.tokens or 0)
        if not await wait_or_disconnect(delay, receive):
            return
        received.answered_at = self._options.clock()
        if isinstance(fault, DeliveryFault):
            await send_badly(_whole(response), fault, scope, receive, send)
        elif isinstance(response, EmulatedResponse):
            received.status = response.status
            await send_response(response, send)
        else:
            received.status = 200
            await send_file(make_response(200, b"", {}, JSONL_CONTENT_TYPE), response, send)

    def _record(self, request: Request, body: Any) -> ReceivedRequest:
        headers = dict(request.headers)
        for name in _SECRET_HEADERS & headers.keys():
            headers[name] = "..."
        if isinstance(body, dict) and isinstance(upload := body.get("file"), UploadFile):
            body = body | {"file": {"filename": upload.filename, "bytes": upload.size}}
        path, now = request.url.path, self._options.clock()
        received = ReceivedRequest(path, body, headers, now, method=request.method)
        if self._shared.requests is not None:
            self._shared.requests.append(received)
        return received


def _whole(response: EmulatedResponse | Path) -> EmulatedResponse:
    if isinstance(response, EmulatedResponse):
        return response
    return make_response(200, response.read_bytes(), {}, JSONL_CONTENT_TYPE)


async def _compute(
    shared: _Shared,
    path_endpoint: EmulatedEndpoint | None,
    request: Request,
    body: Any,
    received: ReceivedRequest,
) -> EmulatedResponse:
    dialect = shared.dialect
    if dialect.checks_key_first:
        dialect.authenticate(request.headers)
    endpoint, voyage_body = dialect.translate(request, body, path_endpoint)
    arguments = check_arguments(voyage_body, endpoint.arguments)
    endpoint.check_together(arguments)
    key = dialect.authenticate(request.headers)
    accepted = endpoint.accept(arguments, shared.tokens)
    shared.limits.take(key, accepted.model, accepted.tokens)
    received.tokens = accepted.tokens
    payload = accepted.compute()
    if isinstance(received.fault, ContentFault):
        # The results, or for contextualized embeddings the chunks of the first document.
        items = payload["data"]
        received.fault.corrupt(items[0].get("data", items))
    headers = {"x-api-warning": PAYMENT_NOTICE if shared.options.free_tier else ""}
    content = encode(dialect.format(payload, body), as_base64=accepted.as_base64)
    return dialect.respond(200, content, headers if dialect.has_files else {})


async def _serve_resource(
    shared: _Shared,
    handlers: Mapping[str, ResourceHandler],
    request: Request,
    body: Any,
    _: ReceivedRequest,
) -> EmulatedResponse | Path:
    """Serve files and batches, in a thread, because this may wait for the lines of a batch."""
    resource = ResourceRequest(
        partial(shared.dialect.authenticate, request.headers),
        request.path_params.get("id", ""),
        dict(request.query_params),
        body,
    )
    handler = handlers[request.method if request.method != "HEAD" else "GET"]
    result = await anyio.to_thread.run_sync(handler, resource)
    return result if isinstance(result, Path) else make_response(200, orjson.dumps(result))


async def _read_body(request: Request) -> Any:
    """Return the fields of a form, parsed JSON, or the bytes of any other body."""
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        try:
            return dict(await request.form())
        except HTTPException:
            return b""
    try:
        return parse_json(await request.body())
    except ClientDisconnect:
        return b""


def _index_page(names: Iterable[str]) -> Callable[[Request], Response]:
    text = (
        f"This is an {NOTICE}.\n\nIt imitates the rules of the Voyage AI API for tests and demos "
        f"without a key or a network:\n\n{chr(10).join(names)}\n"
    )

    def respond(_: Request) -> Response:
        return _as_starlette(make_response(200, text.encode(), {}, "text/plain; charset=utf-8"))

    return respond


def _document(dialect: EmulatedDialect, document: Payload) -> Callable[[Request], Response]:
    return lambda _: _as_starlette(dialect.respond(200, orjson.dumps(document)))


async def _respond_to_wrong_path(
    dialect: EmulatedDialect, _: Request, error: Exception
) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - what the handler is registered for
    rejected = RejectedRequest(error.status_code, error.detail, headers=error.headers or {})
    return _as_starlette(dialect.reject(rejected))


def _as_starlette(response: EmulatedResponse) -> Response:
    return Response(response.body, response.status, response.headers)
