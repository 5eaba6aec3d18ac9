"""Parse hosts from text, as on a command line: `sagemaker:my-endpoint`, `local:./model`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from voyage_rag.errors import ConfigurationError
from voyage_rag.hosts.azure import AzureApplication, AzureFoundry
from voyage_rag.hosts.gateways import GATEWAYS, Gateway
from voyage_rag.hosts.host import Host
from voyage_rag.hosts.local import Local
from voyage_rag.hosts.openai_compatible import OpenAICompatible
from voyage_rag.hosts.sagemaker import SageMaker
from voyage_rag.secret import APIKey

HOSTS: Mapping[str, Callable[[str, APIKey | None, bool], Host]] = {
    "sagemaker": lambda name, _, insecure: SageMaker(name, allow_insecure_http=insecure),
    "azure-foundry": lambda url, key, insecure: AzureFoundry(
        url, key or "", allow_insecure_http=insecure
    ),
    "azure-application": lambda url, _, insecure: AzureApplication(
        url, allow_insecure_http=insecure
    ),
    "openai": lambda url, key, insecure: OpenAICompatible(url, key, allow_insecure_http=insecure),
    "local": lambda source, *_: Local(source),
}


def parse_host(text: str, api_key: APIKey | None = None, *, allow_insecure_http: bool) -> Host:
    """Return the host for a text: a kind, and after a colon its endpoint, address or folder.

    Args:
        text: For example `openai:http://localhost:8000/v1`, or the name of a gateway.
        api_key: The key, if the host needs one.
        allow_insecure_http: Allow sending key and texts over plain HTTP to another machine.

    Raises:
        ConfigurationError: The kind is unknown, or the host cannot be created.
    """
    kind, _, rest = text.partition(":")
    if kind in GATEWAYS:
        return Gateway(
            kind, api_key, base_url=rest or None, allow_insecure_http=allow_insecure_http
        )
    if kind not in HOSTS:
        raise ConfigurationError(
            f"unknown host {text!r}: expected {', '.join(f'{name}:...' for name in HOSTS)}, or "
            f"one of {', '.join(GATEWAYS)}"
        )
    return HOSTS[kind](rest, api_key, allow_insecure_http)
