"""Hosts: where models run. One module per host, and a table that selects a host by its address.

    from voyage_rag import Voyage
    from voyage_rag.hosts import SageMaker

    voyage = Voyage(host=SageMaker("my-endpoint", region="us-east-1"))

Optional dependencies of a host are imported when the host is created.
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
"""Hosts by the host name of `base_url`. Any other address is assumed to serve the Voyage API."""


def select_host(
    api_key: APIKey, base_url: str | None, *, allow_insecure_http: bool = False
) -> VoyageAPI:
    """Return the host at an address; without an address, the host that the key belongs to.

    Raises:
        ConfigurationError: The address is invalid, or would expose the key.
    """
    try:
        hostname = urlsplit(base_url or "").hostname
    except (ValueError, AttributeError, TypeError):  # the host raises its own error
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
    __getattr__, __dir__ = deferred(__name__, __all__, MODULES)
