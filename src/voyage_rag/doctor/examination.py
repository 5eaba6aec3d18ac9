"""The checks, in the order in which a call depends on them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from voyage_rag.doctor.environment import limits_of, versions
from voyage_rag.doctor.findings import Finding, note, ok
from voyage_rag.doctor.identity import credentials_of, host_for, key_of
from voyage_rag.doctor.network import network_findings
from voyage_rag.doctor.service import model_in_process, paid_call, price, service_findings
from voyage_rag.hosts import Host, InProcessHost, VoyageAPI
from voyage_rag.settings import Settings


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

    The arguments are those of `voyage_rag.Voyage`, and two more.

    Args:
        api_key: See `Voyage`.
        api_key_path: See `Voyage`.
        base_url: See `Voyage`.
        allow_insecure_http: See `Voyage`.
        host: See `Voyage`; replaces the arguments above.
        call: Make a paid call, of one word.
        environ: Read instead of the process environment by the individual checks; the client's own
            transport reads the process environment.

    Yields:
        Findings as they are made, without those that depend on something broken.
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
        yield limits_of(settings)
    yield versions()


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
