"""The certificate authorities that TLS trusts, as configured by the environment."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import certifi
import httpx
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from fakes import KEY, MODEL, vector_of
from voyage_rag import APIConnectionError, ConfigurationError, Voyage
from voyage_rag.io.http import certificates
from voyage_rag.io.http.certificates import VARIABLES, TrustedCertificates
from wire import WireServer

if TYPE_CHECKING:
    from conftest import Runner


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(autouse=True)
def _no_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def server(authority: trustme.CA) -> Iterator[WireServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with WireServer(context=context) as server:
        yield server


def asked(runner: Runner, server: WireServer) -> list[list[float]]:
    """Return the vector of a text from a new client."""
    voyage = Voyage(KEY, base_url=server.url, max_retries=0)
    try:
        return runner.call(voyage, "embed", ["a"], MODEL).embeddings  # type: ignore[no-any-return]
    finally:
        voyage.close()


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_file_of_certificates(
    runner: Runner,
    server: WireServer,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    """By any of the variables that other clients read."""
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv(variable, str(tmp_path / "authority.pem"))
    assert asked(runner, server) == [vector_of("a")]


@pytest.mark.parametrize("variable", ["SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"])
def test_a_directory_of_certificates(
    runner: Runner,
    server: WireServer,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    """As OpenSSL's `rehash` prepares it; SSL_CERT_DIR may name several."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    name = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", str(folder / "authority.pem")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    (folder / "authority.pem").rename(folder / f"{name}.0")
    (tmp_path / "empty").mkdir()
    several = f"{tmp_path / 'empty'}:{folder}" if variable == "SSL_CERT_DIR" else str(folder)
    monkeypatch.setenv(variable, several)
    assert asked(runner, server) == [vector_of("a")]


def test_an_authority_that_nobody_named_is_not_trusted(runner: Runner, server: WireServer) -> None:
    """The request is not sent, and the error is OpenSSL's."""
    with pytest.raises(APIConnectionError) as caught:
        asked(runner, server)
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
    assert caught.value.never_sent
    assert server.requests == []
    assert "SSL_CERT_FILE" in caught.value.message  # mostly, it is a proxy that inspects TLS


def test_the_host_name_is_checked(
    runner: Runner, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate of another host is rejected."""
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("elsewhere.example").configure_cert(context)
    with WireServer(context=context) as server, pytest.raises(APIConnectionError):
        asked(runner, server)


def test_an_absolute_name_has_no_dot_in_certificates(
    runner: Runner, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In Kubernetes, a dot at the end of a name avoids lookups in the search domains."""
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("models.svc.cluster.local").configure_cert(context)
    with WireServer(context=context) as server:
        here = socket.getaddrinfo("127.0.0.1", server.port, type=socket.SOCK_STREAM)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: here)
        url = f"https://models.svc.cluster.local.:{server.port}/v1"
        voyage = Voyage(KEY, base_url=url, max_retries=0)
        assert runner.call(voyage, "embed", ["a"], MODEL).embeddings == [vector_of("a")]
        voyage.close()


def test_a_key_log_that_cannot_be_written_is_named(
    server: WireServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not the fault of the certificates."""
    monkeypatch.setenv("SSLKEYLOGFILE", "/nowhere/at/all.log")
    monkeypatch.setattr(certificates, "_CONTEXTS", {})
    with pytest.raises(ConfigurationError, match=r"^SSLKEYLOGFILE .*: unset it"):
        Voyage(KEY, base_url=server.url).embed(["a"], MODEL)


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_path_that_does_not_exist_is_refused_at_construction(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the variable."""
    monkeypatch.setenv(variable, "/nowhere/at/all.pem")
    with pytest.raises(
        ConfigurationError,
        match=f"{variable} sets the trusted certificates to '/nowhere/at/all.pem'",
    ):
        Voyage(KEY)


def test_in_an_event_loop_the_first_call_refuses_it(
    server: WireServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Construction in an event loop does not read the disk."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/at/all.pem")

    async def program() -> None:
        voyage = Voyage(KEY, base_url=server.url)
        with pytest.raises(ConfigurationError, match="SSL_CERT_FILE"):
            await voyage.aembed(["a"], MODEL)

    for backend in ("asyncio", "trio"):
        anyio.run(program, backend=backend)


def test_a_file_without_certificates_is_refused(
    runner: Runner, server: WireServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not retried, because that would not help."""
    (tmp_path / "authority.pem").write_text("nothing of the kind")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    with pytest.raises(ConfigurationError, match="REQUESTS_CA_BUNDLE"):
        asked(runner, server)


def test_which_variable_counts() -> None:
    """The most specific one; empty ones are ignored."""
    some = {"CURL_CA_BUNDLE": "c", "REQUESTS_CA_BUNDLE": "r", "SSL_CERT_DIR": "d"}
    assert TrustedCertificates.of_environment({**some, "SSL_CERT_FILE": "f"}).paths == ("f",)
    assert TrustedCertificates.of_environment({**some, "SSL_CERT_FILE": ""}).paths == ("d",)
    assert TrustedCertificates.of_environment({"SSL_CERT_DIR": "a::b"}).paths == ("a", "b")
    assert TrustedCertificates.of_environment({}).variable == ""


def test_certifis_authorities_are_trusted_unless_others_are_named() -> None:
    """All of them, with one context for all connections."""
    context = TrustedCertificates.of_environment({}).ssl_context()
    expected = ssl.create_default_context(cafile=certifi.where())
    assert len(context.get_ca_certs()) == len(expected.get_ca_certs())
    assert context is TrustedCertificates.of_environment({}).ssl_context()
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


def test_a_server_that_requires_a_client_certificate_names_the_remedy(
    runner: Runner, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP clients with one, which the request then uses."""
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    own = ssl.create_default_context(cafile=str(tmp_path / "authority.pem"))
    authority.issue_cert("client@example.com").configure_cert(own)
    with WireServer(context=context) as server:
        with pytest.raises(APIConnectionError, match=r"requires a client certificate: pass"):
            asked(runner, server)

        async def program() -> Any:
            if runner.is_sync:
                with httpx.Client(verify=own) as http:
                    return Voyage(KEY, base_url=server.url, http_client=http).embed(["a"], MODEL)
            async with httpx.AsyncClient(verify=own) as http_async:
                voyage = Voyage(KEY, base_url=server.url, async_http_client=http_async)
                return await voyage.aembed(["a"], MODEL)

        assert runner.run(program).embeddings == [vector_of("a")]


def test_an_incomplete_certificate_names_the_remedy(
    runner: Runner, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proxies that inspect TLS often issue such, and SSL_CERT_FILE does not help."""
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    own = load_pem_private_key(authority.private_key_pem.bytes(), None)
    signer = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder(signer.subject, x509.Name([]), key.public_key(), 1)
        .not_valid_before(signer.not_valid_before_utc)
        .not_valid_after(signer.not_valid_after_utc)
    )
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    signed = certificate.add_extension(names, critical=True).sign(own, hashes.SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "leaf.pem").write_bytes(private + signed.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "leaf.pem")
    trusted = TrustedCertificates.of_environment(os.environ).ssl_context()
    trusted.verify_flags |= ssl.VERIFY_X509_STRICT
    with (
        WireServer(context=context) as server,
        pytest.raises(APIConnectionError, match=r"incomplete.*VERIFY_X509_STRICT"),
    ):
        asked(runner, server)
