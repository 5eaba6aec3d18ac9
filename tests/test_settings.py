"""Where settings come from, which are refused, and what the refusal says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fakes import KEY
from voyage_rag import ConfigurationError, Voyage
from voyage_rag.secret import find_key
from voyage_rag.settings import SHARED_SETTINGS, ChangedSettings, Settings


def resolved_key(environ: dict[str, str], **given: Any) -> str:
    """The key that is found."""
    return Settings.resolve(environ=environ, **given).api_key.get_secret_value()


def refusal(*args: Any, **kwargs: Any) -> str:
    """The message of a ConfigurationError, which is a ValueError too and shows no key."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.resolve(*args, environ={}, **kwargs)
    assert isinstance(caught.value, ValueError)
    assert KEY not in str(caught.value)
    return caught.value.message


@pytest.fixture
def key_files(tmp_path: Path) -> tuple[str, str]:
    """A key file for the argument and one for the environment."""
    paths = tmp_path / "argument", tmp_path / "environment"
    for path in paths:
        path.write_text(f"  pa-of-{path.name}-file \n")
    return str(paths[0]), str(paths[1])


@pytest.mark.parametrize(
    ("sources", "key"),
    [
        ("argument path path-variable variable", "pa-argument"),
        ("path path-variable variable", "pa-of-argument-file"),
        ("path variable", "pa-of-argument-file"),
        ("path-variable variable", "pa-of-environment-file"),
        ("variable", "pa-variable"),
    ],
)
def test_the_first_source_that_has_a_key_wins(
    sources: str, key: str, key_files: tuple[str, str]
) -> None:
    """The argument, then a key file by argument or variable, then the variable."""
    named = sources.split()
    given = {
        "api_key": "pa-argument" if "argument" in named else None,
        "api_key_path": key_files[0] if "path" in named else None,
    }
    environ = {"VOYAGE_API_KEY_PATH": key_files[1], "VOYAGE_API_KEY": " pa-variable\n"}
    for source, name in (("path-variable", "VOYAGE_API_KEY_PATH"), ("variable", "VOYAGE_API_KEY")):
        if source not in named:
            del environ[name]

    assert key == resolved_key(environ, **given)


def test_the_environment_is_read_at_construction(monkeypatch: pytest.MonkeyPatch) -> None:
    """At no other time."""
    monkeypatch.setenv("VOYAGE_API_KEY", "al-first")
    monkeypatch.setenv("VOYAGE_BASE_URL", "https://first.example/v1/")
    voyage = Voyage()
    monkeypatch.setenv("VOYAGE_API_KEY", "pa-second")
    monkeypatch.setenv("VOYAGE_BASE_URL", "https://second.example/v1")

    assert voyage.settings.base_url == "https://first.example/v1"
    assert voyage.settings.api_key.get_secret_value() == "al-first"


def test_without_a_key_the_message_names_every_place_to_put_one() -> None:
    """An empty variable is no key."""
    for environ in ({}, {"VOYAGE_API_KEY": "", "VOYAGE_API_KEY_PATH": ""}):
        with pytest.raises(ConfigurationError) as caught:
            Settings.resolve(environ=environ)
        for place in ("api_key=", "api_key_path=", "VOYAGE_API_KEY_PATH", "VOYAGE_API_KEY"):
            assert place in caught.value.message


@pytest.mark.parametrize(
    ("key", "expected_message"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("pa-two words", "which no key has"),
        ("pa-line\nbreak", "which no key has"),
        ("pa-schlüssel", "which no key has"),
        ("pa-\x00", "which no key has"),
        (7, "must be a string, not int"),
        (b"pa-bytes", "must be a string, not bytes"),
    ],
    ids=repr,
)
def test_what_cannot_be_a_key_is_refused(key: Any, expected_message: str) -> None:
    """With the reason, and without showing it."""
    message = refusal(key)

    assert expected_message in message
    assert "schl" not in message
    assert "two words" not in message


def test_a_key_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    """As editors on Windows write it."""
    path = tmp_path / "key"
    path.write_bytes(b"\xef\xbb\xbfpa-of-a-file\r\n")

    assert find_key(None, path).get_secret_value() == "pa-of-a-file"


@pytest.mark.parametrize(
    ("content", "expected_message"), [(b"", "is empty"), (b"\xff\xfe", "UTF-16")]
)
def test_a_key_file_without_a_key_is_refused(
    tmp_path: Path, content: bytes, expected_message: str
) -> None:
    """The message names the file, never what is in it."""
    path = tmp_path / "key"
    path.write_bytes(content)

    assert expected_message in refusal(api_key_path=path)
    assert "FileNotFoundError" in refusal(api_key_path=tmp_path / "none")
    assert "api_key_path is empty" in refusal(api_key_path="")
    assert str(path) in refusal(api_key_path=path)


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("pa-123", "api.voyageai.com"),
        ("anything", "api.voyageai.com"),
        ("al-123", "ai.mongodb.com"),
        ("al-eu-123", "eu.ai.mongodb.com"),
        ("al-us-123", "us.ai.mongodb.com"),
        ("al-eu", "ai.mongodb.com"),
        ("pal-eu-123", "api.voyageai.com"),
    ],
)
def test_the_host_is_the_one_the_key_belongs_to(key: str, host: str) -> None:
    """By the key's prefix, as MongoDB documents it."""
    settings = Settings.resolve(key, environ={})

    assert (host, f"https://{host}/v1") == (settings.host.hostname, settings.base_url)


def test_an_address_goes_before_the_keys_host() -> None:
    """The argument, then `VOYAGE_BASE_URL`, then the prefix; a trailing slash does not matter."""
    environ = {"VOYAGE_BASE_URL": "https://b.example/v1//"}
    chosen = [
        Settings.resolve("al-1", base_url=base_url, environ=variables).base_url
        for base_url, variables in ((" https://a.example/v1/ ", environ), (None, environ))
    ]

    assert chosen == ["https://a.example/v1", "https://b.example/v1"]


@pytest.mark.parametrize(
    "url",
    ["http://localhost:8000/v1", "http://127.0.0.1/v1", "http://[::1]:80/v1", "https://h.example"],
)
def test_addresses_that_keep_the_key_safe_are_taken(url: str) -> None:
    """https anywhere, plain http on this machine."""
    assert url == Settings.resolve(KEY, base_url=url, environ={}).base_url


@pytest.mark.parametrize(
    ("url", "expected_message"),
    [
        ("http://api.voyageai.com/v1", "unencrypted to 'api.voyageai.com'"),
        ("http://localhost.evil.example/v1", "unencrypted"),
        ("http://127.0.0.1.evil.example/v1", "unencrypted"),
        ("HTTP://10.0.0.1/v1", "unencrypted"),
        ("http://user@localhost/v1", "user name or password"),
        ("https://user:secret-word@h.example/v1", "user name or password"),
        ("https://:secret-word@h.example/v1", "user name or password"),
        ("https://h.example/v1?key=secret-word", "query or fragment"),
        ("https://h.example/v1#secret-word", "query or fragment"),
        ("https://h.example/v1/embeddings#", "query or fragment"),
        ("https://h.example/v1?", "query or fragment"),
        ("ftp://h.example/v1", "not an http(s) address"),
        ("h.example/v1", "not an http(s) address"),
        ("https://", "not an http(s) address"),
        ("https:///v1", "not an http(s) address"),
        ("https://h.example:port/v1", "not an address"),
        ("https://[::1/v1", "not an address"),
        ("", "not an http(s) address"),
        (7, "must be a string"),
    ],
    ids=repr,
)
def test_an_address_that_is_unsafe_or_none_is_refused(url: Any, expected_message: str) -> None:
    """Nothing is sent there, and the message contains none of its secrets."""
    message = refusal(KEY, base_url=url)

    assert expected_message in message
    assert "secret-word" not in message


def test_plain_http_to_another_machine_has_to_be_allowed() -> None:
    """`allow_insecure_http=True`, which the refusal names; from the environment too."""
    url = "http://gateway.example/v1"

    assert "allow_insecure_http=True" in refusal(KEY, base_url=url)
    with pytest.raises(ConfigurationError, match=r"VOYAGE_BASE_URL .* unencrypted"):
        Settings.resolve(KEY, environ={"VOYAGE_BASE_URL": url})
    allowed = Settings.resolve(KEY, base_url=url, allow_insecure_http=True, environ={})
    assert url == allowed.base_url


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("timeout", 0),
        ("timeout", -1),
        ("timeout", float("inf")),
        ("timeout", "soon"),
        ("total_timeout", 0),
        ("total_timeout", float("nan")),
        ("max_retries", -1),
        ("max_retries", 1.5),
        ("concurrency", 0),
        ("concurrency", 257),
        ("requests_per_minute", 0),
        ("tokens_per_minute", float("inf")),
        ("cache", 7),
        ("cache", ""),
        ("tokenizer", 7),
    ],
)
def test_an_option_that_cannot_work_is_refused_by_name(option: str, value: Any) -> None:
    """At construction, through the client too."""
    assert option in refusal(KEY, **{option: value})
    assert "value error" not in refusal(KEY, **{option: value}).lower()
    with pytest.raises(ConfigurationError, match=option):
        Voyage(KEY, **{option: value})


def test_an_unknown_option_is_refused_with_the_known_ones() -> None:
    """A typing mistake does not pass silently."""
    message = refusal(KEY, time_out=3)

    assert "'time_out'" in message
    assert "timeout" in message.replace("time_out", "")


def test_none_means_the_default_but_for_the_total_timeout() -> None:
    """There it means no limit."""
    voyage = Voyage(KEY, timeout=None, max_retries=None, concurrency=None, total_timeout=None)
    settings = voyage.settings

    assert (settings.timeout, settings.concurrency) == (60.0, 16)
    assert settings.total_timeout is None
    assert Voyage(KEY).settings.total_timeout == 300.0


def test_the_home_folder_may_be_abbreviated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No shell expands configurations and `.env` files."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "key").write_text(KEY)
    assert resolved_key({"VOYAGE_API_KEY_PATH": "~/key"}) == KEY
    assert Settings.resolve(KEY, cache="~/cache.db").cache == str(tmp_path / "cache.db")


def test_short_times_may_be_asked_for() -> None:
    """Half a second is a timeout."""
    settings = Voyage(KEY, timeout=0.5, total_timeout=0.5, requests_per_minute=1).settings

    assert (settings.timeout, settings.total_timeout, settings.requests_per_minute) == (0.5, 0.5, 1)


def test_settings_do_not_change() -> None:
    """Changing settings later does not change the client."""
    with pytest.raises(ValueError, match="frozen"):
        Voyage(KEY).settings.timeout = 1.0  # type: ignore[misc]


def test_editors_know_what_a_copy_may_change() -> None:
    """All settings, except those that copies share."""
    names = ChangedSettings.__annotations__.keys()
    assert names == Settings.model_fields.keys() - SHARED_SETTINGS
