"""Certificates of an authority that is not trusted, unless a test makes it so."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme

from voyage_rag.io.http import certificates


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA(organization_name="A Test Authority")


@pytest.fixture
def trusting(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> Iterator[None]:
    """This process trusts the authority, as users arrange it."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    certificates._CONTEXTS.clear()
    yield
    certificates._CONTEXTS.clear()


@pytest.fixture
def certified(authority: trustme.CA) -> Callable[..., ssl.SSLContext]:
    """A server's context with a certificate for a name."""

    def make(name: str = "localhost", **validity: Any) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name, **validity).configure_cert(context)
        return context

    return make
