"""The checks, in the order in which a call depends on them."""

from __future__ import annotations

import os
import platform
import ssl
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version

from voyage_rag.doctor.findings import Finding, note, ok
from voyage_rag.doctor.identity import credentials_of, host_for, key_of
from voyage_rag.doctor.network import network_findings
from voyage_rag.doctor.service import model_in_process, paid_call, price, service_findings
from voyage_rag.hosts import Host, InProcessHost, VoyageAPI
from voyage_rag.models import MODELS
from voyage_rag.settings import Settings

PACKAGES = (
    "voyage-rag",
    "httpx",
    "pydantic",
    "anyio",
    "langchain-core",
    "llama-index-core",
)
EXAMPLE = "voyage-4"


def examine(
    api_key: str | None = None,
    *,
    api_key_path: str | os.PathLike[str] | None = None,
    base_url: str | None = None,
    allow_insecure_http: bool = False,
    host: Host | None = None,
    call: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Finding]:
    """Check everything between this program and the service.

    The arguments are those of `voyage_rag.Voyage`, `call`, which embeds one word in a paid call,
    and `environ`, which is read instead of the process environment, except by the transport.

    Yields:
        The findings. Checks that depend on something broken are omitted.
    """
    if host is None:
        key, finding = key_of(api_key, api_key_path, environ)
        yield finding
        settings, finding = host_for(key, base_url, environ, insecure=allow_insecure_http)
        can_ask = key is not None
    else:
        settings = Settings.resolve(host=host)
        finding = credentials_of(host)
        yield finding
        can_ask, finding = finding.state != "broken", ok("host", repr(host))
    yield finding
    if settings is not None and isinstance(settings.host, InProcessHost):
        yield from model_in_process(settings.host)
    elif settings is not None:
        reached = True
        for finding in network_findings(settings):
            yield finding
            reached = reached and finding.state != "broken"
        if reached and can_ask:
            yield from _service(settings, call=call)
        yield _limits_of(settings)
    yield _versions()


def _service(settings: Settings, *, call: bool) -> Iterator[Finding]:
    works = True
    for finding in service_findings(settings):
        yield finding
        works = works and finding.state != "broken"
    if call and works:
        yield paid_call(settings)
    elif works and isinstance(settings.host, VoyageAPI):
        yield note("call", f"not made: --call embeds one word, for less than ${_up(price())}")


def _up(amount: float) -> str:
    """Round a price up, so that it is not exceeded."""
    return next(f"{limit:.7f}".rstrip("0") for limit in (1e-7, 1e-6, 1e-5, 1e-4) if amount < limit)


def _limits_of(settings: Settings) -> Finding:
    """Return the limits, retries and timeouts of a client with these settings."""
    tier = MODELS[EXAMPLE].tokens_per_minute or 0
    wait = "no end" if settings.total_timeout is None else f"{settings.total_timeout:g} s"
    retries = "6" if settings.max_retries is None else str(settings.max_retries)
    return ok(
        "limits",
        "the account's limits are discovered, unless set (tier 1: 2,000 requests and "
        f"{tier // 1_000_000}M tokens of {EXAMPLE} per minute); {settings.concurrency} concurrent "
        f"requests, {settings.timeout:g} s each, {retries} retries, {wait} in total",
        concurrency=settings.concurrency,
        max_retries=settings.max_retries,
        timeout=settings.timeout,
        total_timeout=settings.total_timeout,
    )


def _versions() -> Finding:
    found = {name: _version(name) for name in PACKAGES}
    found["python"] = platform.python_version()
    found["openssl"] = ssl.OPENSSL_VERSION.split()[1]
    system = f"{platform.system()} {platform.machine()}"
    said = ", ".join(f"{name} {number}" for name, number in found.items() if number)
    return ok("versions", f"{said}, {system}", **found, system=system)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
