"""The responses of the host, over the client's own transport and without cost.

Voyage's own hosts receive a request to list files, which costs nothing and needs a key. Hosts
without files receive an empty request to embed, which is rejected before the key is checked. Other
hosts define the request (`Host.probe`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

from voyage_rag.client import Voyage
from voyage_rag.core.failures import failure_of
from voyage_rag.core.flow import Attempt
from voyage_rag.doctor.findings import Finding, broken, note, ok
from voyage_rag.errors import (
    APIConnectionError,
    AuthenticationError,
    InvalidRequestError,
    PermissionDeniedError,
    RateLimitError,
    VoyageError,
)
from voyage_rag.hosts import Host, InProcessHost, VoyageAPI
from voyage_rag.hosts.failures import FAILED, REDIRECT, printable
from voyage_rag.hosts.messages import Request, Response
from voyage_rag.io.call_state import ThreadCallState
from voyage_rag.io.http.transport import Transport
from voyage_rag.models import MODELS
from voyage_rag.settings import Settings

PROBE_TIMEOUT_SECONDS = 10.0
LIST_FILES = Request("/files?limit=1", b"", "", 0, method="GET")
EMPTY_REQUEST = Request("/embeddings", b"{}", "", 0)
NOT_SERVED = {404, 405, 501}
REFUSED = {400, 422}
OK = 200
MAX_CLOCK_SKEW_SECONDS = 60.0
MODEL = "voyage-4-lite"
WORD = "hello"
MAX_TOKENS = 3
"""Maximum tokens of such a word."""


def service_findings(settings: Settings) -> Iterator[Finding]:
    """Check whether the host responds, whether it accepts the key, and whether the clocks agree."""
    transport = Transport(settings.host)
    try:
        if not isinstance(settings.host, VoyageAPI):
            response, moment = _ask(transport, settings.host.probe())
            yield from _probed(response, settings.host)
            yield _clock(response, moment)
            return
        response, moment = _ask(transport, LIST_FILES)
        if response.status in NOT_SERVED:
            response, moment = _ask(transport, EMPTY_REQUEST)
            yield from _without_key(response, settings.host)
        else:
            yield from _with_key(response, settings.host)
    except APIConnectionError as error:
        remedy = "the steps above succeeded: check proxies and SSL_CERT_FILE"
        yield broken("http", error.message, remedy)
        return
    finally:
        transport.close()
    yield _clock(response, moment)


def _ask(transport: Transport, request: Request) -> tuple[Response, float]:
    """Return a response, and the time of this machine halfway through the request."""
    began = time.time()
    response = transport.send(Attempt(request, PROBE_TIMEOUT_SECONDS), ThreadCallState())
    return response, (began + time.time()) / 2


def _with_key(response: Response, host: Host) -> Iterator[Finding]:
    """Interpret a response that requires a valid key."""
    if response.status != OK:
        yield from _refused(response, LIST_FILES, host)
    elif _is_list(response.body):
        yield _answered(response)
        yield ok("accepted", "the service accepts the key")
    else:
        remedy = "check base_url, and whether your network requires a login in a browser"
        yield broken("http", "responds, but not like the service", remedy)


def _probed(response: Response, host: Host) -> Iterator[Finding]:
    request, detail = host.probe(), None if response.status == OK else host.error(response)
    if detail is None:
        yield ok("http", host.describe(response) or "responds", status=response.status)
    elif response.status in NOT_SERVED and request.method == "GET":
        said = f"responds, but does not name its models (HTTP {response.status})"
        yield note("http", said, status=response.status)
    elif detail.error_class is InvalidRequestError and detail.remedy is None:
        yield ok("http", "responds: it rejects an empty request", status=response.status)
    else:
        yield from _refused(response, request, host)


def model_in_process(host: InProcessHost) -> Iterator[Finding]:
    """Check whether a model in this process can be loaded and responds."""
    began = time.perf_counter()
    try:
        voyage = Voyage(host=host)
        found = voyage.embed([WORD], host.model)
    except VoyageError as error:
        yield broken("model", f"{host!r} does not respond", error.message)
        return
    seconds, length = time.perf_counter() - began, len(found.embeddings[0])
    yield ok(
        "model", f"{host.model} returned {length} numbers in {seconds:.1f} s, including loading"
    )


def _is_list(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body)["data"], list)
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def _without_key(response: Response, host: Host) -> Iterator[Finding]:
    """Interpret a response to a request that no service accepts."""
    if response.status in REFUSED:
        yield _answered(response)
        said = "unknown: this host checks keys in paid calls only"
        yield note("accepted", said, "request a paid call")
        return
    yield from _refused(response, EMPTY_REQUEST, host)


def _answered(response: Response) -> Finding:
    if emulated := response.headers.get("x-voyage-emulator"):
        return note("http", f"an {printable(emulated)}", status=response.status)
    return ok("http", f"responds like the service (HTTP {response.status})", status=response.status)


def _refused(response: Response, request: Request, host: Host) -> Iterator[Finding]:
    error = failure_of(request, response, host, time.time)
    facts = {"status": response.status, "request_id": error.request_id}
    if isinstance(error, (AuthenticationError, PermissionDeniedError)):
        yield _answered(response)
        remedy = "copy the key again, or create a new one"
        yield broken("accepted", f"the key is rejected: {error.message}", remedy, **facts)
    elif isinstance(error, RateLimitError):
        yield _answered(response)
        yield note("accepted", f"asked to wait: {error.message}", "wait a minute", **facts)
    elif response.status in REDIRECT:
        yield broken("http", error.message, "set base_url to the service's own address", **facts)
    elif response.status in FAILED:
        remedy = "the service or a gateway has a problem: try again later"
        yield broken("http", f"responds with HTTP {response.status}", remedy, **facts)
    else:
        said = f"responds with HTTP {response.status}, unlike the service"
        remedy = "check base_url, which usually ends in /v1; a gateway may be responding instead"
        if not isinstance(host, VoyageAPI) and error is not None:
            said, remedy = error.message, host.error(response).remedy or "check the address"
        yield broken("http", said, remedy, **facts)


def _clock(response: Response, moment: float) -> Finding:
    try:
        there = parsedate_to_datetime(response.headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError, OverflowError):
        return note("clock", "not compared: the response has no date")
    skew = moment - there
    if abs(skew) <= MAX_CLOCK_SKEW_SECONDS:
        return ok("clock", f"within {max(1, round(abs(skew)))} s of the service's", skew=skew)
    said = f"{abs(skew):,.0f} s {'ahead of' if skew > 0 else 'behind'} the service's"
    remedy = "set this machine's clock, and synchronise it with NTP: certificates depend on it"
    return broken("clock", said, remedy, skew=skew)


def price() -> float:
    """Return the maximum price of the paid call in dollars."""
    return MODELS[MODEL].cost(MAX_TOKENS) or 0.0


def paid_call(settings: Settings) -> Finding:
    """Embed one word."""
    with Voyage.of(settings.model_copy(update={"max_retries": 0})) as voyage:
        began = time.perf_counter()
        try:
            found = voyage.embed([WORD], MODEL)
        except VoyageError as error:
            return broken("call", str(error), "see the lines above", error=type(error).__name__)
        seconds = time.perf_counter() - began
    said = f"{MODEL} embedded a word in {seconds * 1_000:.0f} ms: {found.usage}"
    return ok("call", said, seconds=seconds, total_tokens=found.total_tokens)
