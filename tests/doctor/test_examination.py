"""The doctor, over a service in good health and over hosts that are broken in one way each."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from doctor.hosts import answer, host, listening, proxy
from relays import connecting, relaying
from voyage_rag.doctor import Finding, examine
from voyage_rag.emulator import Emulator
from voyage_rag.emulator.faults import redirect, status
from voyage_rag.io.http import certificates

KEY = "pa-a-key-that-must-stay-secret-wxyz"
DAY = dt.timedelta(days=1)

Certified = Callable[..., ssl.SSLContext]


def findings(**arguments: Any) -> dict[str, Finding]:
    """What is found, by name, checked for what every finding promises."""
    found = list(examine(**{"api_key": KEY} | arguments))
    assert len({finding.name for finding in found}) == len(found)
    for finding in found:
        assert finding.remedy or finding.state != "broken", finding
        assert KEY not in repr(finding)
        assert KEY[:-4] not in repr(finding)
        assert "a-proxy-password" not in repr(finding)
        assert finding.name in str(finding)
    return {finding.name: finding for finding in found}


def broken(found: dict[str, Finding]) -> list[str]:
    return [name for name, finding in found.items() if finding.state == "broken"]


# ── in good health ────────────────────────────────────────────────────────────────────────────────


def test_a_service_in_good_health() -> None:
    """Nothing is broken, and nothing was paid for; the emulator is named as such."""
    emulator = Emulator()
    with emulator as url:
        found = findings(base_url=url)

    assert broken(found) == []
    assert [*found] == [
        *("key", "host", "proxy", "dns", "connect", "tls", "http", "accepted", "clock", "call"),
        *("limits", "versions"),
    ]
    assert "not Voyage" in found["http"].said
    assert "--call" in found["call"].said
    assert "less than $0.0000001" in found["call"].said
    assert not [one for one in emulator.requests if one.path.endswith("/embeddings")]


def test_a_paid_call_is_made_when_asked_for() -> None:
    """One word, with its time and price."""
    emulator = Emulator()
    with emulator as url:
        found = findings(base_url=url, call=True)

    assert (found["call"].state, found["call"].facts["total_tokens"]) == ("ok", 1)
    assert "at list" in found["call"].said
    assert len([one for one in emulator.requests if one.path.endswith("/embeddings")]) == 1


def test_a_paid_call_that_fails_is_reported() -> None:
    """With the error's own words, after one attempt."""
    with Emulator(faults=[None, status(503)]) as url:
        found = findings(base_url=url, call=True)

    assert broken(found) == ["call"]
    assert found["call"].facts["error"] == "ServiceUnavailableError"


def test_a_certificate_that_is_trusted(trusting: None, certified: Certified) -> None:
    """Version, issuer and the days it is good for."""
    with host(answer(at=time.time()), certified(not_after=_in(40))) as url:
        found = findings(base_url=url)

    assert broken(found) == []
    assert found["tls"].facts["issuer"] == "A Test Authority"
    assert found["tls"].facts["days_left"] in {39, 40}
    assert found["accepted"].said == "the service accepts the key"


def test_a_certificate_that_ends_soon_is_noted(trusting: None, certified: Certified) -> None:
    """Before it breaks."""
    with host(answer(at=time.time()), certified(not_after=_in(5))) as url:
        assert findings(base_url=url)["tls"].state == "note"


def _in(days: float) -> dt.datetime:
    return dt.datetime.now(dt.UTC) + days * DAY


# ── key and host ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def url() -> str:
    """A closed port: what is asked here needs no host."""
    return f"http://127.0.0.1:{_closed_port()}/v1"


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_the_key_is_shown_by_four_characters_and_its_source(url: str, tmp_path: Path) -> None:
    """An argument, a file by argument or by variable, a variable: in that order."""
    file = tmp_path / "key"
    file.write_text("pa-the-key-of-a-file\n")
    environ = {"VOYAGE_API_KEY": "pa-the-key-of-the-variable"}
    with_file = environ | {"VOYAGE_API_KEY_PATH": str(file)}

    def said(**arguments: Any) -> str:
        return findings(base_url=url, **arguments)["key"].said

    assert said(environ={}) == "ends in ...wxyz, from the argument api_key"
    assert (
        said(api_key=None, api_key_path=file, environ=environ)
        == f"ends in ...file, from the file {file}"
    )
    assert (
        said(api_key=None, environ=with_file)
        == f"ends in ...file, from the file {file} (VOYAGE_API_KEY_PATH)"
    )
    assert said(api_key=None, environ=environ) == "ends in ...able, from VOYAGE_API_KEY"


def test_a_key_that_is_set_and_not_used_is_noted(url: str) -> None:
    """It is a common surprise."""
    found = findings(base_url=url, environ={"VOYAGE_API_KEY": "pa-another-key"})
    assert found["key"].state == "note"
    assert "not used" in (found["key"].remedy or "")


def test_a_short_key_is_not_shown_at_all(url: str) -> None:
    """Four characters would be most of it."""
    assert findings(api_key="pa-1234", base_url=url)["key"].facts["last_four"] is None


@pytest.mark.parametrize(
    "environ", [{}, {"VOYAGE_API_KEY": "two words"}, {"VOYAGE_API_KEY_PATH": "/nowhere/at/all"}]
)
def test_a_key_that_cannot_be_used_is_reported(environ: dict[str, str], url: str) -> None:
    """With the remedy. The network is checked all the same."""
    found = findings(api_key=None, base_url=url, environ=environ)
    assert broken(found) == ["key", "connect"]
    assert "VOYAGE_API_KEY" in f"{found['key'].said} {found['key'].remedy}"


def test_the_host_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """By argument, by variable, or by how the key begins."""
    monkeypatch.setattr(socket, "getaddrinfo", _no_such_host)

    def said(**arguments: Any) -> str:
        return findings(**{"environ": {}} | arguments)["host"].said

    assert said() == "https://api.voyageai.com/v1, by the prefix of the key"
    assert "eu.ai.mongodb.com" in said(api_key="al-eu-a-key-of-atlas")
    assert said(base_url="https://a.host/v1") == "https://a.host/v1, the argument base_url"
    environ = {"VOYAGE_BASE_URL": "https://b.host/v1"}
    assert said(environ=environ) == "https://b.host/v1, of VOYAGE_BASE_URL"


def _no_such_host(*args: object, **kwargs: object) -> Any:
    raise socket.gaierror(-2, "Name or service not known")


def test_a_key_of_another_host_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy names the host of the key."""
    monkeypatch.setattr(socket, "getaddrinfo", _no_such_host)
    found = findings(api_key="al-a-key-of-atlas", base_url="https://api.voyageai.com/v1")
    assert found["host"].state == "broken"
    assert "ai.mongodb.com" in (found["host"].remedy or "")


@pytest.mark.parametrize("wrong", ["ftp://x", "https://user:pw@host/v1", "http://10.0.0.1/v1"])
def test_an_address_that_cannot_be_used_is_reported(wrong: str) -> None:
    """As the client explains it; nothing is connected to."""
    found = findings(base_url=wrong)
    assert broken(found) == ["host"]
    assert "dns" not in found
    assert "pw@" not in repr(found)


# ── network ───────────────────────────────────────────────────────────────────────────────────────


def test_a_name_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The later steps are omitted."""
    monkeypatch.setattr(socket, "getaddrinfo", _no_such_host)
    found = findings(base_url="https://no.such.host/v1")
    assert broken(found) == ["dns"]
    assert not {"connect", "tls", "http"} & found.keys()


def test_a_closed_port(url: str) -> None:
    """A firewall, or a wrong port."""
    found = findings(base_url=url)
    assert broken(found) == ["connect"]
    assert "refused" in found["connect"].said


def test_a_certificate_that_nobody_trusts(certified: Certified) -> None:
    """The remedy is that of proxies which look into TLS."""
    with host(answer(), certified()) as url:
        found = findings(base_url=url)

    assert broken(found) == ["tls"]
    assert "SSL_CERT_FILE" in (found["tls"].remedy or "")


def test_a_certificate_that_has_expired(trusting: None, certified: Certified) -> None:
    """Or a clock that is wrong."""
    expired = certified(not_before=_in(-30), not_after=_in(-1))
    with host(answer(), expired) as url:
        found = findings(base_url=url)

    assert broken(found) == ["tls"]
    assert "expired" in found["tls"].said
    assert "clock" in (found["tls"].remedy or "")


def test_a_certificate_of_another_host(trusting: None, certified: Certified) -> None:
    """Not a man in the middle as a rule, but a wrong base_url."""
    with host(answer(), certified("elsewhere.test")) as url:
        found = findings(base_url=url)

    assert broken(found) == ["tls"]
    assert "base_url" in (found["tls"].remedy or "")


def test_a_certificate_that_another_library_verifies(
    certified: Certified, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python then knows nothing of the certificate; truststore does this on some systems."""
    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    monkeypatch.setattr(certificates.TrustedCertificates, "ssl_context", lambda _: unverified)
    with host(answer(at=time.time()), certified()) as url:
        found = findings(base_url=url)

    assert broken(found) == [], found
    assert "TLSv1" in found["tls"].said


def test_a_certificate_that_another_library_rejects(
    certified: Certified, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its error lacks an attribute of OpenSSL's. The cause is a bug of older versions."""

    class Rejecting(ssl.SSLContext):
        def wrap_socket(self, *_: Any, **__: Any) -> Any:
            raise ssl.SSLCertVerificationError("Peer sent no certificates to verify")

    rejecting = Rejecting(ssl.PROTOCOL_TLS_CLIENT)
    monkeypatch.setattr(certificates.TrustedCertificates, "ssl_context", lambda _: rejecting)
    with host(answer(), certified()) as url:
        found = findings(base_url=url)

    assert broken(found) == ["tls"]
    assert "Peer sent no certificates" in found["tls"].said
    assert "truststore" in (found["tls"].remedy or "")


def test_a_port_that_does_not_speak_tls() -> None:
    """No handshake."""
    with listening(lambda connection: connection.sendall(answer())) as port:
        found = findings(base_url=f"https://localhost:{port}/v1")

    assert broken(found) == ["tls"]
    assert "no handshake" in found["tls"].said


def test_certificates_to_trust_that_are_not_there(
    monkeypatch: pytest.MonkeyPatch, certified: Certified
) -> None:
    """SSL_CERT_FILE names a file that does not exist."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/at/all.pem")
    certificates._CONTEXTS.clear()
    with host(answer(), certified()) as url:
        found = findings(base_url=url)
    certificates._CONTEXTS.clear()

    assert broken(found) == ["tls"]
    assert "SSL_CERT_FILE" in found["tls"].said
    assert "SSL_CERT_FILE" in (found["tls"].remedy or "")


# ── proxies ───────────────────────────────────────────────────────────────────────────────────────


def test_a_connection_through_a_proxy_is_reported(
    trusting: None, certified: Certified, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named without its password, and used for certificate and service."""
    with host(answer(at=time.time()), certified()) as url, proxy() as (address, asked):
        monkeypatch.setenv("HTTPS_PROXY", address)
        found = findings(base_url=url)

    assert broken(found) == [], found
    assert found["proxy"].said.startswith("http://127.0.0.1:")
    assert "HTTPS_PROXY" in found["proxy"].said
    assert len([head for head in asked if head.startswith(b"CONNECT localhost:")]) == 2
    assert all(b"authorization: basic" in head.lower() for head in asked if head)


def test_a_connection_through_a_proxy_with_tls_is_reported(
    trusting: None, certified: Certified, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS to the host runs within TLS to the proxy."""
    with (
        host(answer(at=time.time()), certified()) as url,
        relaying(connecting(), certified()) as relay,
    ):
        monkeypatch.setenv("HTTPS_PROXY", relay.url("https"))
        found = findings(base_url=url)

    assert broken(found) == [], found
    assert "A Test Authority" in found["tls"].said


def test_a_proxy_that_lets_nothing_through(
    trusting: None, certified: Certified, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The finding names the proxy as the cause."""
    with host(answer(), certified()) as url, proxy(refuses=True) as (address, _):
        monkeypatch.setenv("ALL_PROXY", address)
        found = findings(base_url=url)

    assert broken(found) == ["tls"]
    assert "403" in found["tls"].said
    assert "proxy" in (found["tls"].remedy or "")


def test_a_host_that_no_proxy_names_is_reached_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    """As httpx does."""
    with host(answer(at=time.time())) as url:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        assert broken(findings(base_url=url)) == ["connect"]
        monkeypatch.setenv("NO_PROXY", "a.host, localhost")
        assert broken(findings(base_url=url)) == []


@pytest.mark.parametrize(
    ("variable", "address", "said"),
    [
        ("HTTP_PROXY", "http://user:a-proxy-password@host:none", "address"),
        ("http_proxy", "http://", "host"),
        ("ALL_PROXY", "gopher://a.proxy", "socks5h"),
    ],
)
def test_a_proxy_that_cannot_be_used(
    variable: str, address: str, said: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its variable is named, and not its value, which may hold a password."""
    monkeypatch.setenv(variable, address)
    found = findings(base_url=url)
    assert broken(found) == ["proxy"]
    assert variable in found["proxy"].said
    assert said in found["proxy"].said


# ── the service ───────────────────────────────────────────────────────────────────────────────────


def test_a_key_that_is_refused() -> None:
    """By a 401 as the service words it; the service itself works."""
    refusal = answer(401, b'{"detail":"Provided API key is invalid."}', time.time())
    with host(refusal) as url:
        found = findings(base_url=url, call=True)

    assert broken(found) == ["accepted"]
    assert found["http"].state == "ok"
    assert "invalid" in found["accepted"].said
    assert "call" not in found


def test_a_host_without_files_is_asked_otherwise() -> None:
    """With an empty request, which is not billed and does not show whether the key works."""

    def answers(request: bytes) -> bytes:
        if request.startswith(b"GET "):
            return answer(404, b'{"detail":"Not Found"}', time.time())
        assert request.endswith(b"{}")
        return answer(400, b'{"detail":"You are missing arguments"}', time.time())

    with host(answers) as url:
        found = findings(base_url=url)

    assert broken(found) == []
    assert found["accepted"].state == "note"


@pytest.mark.parametrize("body", [b"<html>Please log in</html>", b"[]", b'{"data":7}', b""])
def test_a_captive_portal_is_recognised(body: bytes) -> None:
    """A status of 200 does not suffice."""
    with host(answer(200, body, time.time())) as url:
        found = findings(base_url=url)

    assert broken(found) == ["http"]
    assert "login" in (found["http"].remedy or "")


def test_a_wrong_path() -> None:
    """A base_url without /v1, say."""
    with host(answer(404, b"<html>", time.time())) as url:
        found = findings(base_url=url)

    assert broken(found) == ["http"]
    assert "/v1" in (found["http"].remedy or "")


def test_a_redirect_is_not_followed() -> None:
    """The key stays with its host; the remedy is another base_url."""
    with Emulator(faults=[redirect("https://elsewhere.test/v1")]) as url:
        found = findings(base_url=url)

    assert broken(found) == ["http"]
    assert "elsewhere.test" in found["http"].said
    assert "base_url" in (found["http"].remedy or "")


def test_a_service_in_trouble() -> None:
    """The user cannot do anything."""
    with host(answer(503, b"", time.time())) as url:
        found = findings(base_url=url)

    assert broken(found) == ["http"]
    assert "try again later" in (found["http"].remedy or "")


def test_a_rate_limit_is_noted() -> None:
    """It is temporary and not an error."""
    with host(answer(429, b'{"detail":"slow down"}', time.time())) as url:
        found = findings(base_url=url)

    assert broken(found) == []
    assert "slow down" in found["accepted"].said


def test_a_connection_that_is_cut() -> None:
    """It connects, and then nothing comes."""
    with host(b"") as url:
        found = findings(base_url=url)

    assert broken(found) == ["http"]
    assert "no response" in found["http"].said


@pytest.mark.parametrize(
    ("skew", "said"), [(3_600, "ahead of"), (-3_600, "behind"), (5, "within 5 s")]
)
def test_the_clock_is_compared(skew: float, said: str) -> None:
    """With the date of the answer; a minute is too much."""
    with host(answer(at=time.time() - skew)) as url:
        found = findings(base_url=url)

    assert said in found["clock"].said.replace("within 6 s", "within 5 s")
    assert broken(found) == (["clock"] if abs(skew) > 60 else [])


@pytest.mark.parametrize("headers", [{}, {"date": "yesterday"}])
def test_an_answer_without_a_date_is_noted(headers: dict[str, str]) -> None:
    """The clocks cannot be compared."""
    with host(answer(**headers)) as url:
        found = findings(base_url=url)
    assert found["clock"].state == "note"


def test_versions_are_those_that_are_installed(url: str) -> None:
    """What a bug report needs."""
    said = findings(base_url=url)["versions"].said
    for name in ("voyage-rag", "httpx", "pydantic", "python", "langchain-core", "llama-index-core"):
        assert name in said
