"""Where models run: one file per host, and the table by which an address selects one.

    from voyage_rag import Voyage
    from voyage_rag.hosts import SageMaker

    voyage = Voyage(host=SageMaker("my-endpoint", region="us-east-1"))

What a host needs besides this package is imported when the host is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from voyage_rag.deferred import deferred
from voyage_rag.hosts.aimlapi import AIMLAPI
from voyage_rag.hosts.aimlapi import HOSTNAME as AIMLAPI_HOSTNAME
from voyage_rag.hosts.host import Host, InProcessHost
from voyage_rag.hosts.voyage import VoyageAPI
from voyage_rag.secret import APIKey

if TYPE_CHECKING:
    from voyage_rag.hosts.azure import AzureApplication, AzureFoundry
    from voyage_rag.hosts.gateways import Gateway
    from voyage_rag.hosts.local import Local
    from voyage_rag.hosts.openai_compatible import OpenAICompatible
    from voyage_rag.hosts.sagemaker import SageMaker
BY_HOSTNAME: dict[str, type[VoyageAPI]] = {AIMLAPI_HOSTNAME: AIMLAPI}
"""Hosts that are recognised by `base_url`; any other address is taken to serve the Voyage API."""


def select_host(
    api_key: APIKey, base_url: str | None, *, allow_insecure_http: bool = False
) -> VoyageAPI:
    """The host at an address, or without one the host that the key belongs to.

    Raises:
        ConfigurationError: The address cannot work, or would expose the key.
    """
    try:
        hostname = urlsplit(base_url or "").hostname
    except (ValueError, AttributeError, TypeError):  # the host itself says what is wrong
        hostname = None
    host = BY_HOSTNAME.get(hostname or "", VoyageAPI)
    return host(api_key, base_url, allow_insecure_http=allow_insecure_http)


__all__ = [
    "AIMLAPI",
    "AzureApplication",
    "AzureFoundry",
    "Gateway",
    "Host",
    "InProcessHost",
    "Local",
    "OpenAICompatible",
    "SageMaker",
    "VoyageAPI",
    "select_host",
]

if not TYPE_CHECKING:
    MODULES = ["sagemaker", "azure", "openai_compatible", "gateways", "local"]
    __getattr__ = deferred(__name__, __all__, MODULES)


def __dir__() -> list[str]:
    return __all__
