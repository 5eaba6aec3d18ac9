"""Calls through proxies of every kind, sync and async."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from fakes import KEY, MODEL, FakeClock, vector_of
from relays import PASSWORD, USER, Handshake, Relay, connecting, forwarding, relaying, socks
from voyage_rag import APIConnectionError, Voyage
from wire import WireServer

if TYPE_CHECKING:
    from conftest import Runner

CREDENTIALS = f"{USER}:{PASSWORD}@"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def context(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ssl.SSLContext:
    """Return a TLS context of a server that this process trusts."""
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(made)
    return made


@pytest.fixture
def server(context: ssl.SSLContext) -> Iterator[WireServer]:
    with WireServer(context=context) as server:
        yield server


def vectors_of(runner: Runner, url: str, texts: list[str]) -> list[list[float]]:
    """Return the vectors of queries, one after the other, over one connection."""
    voyage = Voyage(KEY, base_url=url, max_retries=0, clock=FakeClock(), allow_insecure_http=True)

    async def program() -> list[list[float]]:
        return [(await runner.ask(voyage, "embed", [text], MODEL)).embeddings[0] for text in texts]

    try:
        return runner.run(program)
    finally:
        voyage.close()


@pytest.mark.parametrize(
    ("scheme", "handshake", "credentials"),
    [
        ("http", connecting(), ""),
        ("http", connecting(authorized=True), CREDENTIALS),
        ("https", connecting(), ""),
        ("https", connecting(authorized=True), CREDENTIALS),
        ("socks5", socks(), ""),
        ("socks5h", socks(), ""),
        ("socks5", socks(authorized=True), CREDENTIALS),
        ("socks5", socks(bound=b"\x03\x0a" + b"proxy.test"), ""),
        ("socks5", socks(bound=b"\x04" + bytes(16)), ""),
    ],
)
def test_a_call_goes_through_a_proxy(
    runner: Runner,
    server: WireServer,
    context: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    handshake: Handshake,
    credentials: str,
) -> None:
    """Over one connection, with TLS to the host itself; the proxy sees neither key nor text."""
    with relaying(handshake, context if scheme == "https" else None) as relay:
        monkeypatch.setenv("HTTPS_PROXY", relay.url(scheme, credentials))
        assert vectors_of(runner, server.url, ["a", "b", "c"]) == [vector_of(t) for t in "abc"]
    assert relay.targets == [f"localhost:{server.port}"]
    assert server.connections == 1
    assert KEY.encode() not in b"".join(relay.heads)
    assert not any(b"proxy" in request.head.lower() for request in server.requests)


def test_a_large_request_goes_through_tls_in_tls(
    runner: Runner, server: WireServer, context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is larger than the buffers in between."""
    text = "x" * 3_000_000
    with relaying(connecting(), context) as relay:
        monkeypatch.setenv("HTTPS_PROXY", relay.url("https"))
        assert vectors_of(runner, server.url, [text, "b"]) == [vector_of(text), vector_of("b")]


def test_plain_requests_are_forwarded(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy is sent the whole URL and its own credentials."""
    with relaying(forwarding) as relay, WireServer() as server:  # type: ignore[arg-type]
        monkeypatch.setenv("HTTP_PROXY", relay.url("http", CREDENTIALS))
        assert vectors_of(runner, server.url, ["a", "b"]) == [vector_of("a"), vector_of("b")]
        assert relay.targets == [f"{server.url}/embeddings"] * 2
        assert all(b"proxy-authorization: Basic" in head for head in relay.heads)
        assert f"host: 127.0.0.1:{server.port}\r\n".encode() in relay.heads[0]


def without_words(relay: Relay, stream: socket.socket) -> None:
    """Close the connection."""
    relay.heads.append(stream.recv(4_096))


def without_tls(relay: Relay, stream: socket.socket) -> None:
    """Respond to a TLS handshake as a plain HTTP server does."""
    without_words(relay, stream)
    stream.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")


@pytest.mark.parametrize(
    ("scheme", "handshake", "credentials", "reason"),
    [
        ("http", connecting(b"403 Forbidden"), "", "403"),
        ("http", connecting(b"502 Bad Gateway"), "", "502"),
        ("http", connecting(authorized=True), "", "407"),
        ("http", connecting(authorized=True), "a-user:wrong-word@", "407"),
        ("http", socks(), "", "HTTPS_PROXY"),
        ("socks5", socks(authorized=True), "", "credentials"),
        ("socks5", socks(authorized=True), "a-user:wrong-word@", "credentials"),
        ("socks5", socks(), "a-user:wrong-word@", "credentials"),
        ("socks5", socks(refusal=5), "", "connection refused"),
        ("socks5", socks(refusal=99), "", "99"),
        ("socks5", socks(version=4), "", "SOCKS5"),
        ("socks5", connecting(), "", "HTTPS_PROXY"),
        ("http", without_words, "", "closed the connection"),
        ("https", without_tls, "", "begin with http://"),
    ],
)
def test_a_proxy_that_refuses(
    runner: Runner,
    server: WireServer,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    handshake: Handshake,
    credentials: str,
    reason: str,
) -> None:
    """The error quotes the proxy; the request was never sent."""
    monkeypatch.setattr("voyage_rag.io.http.pool.MAX_CONNECT_SECONDS", 1.0)
    with relaying(handshake) as relay:
        monkeypatch.setenv("HTTPS_PROXY", relay.url(scheme, credentials))
        with pytest.raises(APIConnectionError) as caught:
            vectors_of(runner, server.url, ["a"])
    if not isinstance(caught.value.__cause__, TimeoutError):
        assert reason in caught.value.message
    assert "wrong-word" not in str(caught.value)
    assert caught.value.never_sent
    assert server.requests == []


def test_nothing_listens_at_the_address_of_the_proxy(
    runner: Runner, server: WireServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is refused, as by a host. The error names the proxy."""
    monkeypatch.setenv("ALL_PROXY", "http://a-user:a-password@127.0.0.1:9")
    with pytest.raises(APIConnectionError) as caught:
        vectors_of(runner, server.url, ["a"])
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
    assert caught.value.never_sent
    assert "uses the proxy http://127.0.0.1:9 of ALL_PROXY" in caught.value.message
    assert "a-password" not in caught.value.message


@pytest.mark.parametrize(
    ("offers", "reason"),
    [
        ([b"NTLM", b"Negotiate"], "NTLM or Negotiate"),
        ([b"NTLM", b'Basic realm="x"'], "credentials are missing or wrong"),
        ([], "credentials are missing or wrong"),
    ],
)
def test_a_proxy_that_wants_a_login_of_windows(
    runner: Runner,
    server: WireServer,
    monkeypatch: pytest.MonkeyPatch,
    offers: list[bytes],
    reason: str,
) -> None:
    """A password does not help; the error names the remedy."""
    lines = b"".join(b"Proxy-Authenticate: " + offer + b"\r\n" for offer in offers)
    with relaying(connecting(b"407 Login", lines)) as relay:
        monkeypatch.setenv("HTTPS_PROXY", relay.url("http"))
        with pytest.raises(APIConnectionError) as caught:
            vectors_of(runner, server.url, ["a"])
    assert reason in caught.value.message
    assert ("cntlm" in caught.value.message) is (reason == "NTLM or Negotiate")
