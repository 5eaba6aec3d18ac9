"""The emulated API as an ASGI application.

NOT VOYAGE AI. It imitates the rules of the HTTP API (arguments, limits, errors, headers, usage),
not the models behind it: vectors and scores come from counting words. Every answer says so in its
`x-voyage-emulator` header.
"""

import time
from collections.abc import Callable, Iterator, MutableSequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from voyage_rag.emulator import answers, contextual, embeddings, multimodal, rerank, rules
from voyage_rag.emulator.answers import Answer
from voyage_rag.emulator.batches import Batches
from voyage_rag.emulator.delivery import (
    Receive,
    Scope,
    Send,
    deliver,
    deliver_badly,
    read_body,
    wait,
)
from voyage_rag.emulator.faults import Broken, Fault, Instead, Spoiled, draw
from voyage_rag.emulator.options import Options
from voyage_rag.emulator.ratelimit import RateLimits
from voyage_rag.emulator.received import Received, without_key
from voyage_rag.emulator.resources import RESOURCES, serve_resources
from voyage_rag.emulator.rules import Refusal
from voyage_rag.emulator.storage import Storage
from voyage_rag.emulator.work import Endpoint, Payload

ENDPOINTS = (
    embeddings.ENDPOINT,
    contextual.ENDPOINT,
    multimodal.ENDPOINT,
    rerank.ENDPOINT,
)


def create_app(
    options: Options | None = None, requests: MutableSequence[Received] | None = None
) -> Starlette:
    """Return an emulated API.

    Args:
        options: Its settings.
        requests: Where to note what is asked; None to note nothing.
    """
    options = options or Options()
    limits, faults = RateLimits(options), draw(options.faults)
    routes = [
        Route(
            endpoint.path, _Answering(endpoint, options, limits, faults, requests), methods=["POST"]
        )
        for endpoint in ENDPOINTS
    ]
    storage = Storage(_wall_clock(options))
    batches = Batches(options, storage)
    routes += serve_resources(batches, storage, options, faults, requests)
    app = Starlette(
        routes=[Route("/", _front_page, methods=["GET"]), *routes],
        exception_handlers={HTTPException: _refuse_route},
    )
    app.router.redirect_slashes = False
    app.state.batches = batches
    return app


@dataclass(frozen=True, slots=True)
class _Answering:
    """ASGI application of one endpoint; all endpoints of an emulator share the rest."""

    endpoint: Endpoint
    options: Options
    limits: RateLimits
    faults: Iterator[Fault | None]
    requests: MutableSequence[Received] | None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, headers = rules.parse(await read_body(receive)), Headers(scope=scope)
        received = self._note(body, headers)
        fault = received.fault = next(self.faults)
        if isinstance(fault, Instead):
            answer = fault.answer()
        else:
            answer = self._answer(body, headers.get("authorization"), fault, received)
        delay = self.options.latency + self.options.seconds_per_token * (received.tokens or 0)
        if not await wait(delay, receive):
            return
        received.answered_at = self.options.clock()
        if isinstance(fault, Broken):
            await deliver_badly(answer, fault, scope, receive, send)
        else:
            received.status = answer.status
            await deliver(answer, send)

    def _note(self, body: Any, headers: Headers) -> Received:
        shown = without_key(dict(headers))
        received = Received(self.endpoint.path, body, shown, self.options.clock())
        if self.requests is not None:
            self.requests.append(received)
        return received

    def _answer(
        self, body: Any, authorization: str | None, fault: Fault | None, received: Received
    ) -> Answer:
        try:
            arguments = rules.check_arguments(body, self.endpoint.arguments)
            self.endpoint.check_together(arguments)
            key = rules.authenticate(authorization, self.options.keys)
            work = self.endpoint.prepare(arguments)
            self.limits.admit(key, work.model, work.tokens)
        except Refusal as refusal:
            return answers.fail(refusal)
        received.tokens = work.tokens
        payload = work.produce()
        if isinstance(fault, Spoiled):
            fault.spoil(_items(payload))
        return answers.succeed(payload, as_base64=work.as_base64, free_tier=self.options.free_tier)


def _wall_clock(options: Options) -> Callable[[], float]:
    """Return seconds since the epoch, as of the first question, that pass as its clock does."""
    begin = cache(lambda: time.time() - options.clock())
    return lambda: begin() + options.clock()


def _items(payload: Payload) -> list[Payload]:
    """Return the results of an answer, those of the first document where documents hold them."""
    items: list[Payload] = payload["data"]
    documents: list[Payload] = items[0].get("data", items)
    return documents


async def _front_page(_: Request) -> Response:
    paths = "\n".join([*(f"POST {endpoint.path}" for endpoint in ENDPOINTS), *RESOURCES])
    text = (
        f"This is an {answers.NOTICE}.\n\nIt imitates the rules of the Voyage AI API for tests and "
        f"demos without a key or a network:\n\n{paths}\n"
    )
    return _respond(answers.write(200, text.encode(), content_type="text/plain; charset=utf-8"))


async def _refuse_route(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  (what the handler is registered for)
    body = orjson.dumps({"detail": error.detail})
    return _respond(answers.write(error.status_code, body, error.headers or {}))


def _respond(answer: Answer) -> Response:
    return Response(answer.body, answer.status, answer.headers)
