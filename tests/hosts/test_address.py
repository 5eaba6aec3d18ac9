"""Addresses that cannot work or would expose the key, and what a host hides."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from fakes import HTTPService
from voyage_rag import ConfigurationError, Voyage, VoyageError
from voyage_rag.hosts import OpenAICompatible
from voyage_rag.hosts.address import check_address
from voyage_rag.hosts.host import redacted
from voyage_rag.hosts.messages import Response


@pytest.mark.parametrize(
    "address",
    [
        "https://api.voyageai.com\t.evil.example/v1",
        "https://api.voyageai.com\n.evil.example/v1",
        "https://x y/v1",
        "https://x.example/v1 /embeddings",
        "https://x.example\\@evil.example/v1",
        "https://x.example/v1/../../admin",
        "https://x.example/v1/%2e%2e/admin",
        "https://x.example/./v1",
        "https://user:password@x.example/v1",
        "https://x.example/v1?a=b",
        "https://x.example/v1#a",
        "https://x.example:port/v1",
        "https://[::1/v1",
        "https:///v1",
        f"https://{'a' * 64}.example/v1",
        "https://a..example/v1",
        "ftp://x.example",
        "x.example",
        "",
    ],
)
def test_an_address_that_cannot_work_is_refused(address: str) -> None:
    """When the host is made, and no password is repeated."""
    with pytest.raises(ConfigurationError) as caught:
        OpenAICompatible(address)
    assert "password@" not in caught.value.message


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (" https://x.example/v1/ ", "https://x.example/v1"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
        ("http://127.0.1.1:8000/v1", "http://127.0.1.1:8000/v1"),
        ("http://0.0.0.0:8000/v1", "http://0.0.0.0:8000/v1"),
        ("https://x.example/a..b/v1", "https://x.example/a..b/v1"),
    ],
)
def test_an_address_that_works_is_kept(address: str, expected: str) -> None:
    """But for what surrounds it."""
    assert check_address(address, allow_insecure_http=False) == expected


def test_a_key_of_one_letter_is_hidden_where_it_is_the_key() -> None:
    """And not inside words; a long key is hidden wherever it stands."""
    assert redacted(b"key a, a-b, banana, 'a'", "a") == b"key **********, a-b, banana, '**********'"
    assert redacted(b"xpa-0123456789abcx", "pa-0123456789abc") == b"x**********x"


def test_a_key_that_an_error_spells_with_escapes_is_hidden(http_service: HTTPService) -> None:
    """JSON may write every character as its number."""
    key = "pa-a-key-that-is-echoed"
    escaped = "".join(f"\\u{ord(character):04x}" for character in key)
    http_service.always = lambda body: Response(
        400, {}, b'{"detail":"bad key ' + escaped.encode() + b'"}'
    )
    with pytest.raises(VoyageError) as caught:
        Voyage(key, base_url=http_service.url).embed(["a"], "voyage-of-tests")

    assert key not in str(caught.value)
    assert "bad key **********" in caught.value.message


def test_two_local_servers_have_budgets_of_their_own() -> None:
    """An account is an address with its port, and a key."""
    one, other = (OpenAICompatible(f"http://localhost:{port}/v1") for port in (1, 2))
    assert one.account != other.account
    assert one.cache_scope != other.cache_scope


def test_hosts_import_nothing_that_they_do_not_need() -> None:
    """Neither when the package is imported, nor when a host is named."""
    program = """
import json, sys
from voyage_rag.hosts import AzureFoundry, Gateway, Local, OpenAICompatible, SageMaker
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert not loaded & {"botocore", "boto3", "torch", "sentence_transformers", "numpy", "httpx"}
