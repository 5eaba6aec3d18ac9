"""The trusted certificate authorities: those of the environment, or those of certifi.

The environment variables are those of curl, requests and httpx.
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
from voyage_rag.locks import delay_forks

VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""The first variable that is set is used."""

KEY_LOG_VARIABLE = "SSLKEYLOGFILE"
"""Python writes TLS keys to the file that this variable names. Some antivirus programs set it."""


@dataclass(frozen=True, slots=True)
class TrustedCertificates:
    """Location of the certificates of trusted authorities.

    Attributes:
        variable: The environment variable that names them, or "".
        paths: Files, or directories prepared by OpenSSL's `rehash`; empty for those of certifi.
    """

    variable: str
    paths: tuple[str, ...]

    @classmethod
    def of_environment(cls, environ: Mapping[str, str]) -> TrustedCertificates:
        """Return the certificates that the environment names, or those of certifi."""
        for variable in VARIABLES:
            if value := environ.get(variable):
                several = value.split(os.pathsep) if variable == "SSL_CERT_DIR" else [value]
                return cls(variable, tuple(filter(None, several)))
        return cls("", ())

    def check(self) -> None:
        """Raise a `ConfigurationError` for a path that does not exist. Reads no certificate."""
        for path in self.paths:
            if not Path(path).exists():
                raise self._unusable(path, "which does not exist")

    def ssl_context(self) -> ssl.SSLContext:
        """Return the context that all connections share. Its creation takes about 70 ms, once.

        Raises:
            ConfigurationError: The certificates cannot be read.
        """
        with delay_forks(), _MAKING_CONTEXT:
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
                if error.filename == os.environ.get(KEY_LOG_VARIABLE, ""):
                    raise ConfigurationError(
                        f"{KEY_LOG_VARIABLE} does not name a writable file ({error}): unset it"
                    ) from error
                raise self._unusable(path, f"which cannot be read ({error})") from error
        assert context is not None  # noqa: S101 - there was a path
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _unusable(self, path: str, reason: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self.variable or 'certifi'} sets the trusted certificates to {path!r}, {reason}: "
            "correct the variable, or unset it to use the certificates of certifi"
        )


_CONTEXTS: dict[TrustedCertificates, ssl.SSLContext] = {}
_MAKING_CONTEXT = threading.Lock()
