"""An httpx client of the user: its settings are respected, for its kind of calls only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from fakes import KEY, MODEL, RERANKER, FakeClock, HTTPService, failed
from voyage_rag import (
    APIConnectionError,
    AuthenticationError,
    ConfigurationError,
    Timeout,
    Voyage,
)

if TYPE_CHECKING:
    from conftest import Runner


def voyage_to(service: HTTPService, **options: Any) -> Voyage:
    return Voyage(KEY, base_url=service.url, max_retries=0, clock=FakeClock(), **options)


def received_headers(runner: Runner, service: HTTPService, **options: Any) -> dict[str, str]:
    """Return the headers that a user's client with these options sends with a query."""

    async def program() -> None:
        own: Any = (httpx.Client if runner.is_sync else httpx.AsyncClient)(**options)
        name = "http_client" if runner.is_sync else "async_http_client"
        await runner.ask(voyage_to(service, **{name: own}), "embed", ["a"], MODEL)
        own.close() if runner.is_sync else await own.aclose()

    runner.run(program)
    return service.received[-1].headers


class Signing(httpx.Auth):
    """An authorisation that a gateway requires."""

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:
        request.headers["x-signed"] = "yes"
        yield request


def test_your_own_client_is_used_and_stays_open(runner, http_service: HTTPService) -> None:
    """Its headers are sent, its hooks run; closing the object does not close it."""

    async def program() -> bool:
        own: Any
        if runner.is_sync:
            own = httpx.Client(headers={"x-mine": "yes"})
            voyage = voyage_to(http_service, http_client=own)
        else:
            own = httpx.AsyncClient(headers={"x-mine": "yes"})
            voyage = voyage_to(http_service, async_http_client=own)
        await runner.ask(voyage, "embed", ["a"], MODEL)
        await runner.ask(voyage, "rerank", "q", ["a", "b"], RERANKER)
        await runner.ask(voyage, "close")
        still_open = not own.is_closed
        own.close() if runner.is_sync else await own.aclose()
        return still_open

    assert runner.run(program)
    assert [each.headers["x-mine"] for each in http_service.received] == ["yes", "yes"]
    assert [each.path for each in http_service.received] == ["/v1/embeddings", "/v1/rerank"]


def test_its_headers_are_sent(runner: Runner, http_service: HTTPService) -> None:
    """In addition to the key, which it does not have."""
    headers = received_headers(runner, http_service, headers={"x-gateway-token": "t"})
    assert headers["x-gateway-token"] == "t"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize("auth", [("user", "password"), Signing(), lambda request: request])
def test_its_own_authorisation_is_respected(
    runner: Runner, http_service: HTTPService, auth: Any
) -> None:
    """The key is not sent to any other host."""
    headers = received_headers(runner, http_service, auth=auth)
    assert KEY not in str(headers)
    assert isinstance(auth, Signing) == ("x-signed" in headers)
    assert isinstance(auth, tuple) == headers.get("authorization", "").startswith("Basic ")


def test_its_authorisation_header_is_respected(runner: Runner, http_service: HTTPService) -> None:
    """A gateway that has the key requires its own token."""
    headers = received_headers(runner, http_service, headers={"Authorization": "Bearer gateway"})
    assert headers["authorization"] == "Bearer gateway"


def test_its_user_agent_is_respected(runner: Runner, http_service: HTTPService) -> None:
    """As any other header; httpx's default says less than ours."""
    assert received_headers(runner, http_service)["user-agent"].startswith("voyage-rag/")
    headers = received_headers(runner, http_service, headers={"user-agent": "mine/1.0"})
    assert headers["user-agent"] == "mine/1.0"


def test_calls_of_the_other_kind_are_refused(runner: Runner, http_service: HTTPService) -> None:
    """They would be sent without its proxies, certificates and headers."""
    other: Any = httpx.AsyncClient() if runner.is_sync else httpx.Client()
    names = ("async_http_client", "http_client")
    given, missing = names if runner.is_sync else reversed(names)
    voyage = voyage_to(http_service, **{given: other})
    with pytest.raises(ConfigurationError, match=f"pass {missing}=httpx") as caught:
        runner.call(voyage, "embed", ["a"], MODEL)
    assert ("sync" if runner.is_sync else "async") in caught.value.message
    assert http_service.received == []


def test_the_environments_proxies_are_the_clients_business(
    runner: Runner, http_service: HTTPService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that our own connections could not use is not even read."""
    monkeypatch.setenv("HTTP_PROXY", "gopher://nowhere")
    assert received_headers(runner, http_service, trust_env=False)


def test_failures_are_ours(runner: Runner, http_service: HTTPService) -> None:
    """Whatever httpx raises."""

    async def program(base_url: str, seconds: float) -> APIConnectionError:
        own: Any = (httpx.Client if runner.is_sync else httpx.AsyncClient)()
        name = "http_client" if runner.is_sync else "async_http_client"
        voyage = Voyage(
            KEY, base_url=base_url, max_retries=0, timeout=seconds, clock=FakeClock(), **{name: own}
        )
        with pytest.raises(APIConnectionError) as caught:
            await runner.ask(voyage, "embed", ["a"], MODEL)
        own.close() if runner.is_sync else await own.aclose()
        return caught.value

    refused = runner.run(lambda: program("http://127.0.0.1:9/v1", 5))
    assert refused.never_sent
    http_service.always = http_service.hang
    late = runner.run(lambda: program(http_service.url, 0.2))
    assert isinstance(late, Timeout)
    assert not late.never_sent


@pytest.mark.parametrize("name", ["http_client", "async_http_client"])
@pytest.mark.parametrize("client", ["http://proxy", 7, "the other kind"], ids=str)
def test_a_client_of_another_kind_is_refused(name: str, client: Any) -> None:
    """At construction, by name."""
    other = httpx.AsyncClient if name == "http_client" else httpx.Client
    with pytest.raises(ConfigurationError, match=name):
        Voyage(KEY, **{name: other() if client == "the other kind" else client})


@pytest.mark.parametrize(
    "words",
    ["Event loop is closed", "<asyncio.locks.Event object> is bound to a different event loop"],
)
def test_a_client_of_another_event_loop(words: str) -> None:
    """A program calls `asyncio.run` several times with one client, and httpx fails."""

    def fail(_: httpx.Request) -> httpx.Response:
        raise RuntimeError(words)

    own = httpx.AsyncClient(transport=httpx.MockTransport(fail))
    voyage = Voyage(KEY, async_http_client=own)
    with pytest.raises(ConfigurationError, match=r"async_http_client .* event loop"):
        asyncio.run(voyage.aembed(["a"], MODEL))


def test_a_client_that_is_closed(runner: Runner, http_service: HTTPService) -> None:
    """By the program that made it."""
    own: Any = (httpx.Client if runner.is_sync else httpx.AsyncClient)()
    name = "http_client" if runner.is_sync else "async_http_client"
    voyage = Voyage(KEY, base_url=http_service.url, **{name: own})

    async def program() -> None:
        own.close() if runner.is_sync else await own.aclose()
        await runner.ask(voyage, "embed", ["a"], MODEL)

    with pytest.raises(ConfigurationError, match=f"^{name} .* has been closed"):
        runner.run(program)


def test_an_error_of_a_hook_is_the_programs_own(http_service: HTTPService) -> None:
    def refuse(_: httpx.Request) -> None:
        raise RuntimeError("no calls on Sundays")

    own = httpx.Client(event_hooks={"request": [refuse]})
    with pytest.raises(RuntimeError, match="Sundays"):
        Voyage(KEY, base_url=http_service.url, http_client=own).embed(["a"], MODEL)


@pytest.mark.parametrize(
    ("reads", "message"),
    [("read", "key is invalid"), ("nothing", "no message"), ("pieces", "no message")],
)
def test_a_hook_that_raises_for_the_status_changes_no_error(
    runner: Runner, http_service: HTTPService, reads: str, message: str
) -> None:
    """As in the documentation of httpx. The error is final; it has a message if the hook reads."""

    def hook(response: httpx.Response) -> None:
        _ = reads == "read" and response.read()
        _ = reads == "pieces" and list(response.iter_bytes())
        response.raise_for_status()

    async def ahook(response: httpx.Response) -> None:
        _ = reads == "read" and await response.aread()
        _ = reads == "pieces" and [piece async for piece in response.aiter_bytes()]
        response.raise_for_status()

    async def program() -> None:
        own: Any = (
            httpx.Client(event_hooks={"response": [hook]})
            if runner.is_sync
            else httpx.AsyncClient(event_hooks={"response": [ahook]})
        )
        name = "http_client" if runner.is_sync else "async_http_client"
        voyage = Voyage(KEY, base_url=http_service.url, **{name: own})
        with pytest.raises(AuthenticationError, match=message):
            await runner.ask(voyage, "embed", ["a"], MODEL)
        own.close() if runner.is_sync else await own.aclose()

    http_service.always = lambda _: failed(401, "Provided API key is invalid.")
    runner.run(program)
    assert len(http_service.received) == 1


def test_a_client_of_another_package_is_refused_by_its_full_name() -> None:
    """Several packages have a class named `Client`."""

    class Client:
        pass

    Client.__module__ = "httpx2"
    with pytest.raises(ConfigurationError, match=r"must be an httpx\.Client, not <class 'httpx2\."):
        Voyage(KEY, http_client=Client())  # type: ignore[arg-type]
