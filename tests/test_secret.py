"""A key that is nowhere to be seen, and works wherever it should."""

from __future__ import annotations

import copy
import logging
import multiprocessing
import os
import pickle
import subprocess
import sys
import traceback
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from operator import methodcaller
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from fakes import KEY, MODEL, HTTPService, failed
from voyage_rag import ConfigurationError, Voyage, VoyageError
from voyage_rag.secret import APIKey, as_key, find_same_key, fingerprint
from voyage_rag.settings import Settings

OTHER_KEY = "pa-another-tenants-key"


class Holder(BaseModel):
    """A model with a key, as adapters are."""

    key: APIKey


def test_a_key_shows_itself_nowhere() -> None:
    """Not in any text or dump of itself or of what holds it."""
    voyage, holder = Voyage(KEY), Holder(key=as_key(KEY))
    shown = [
        *map(repr, (voyage, voyage.settings, voyage.settings.api_key, holder, as_key(KEY))),
        *map(str, (voyage, voyage.settings, voyage.settings.api_key, holder)),
        f"{as_key(KEY)} {as_key(KEY)!r}",
        holder.model_dump_json(),
        voyage.settings.model_dump_json(),
        repr(holder.model_dump()),
        repr(voyage.settings.model_dump()),
        repr(vars(voyage)),
    ]

    assert not [text for text in shown if KEY in text]
    assert voyage.settings.api_key.get_secret_value() == KEY


@pytest.mark.parametrize(
    "make",
    [
        partial(Settings, api_key=KEY, base_url="https://h.example", timeout=KEY),
        partial(Voyage, KEY, timeout=KEY),
        partial(Voyage, KEY, concurrency=KEY),
        partial(Voyage, f"{KEY} and more"),
        partial(Voyage, f"{KEY}\u00e9"),
    ],
    ids=["settings", "client", "option", "space", "letter"],
)
def test_no_message_about_bad_settings_shows_the_key(make: Any) -> None:
    """Even where the key stands in the wrong field of settings."""
    with pytest.raises((ValidationError, ConfigurationError)) as caught:
        make()
    assert KEY not in "".join(traceback.format_exception(caught.value))


def test_no_log_and_no_error_shows_the_key(
    face, http_service: HTTPService, caplog: pytest.LogCaptureFixture
) -> None:
    """At DEBUG, of httpx and httpcore too; nor the traceback of an error, nor its attributes."""
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "voyage_rag"):
        caplog.set_level(logging.DEBUG, logger=name)
    http_service.script = [failed(401), failed(503, retry_after="0")]
    voyage = Voyage(KEY, base_url=http_service.url, max_retries=1)

    with pytest.raises(VoyageError) as caught:
        face.call(voyage, "embed", ["a"], MODEL)
    face.call(voyage, "embed", ["a"], MODEL)

    assert "httpcore" in {record.name.split(".")[0] for record in caplog.records}
    told = [record.getMessage() + repr(record.args) for record in caplog.records]
    told += [*traceback.format_exception(caught.value), repr(vars(caught.value))]
    assert not [text for text in told if KEY in text]


def test_keys_are_equal_by_their_text_and_hash_alike() -> None:
    """So that clients can be kept by key."""
    assert as_key(KEY) == as_key(f" {KEY}\n") == as_key(SecretStr(KEY))
    assert as_key(KEY) != as_key(OTHER_KEY)
    assert hash(as_key(KEY)) == hash(as_key(KEY))


def test_a_fingerprint_tells_keys_apart_and_does_not_tell_the_key() -> None:
    """Twelve hex digits, the same for the same key."""
    assert fingerprint(KEY) == as_key(KEY).fingerprint != fingerprint(OTHER_KEY)
    assert len(fingerprint(KEY)) == 12
    assert set(fingerprint(KEY)) <= set("0123456789abcdef")


# ── copies ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_hides_the_key_and_opens_in_this_process(protocol: int) -> None:
    """Client, settings, key: sealed on the way, the same afterwards."""
    voyage = Voyage(KEY, timeout=7.0, base_url="https://h.example/v1", concurrency=3)

    for original in (voyage, voyage.settings, voyage.settings.api_key):
        assert KEY.encode() not in pickle.dumps(original, protocol)
    opened = pickle.loads(pickle.dumps(voyage, protocol))
    assert voyage.settings == opened.settings
    assert opened.settings.api_key.get_secret_value() == KEY


def test_two_pickles_of_one_key_differ() -> None:
    """A stream of bytes is used once."""
    assert pickle.dumps(as_key(KEY)) != pickle.dumps(as_key(KEY))


def test_copies_have_the_same_key() -> None:
    """`copy` and `deepcopy` of client, settings and key."""
    voyage = Voyage(KEY)

    for copied in (copy.copy(voyage), copy.deepcopy(voyage), copy.deepcopy({"v": voyage})["v"]):
        assert copied is not voyage
        assert copied.settings.api_key.get_secret_value() == KEY
    key = voyage.settings.api_key
    assert key is copy.copy(key) is copy.deepcopy(key)


def test_a_client_with_your_own_http_client_is_not_copied() -> None:
    """The message says why."""
    import httpx

    with httpx.Client() as own:
        voyage = Voyage(KEY, http_client=own)
        with pytest.raises(TypeError, match="http_client"):
            pickle.dumps(voyage)


def test_a_worker_process_has_the_same_key() -> None:
    """Ingestion with several workers, as `multiprocessing` starts them anew."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as workers:
        told = workers.submit(methodcaller("get_secret_value"), as_key(KEY)).result(30)

    assert told == KEY


OPEN = """
import pickle, sys
from voyage_rag import ConfigurationError
try:
    opened = pickle.load(sys.stdin.buffer)
    print(opened.settings.api_key.get_secret_value())
except ConfigurationError as error:
    print("refused:", error)
"""


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"VOYAGE_API_KEY": KEY}, KEY),
        ({"VOYAGE_API_KEY": OTHER_KEY}, "refused: "),
        ({}, "refused: "),
    ],
    ids=["the same key", "another key", "no key"],
)
def test_a_stranger_opens_a_pickle_with_the_same_key_only(
    environ: dict[str, str], told: str
) -> None:
    """Another tenant's key is never taken instead; the refusal names the variable to set."""
    pickled = pickle.dumps(Voyage(KEY))
    done = subprocess.run(
        [sys.executable, "-c", OPEN],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environ},
        input=pickled,
        capture_output=True,
        timeout=30,
        check=True,
    )
    answer = done.stdout.decode().strip()

    assert answer.startswith(told)
    if told != KEY:
        assert "VOYAGE_API_KEY" in answer
        assert fingerprint(KEY) in answer
        assert KEY not in answer
        assert OTHER_KEY not in answer


def test_a_damaged_seal_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """One bit, and the key is looked for in the environment."""
    opener, (sealed, expected) = as_key(KEY).__reduce__()
    for position in (0, 20, len(sealed) - 1):
        damaged = bytearray(sealed)
        damaged[position] ^= 1
        monkeypatch.setenv("VOYAGE_API_KEY", KEY)
        assert opener(bytes(damaged), expected) == as_key(KEY)
        monkeypatch.setenv("VOYAGE_API_KEY", OTHER_KEY)
        with pytest.raises(ConfigurationError, match=expected):
            opener(bytes(damaged), expected)


def test_a_key_in_use_is_found_by_its_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    """A serialised object is read back beside one that holds the key; else it is looked for."""
    key = as_key("pa-a-key-used-by-one-object-only")
    expected = key.fingerprint
    assert key is find_same_key(None, expected)

    del key
    with pytest.raises(ConfigurationError, match=expected):
        find_same_key(None, expected)
    assert expected == find_same_key("pa-a-key-used-by-one-object-only", expected).fingerprint
    with pytest.raises(ConfigurationError, match=fingerprint(OTHER_KEY)):
        find_same_key(OTHER_KEY, expected)
