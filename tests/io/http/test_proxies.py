"""Which proxy is used: what the environment may say, and what curl and requests make of it."""

from __future__ import annotations

import pytest

from fakes import KEY
from voyage_rag import ConfigurationError, Voyage
from voyage_rag.io.http.proxies import find_proxy

HOST = ("https", "api.corp.example", 443)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ({"https_proxy": "http://proxy:3128"}, "http://proxy:3128"),
        ({"https_proxy": "http://lower:1", "HTTPS_PROXY": "http://upper:1"}, "http://lower:1"),
        ({"ALL_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ({"HTTPS_PROXY": "http://one:1", "ALL_PROXY": "http://two:2"}, "http://one:1"),
        ({"HTTP_PROXY": "http://proxy:3128"}, None),
        ({"HTTPS_PROXY": ""}, None),
        ({"HTTPS_PROXY": " "}, None),
        ({"HTTPS_PROXY": " ", "ALL_PROXY": "http://proxy:3128\n"}, "http://proxy:3128"),
        ({"HTTPS_PROXY": "proxy:3128"}, "http://proxy:3128"),
        ({"HTTPS_PROXY": "http://proxy"}, "http://proxy:80"),
        ({"HTTPS_PROXY": "https://proxy"}, "https://proxy:443"),
        ({"ALL_PROXY": "socks5://proxy"}, "socks5://proxy:1080"),
        ({"ALL_PROXY": "socks5h://proxy:9050/"}, "socks5h://proxy:9050"),
        ({"HTTPS_PROXY": "http://[::1]:3128"}, "http://[::1]:3128"),
        ({"HTTPS_PROXY": "http://us%40er:p%3Aw@proxy:1"}, "http://proxy:1"),
        ({"TRAVIS_APT_PROXY": "http://proxy"}, None),
    ],
)
def test_the_environment_names_a_proxy(
    variables: dict[str, str], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In any of the forms that curl accepts."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = find_proxy(*HOST)
    assert (None if found is None else str(found)) == expected
    if found is not None:
        assert found.source in variables


@pytest.mark.parametrize(
    ("exceptions", "host", "port", "excepted"),
    [
        ("*", "api.example", 443, True),
        ("api.example", "api.example", 443, True),
        ("API.Example", "api.example", 443, True),
        ("example", "api.example", 443, True),
        (".example", "api.example", 443, True),
        ("*.example", "api.example", 443, True),
        ("ample", "api.example", 443, False),
        ("api.example.", "api.example", 443, True),
        ("api.example", "api.example.", 443, True),
        ("api.example:443", "api.example", 443, True),
        ("api.example:8443", "api.example", 443, False),
        ("*.corp:8080", "host.corp", 8080, True),
        ("*.corp:8080", "host.corp", 443, False),
        ("a.b, ,localhost , c", "localhost", 443, True),
        ("a.b localhost", "localhost", 443, True),
        ("localhost,127.0.0.1,[::1]", "::1", 443, True),
        ("[::1]:443", "::1", 443, True),
        ("[::1]:444", "::1", 443, False),
        ("::1", "::1", 443, True),
        ("0:0:0:0:0:0:0:1", "::1", 443, True),
        ("fe80::/10", "fe80::12", 443, True),
        ("fe80::/10", "2001:db8::1", 443, False),
        ("10.0.0.0/8", "10.1.2.3", 443, True),
        ("10.0.0.0/8", "11.1.2.3", 443, False),
        ("10.0.0.0/8", "api.example", 443, False),
        ("10.1.2.3/8", "10.9.9.9", 443, True),
        ("192.168.1.1", "192.168.1.1", 443, True),
        ("192.168.1.1", "192.168.1.10", 443, False),
        ("https://api.example", "api.example", 443, True),
        ("[::1", "api.example", 443, False),
        ("", "api.example", 443, False),
        (",", "api.example", 443, False),
        (".", "api.example", 443, False),
        ("10.0.0.0/99", "10.0.0.1", 443, False),
        ("api.example:x", "api.example", 443, False),
    ],
)
def test_exceptions(
    exceptions: str, host: str, port: int, excepted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NO_PROXY in all usual forms; entries without a meaning are ignored."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", exceptions)
    assert (find_proxy("https", host, port) is None) is excepted


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("HTTPS_PROXY", "http://proxy:port", "address"),
        ("https_proxy", "http://proxy:99999", "address"),
        ("ALL_PROXY", "http://", "host"),
        ("ALL_PROXY", "socks4://proxy:1080", "socks5"),
        ("ALL_PROXY", "gopher://a-secret-user:a-secret-word@proxy", "gopher"),
        ("HTTPS_PROXY", "http://[::1", "address"),
        ("HTTPS_PROXY", "http://user:secret#word@proxy:3128", "percent-encoded"),
        ("HTTPS_PROXY", "http://user:secret/word@proxy:3128", "percent-encoded"),
        ("HTTPS_PROXY", "http://user:12?secret@proxy:3128", "percent-encoded"),
        ("HTTPS_PROXY", "'http://proxy:3128'", "expected scheme://"),
        ("HTTPS_PROXY", "PROXY secret.example:3128", "expected scheme://"),
    ],
)
def test_a_proxy_that_cannot_work_is_refused_at_construction(
    variable: str, value: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the name of its variable, and without its value, which may hold a password."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=variable) as caught:
        Voyage(KEY)
    assert reason in caught.value.message
    assert "secret" not in repr(caught.value)


def test_the_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by the object nor as text."""
    monkeypatch.setenv("HTTPS_PROXY", "http://a-user:a-secret-word@proxy:1")
    found = find_proxy(*HOST)
    assert found is not None
    assert "a-secret-word" not in repr(found) + str(found)
    assert found.headers == {"proxy-authorization": "Basic YS11c2VyOmEtc2VjcmV0LXdvcmQ="}
