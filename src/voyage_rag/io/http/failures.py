"""Errors for requests without a usable response."""

from __future__ import annotations

from voyage_rag.core.flow import Attempt
from voyage_rag.errors import APIConnectionError, Timeout
from voyage_rag.hosts.host import Host
from voyage_rag.io.http.proxies import Proxy

DOCTOR = "run `voyage-rag doctor` to check the network, proxy and certificates"
NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")
NO_TLS_REMEDY = (
    "the server does not use TLS: check whether base_url, or the PROXY variable, has to begin with "
    "http://"
)
CERTIFICATE_REMEDY = (
    "if a proxy inspects TLS, set SSL_CERT_FILE to its certificate authority; `voyage-rag doctor` "
    "shows the issuer of this certificate"
)

CLIENT_CERTIFICATE_REMEDY = (
    "the server requires a client certificate: pass HTTP clients whose SSL context has one, as in "
    "httpx.Client(verify=context)"
)
STRICT = ("Key Identifier", "not marked critical", "does not include key usage")
STRICT_REMEDY = (
    "the certificate is incomplete, which Python 3.13 and newer refuse: replace it, or pass HTTP "
    "clients whose SSL context accepts it (context.verify_flags &= ~ssl.VERIFY_X509_STRICT)"
)
TRUSTSTORE = ("Peer sent no certificates", "parameters passed to a function were not valid")
TRUSTSTORE_REMEDY = "upgrade truststore, which replaces Python's TLS, to 0.10.5 or newer"
REMEDIES = {
    **dict.fromkeys(TRUSTSTORE, TRUSTSTORE_REMEDY),
    **dict.fromkeys(STRICT, STRICT_REMEDY),
    "CERTIFICATE_VERIFY_FAILED": CERTIFICATE_REMEDY,
    "CERTIFICATE_REQUIRED": CLIENT_CERTIFICATE_REMEDY,
    **dict.fromkeys(NO_TLS, NO_TLS_REMEDY),
}
"""Remedies by a part of the message of OpenSSL or truststore. The first that matches is used."""


def remedy_for(reason: str, default: str = DOCTOR) -> str:
    """Return the remedy for a failed connection."""
    return next((REMEDIES[text] for text in REMEDIES if text in reason), default)


def connection_error(
    error: Exception,
    host: Host,
    attempt: Attempt,
    *,
    is_timeout: bool,
    never_sent: bool,
    proxy: Proxy | None = None,
) -> APIConnectionError:
    """Return the error to raise, with a cause that does not contain the key.

    The original error may quote the server, so the key is removed from its text. `never_sent` means
    that the service cannot have received the request.
    """
    reason = host.redact(str(error).encode()).decode() or type(error).__name__
    if proxy is not None and never_sent and proxy.source not in reason:
        reason += f"; the connection uses the proxy {proxy} of {proxy.source}"
    model = attempt.request.model
    if is_timeout and never_sent:
        failure: APIConnectionError = Timeout(
            f"no connection to {host.base_url} in time: {reason} ({DOCTOR})", model=model
        )
    elif is_timeout:
        failure = Timeout(
            f"{host.base_url} did not respond within {round(attempt.timeout, 2):g} s ({reason}): "
            "increase timeout, or reduce concurrency or the size of requests",
            model=model,
        )
    else:
        failure = APIConnectionError(
            f"no response from {host.base_url}: {reason} ({remedy_for(reason)})", model=model
        )
    failure.never_sent = never_sent
    failure.__cause__ = _without_secrets(error, reason)
    return failure


def _without_secrets(error: BaseException, reason: str) -> BaseException:
    """Return the OSError that caused this error, or an error of the same type without references.

    Exceptions of httpx refer to the request, and tracebacks to the headers.
    """
    innermost = error
    while innermost.__cause__ is not None:
        innermost = innermost.__cause__
    if isinstance(innermost, OSError):
        return innermost.with_traceback(None)
    try:
        return type(error)(reason)
    except TypeError:  # some errors of httpx accept no text
        return RuntimeError(reason)
