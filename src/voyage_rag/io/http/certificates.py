"""Whom TLS trusts: the certificate authorities that the environment names, or those of certifi.

The variables are those that curl, requests and httpx obey.
"""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import certifi

from voyage_rag.errors import ConfigurationError
from voyage_rag.locks import forks_wait

VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""The first one that is set counts."""


@dataclass(frozen=True, slots=True)
class TrustedCertificates:
    """Where the certificates of trusted authorities are.

    Attributes:
        variable: The environment variable that says so, "" where none does.
        paths: Files, or directories that OpenSSL's `rehash` has prepared; none for certifi's.
    """

    variable: str
    paths: tuple[str, ...]

    @classmethod
    def of_environment(cls, environ: Mapping[str, str]) -> TrustedCertificates:
        """What the environment names, or certifi's."""
        for variable in VARIABLES:
            if value := environ.get(variable):
                several = value.split(os.pathsep) if variable == "SSL_CERT_DIR" else [value]
                return cls(variable, tuple(filter(None, several)))
        return cls("", ())

    def check(self) -> None:
        """Refuse paths at which there is nothing, without reading any certificate.

        Raises:
            ConfigurationError: A path does not exist; the message names the variable.
        """
        for path in self.paths:
            if not Path(path).exists():
                raise self._unusable(path, "which does not exist")

    def ssl_context(self) -> ssl.SSLContext:
        """The context that all connections share; it takes some 70 ms to make, once.

        Raises:
            ConfigurationError: The certificates cannot be read.
        """
        with forks_wait(), _MAKING_CONTEXT:
            if self not in _CONTEXTS:
                _CONTEXTS[self] = self._make()
            return _CONTEXTS[self]

    def _make(self) -> ssl.SSLContext:
        context: ssl.SSLContext | None = None
        for path in self.paths or (certifi.where(),):
            location = {"capath" if Path(path).is_dir() else "cafile": path}
            try:
                if context is None:
                    context = ssl.create_default_context(**location)  # type: ignore[arg-type]
                else:
                    context.load_verify_locations(**location)
            except OSError as error:
                raise self._unusable(path, f"which cannot be read ({error})") from error
        assert context is not None  # noqa: S101 - there was a path
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _unusable(self, path: str, reason: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self.variable or 'certifi'} names {path!r} for trusted certificates, {reason}: "
            "correct the variable, or unset it to trust the authorities that certifi lists"
        )


_CONTEXTS: dict[TrustedCertificates, ssl.SSLContext] = {}
_MAKING_CONTEXT = threading.Lock()
