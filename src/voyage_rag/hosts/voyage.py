"""Voyage's platform and MongoDB Atlas: one API, at the address that a key's prefix names."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from voyage_rag.errors import ConfigurationError
from voyage_rag.hosts.failures import ErrorDetail, error_detail
from voyage_rag.hosts.host import Host
from voyage_rag.hosts.messages import Response
from voyage_rag.secret import APIKey

ADDRESSES_BY_KEY_PREFIX = (
    ("al-eu-", "https://eu.ai.mongodb.com/v1"),
    ("al-us-", "https://us.ai.mongodb.com/v1"),
    ("al-", "https://ai.mongodb.com/v1"),
    ("", "https://api.voyageai.com/v1"),
)
"""A key works on its own host only; MongoDB documents the prefixes ("Voyage AI: API keys")."""

HOSTNAMES = {urlsplit(url).hostname for _, url in ADDRESSES_BY_KEY_PREFIX}

FOREIGN_KEYS = (
    ("sk-ant-", "Anthropic"),
    ("sk-or-", "OpenRouter"),
    ("sk-", "OpenAI or a gateway"),
    ("hf_", "Hugging Face"),
    ("AIza", "Google"),
    ("AKIA", "AWS"),
    ("gsk_", "Groq"),
)
"""Prefixes of keys that people confuse with Voyage's."""

REMEDIES: Mapping[int, str] = {
    401: "check VOYAGE_API_KEY or api_key",
    403: "a key works on its own host only (see base_url), and from the addresses it allows",
    404: "check base_url: it should end in /v1",
}


class VoyageAPI(Host):
    """The Voyage API, and whatever serves it unchanged under another address.

    Args:
        api_key: The key.
        base_url: The address; the one that the key belongs to unless given.
        allow_insecure_http: Let the key travel over plain http to a host that is not loopback.
    """

    def __init__(
        self, api_key: APIKey, base_url: str | None = None, *, allow_insecure_http: bool = False
    ) -> None:
        super().__init__(
            base_url or address_of(api_key), api_key, allow_insecure_http=allow_insecure_http
        )
        if self.hostname in HOSTNAMES and (owner := owner_of(api_key)):
            raise ConfigurationError(
                f"api_key looks like a key of {owner}, not Voyage's: pass a Voyage key, or the "
                "base_url or host that this key is for"
            )

    def error(self, response: Response) -> ErrorDetail:
        """What a response says that is not a 200."""
        return error_detail(response, REMEDIES)


def address_of(key: APIKey) -> str:
    """The address that `key` belongs to, by its prefix."""
    text = key.get_secret_value()
    return next(url for prefix, url in ADDRESSES_BY_KEY_PREFIX if text.startswith(prefix))


def other_host_of(key: APIKey, hostname: str) -> str | None:
    """The host name that `key` belongs to, if `hostname` is another one of those that take keys."""
    own = urlsplit(address_of(key)).hostname
    return own if hostname in HOSTNAMES and hostname != own else None


def owner_of(key: APIKey) -> str | None:
    """The other service whose keys begin like this one."""
    text = key.get_secret_value()
    return next((owner for prefix, owner in FOREIGN_KEYS if text.startswith(prefix)), None)
