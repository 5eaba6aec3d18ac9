"""Voyage's platform and MongoDB Atlas: one API, at the address that belongs to the key's prefix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import urlsplit

from voyage_rag.errors import ConfigurationError
from voyage_rag.hosts.host import Host
from voyage_rag.secret import APIKey, as_key, hidden

ADDRESSES_BY_KEY_PREFIX = (
    ("al-eu-", "https://eu.ai.mongodb.com/v1"),
    ("al-us-", "https://us.ai.mongodb.com/v1"),
    ("al-", "https://ai.mongodb.com/v1"),
    ("", "https://api.voyageai.com/v1"),
)
"""A key is valid at its own host only; MongoDB documents the prefixes ("Voyage AI: API keys")."""

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
"""Prefixes of keys for other services, which are often confused with Voyage's."""


class VoyageAPI(Host):
    """The Voyage API, or a server that provides the same API at another address.

    Args:
        api_key: The key.
        base_url: Base URL of the API. Default: the one that the key belongs to.
        allow_insecure_http: Allow sending the key over plain HTTP to a host that is not loopback.

    Examples:
        >>> from voyage_rag.hosts import VoyageAPI
        >>> VoyageAPI("pa-1234567890").base_url
        'https://api.voyageai.com/v1'
        >>> VoyageAPI("al-1234567890").base_url
        'https://ai.mongodb.com/v1'
    """

    default_base_url: ClassVar[str | None] = None
    remedies: ClassVar[Mapping[int, str]] = {
        401: "check VOYAGE_API_KEY or api_key",
        403: "a key works on its own host only (see base_url), and from the addresses it allows",
        **dict.fromkeys((404, 405), "check base_url: it should end in /v1"),
    }

    def __init__(
        self, api_key: object, base_url: str | None = None, *, allow_insecure_http: bool = False
    ) -> None:
        api_key = hidden(api_key)
        key = as_key(api_key)
        if base_url is None:
            base_url = self.default_base_url or address_of(key)
        super().__init__(base_url, key, allow_insecure_http=allow_insecure_http)
        if self.hostname in HOSTNAMES and (owner := owner_of(key)):
            raise ConfigurationError(
                f"api_key looks like a key for {owner}, not for Voyage: pass a Voyage key, or the "
                "base_url or host that this key belongs to"
            )


def address_of(key: APIKey) -> str:
    """Return the address that `key` belongs to, by its prefix."""
    text = key.get_secret_value()
    return next(url for prefix, url in ADDRESSES_BY_KEY_PREFIX if text.startswith(prefix))


def other_host_of(key: APIKey, hostname: str) -> str | None:
    """Return the host name that `key` belongs to, if `hostname` is another host with keys."""
    own = urlsplit(address_of(key)).hostname
    return own if hostname in HOSTNAMES and hostname != own else None


def owner_of(key: APIKey) -> str | None:
    """Return the other service whose keys have the prefix of this one."""
    text = key.get_secret_value()
    return next((owner for prefix, owner in FOREIGN_KEYS if text.startswith(prefix)), None)
