"""The limits in effect, and the installed versions."""

from __future__ import annotations

import platform
import ssl
from importlib.metadata import PackageNotFoundError, version

from voyage_rag.doctor.findings import Finding, ok
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


def limits_of(settings: Settings) -> Finding:
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


def versions() -> Finding:
    """Return the versions of this package and its dependencies."""
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
