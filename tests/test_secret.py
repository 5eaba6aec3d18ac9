"""A key is never shown, and works in copies, pickles and workers."""

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
from multiprocessing.reduction import ForkingPickler
from operator import attrgetter, methodcaller
from pathlib import Path
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


def test_a_key_is_shown_nowhere() -> None:
    """In no text or dump of the key or of an object that contains it."""
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
    """Even if the key is in the wrong field of settings."""
    with pytest.raises((ValidationError, ConfigurationError)) as caught:
        make()
    assert KEY not in "".join(traceback.format_exception(caught.value))


def test_no_log_and_no_error_shows_the_key(
    runner, http_service: HTTPService, caplog: pytest.LogCaptureFixture
) -> None:
    """At DEBUG; nor the traceback of an error, nor its attributes."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="voyage_rag")
    http_service.script = [failed(401), failed(503, retry_after="0")]
    voyage = Voyage(KEY, base_url=http_service.url, max_retries=1)

    with pytest.raises(VoyageError) as caught:
        runner.call(voyage, "embed", ["a"], MODEL)
    runner.call(voyage, "embed", ["a"], MODEL)

    assert "voyage_rag" in {record.name.split(".")[0] for record in caplog.records}
    reported = [record.getMessage() + repr(record.args) for record in caplog.records]
    reported += [*traceback.format_exception(caught.value), repr(vars(caught.value))]
    assert not [text for text in reported if KEY in text]


def test_keys_are_equal_by_their_text_and_hash_alike() -> None:
    """So that clients can be kept by key."""
    assert as_key(KEY) == as_key(f" {KEY}\n") == as_key(SecretStr(KEY))
    assert as_key(KEY) != as_key(OTHER_KEY)
    assert hash(as_key(KEY)) == hash(as_key(KEY))


def test_a_fingerprint_distinguishes_keys_and_does_not_reveal_them() -> None:
    """Twelve hex digits, the same for the same key."""
    assert fingerprint(KEY) == as_key(KEY).fingerprint != fingerprint(OTHER_KEY)
    assert len(fingerprint(KEY)) == 12
    assert set(fingerprint(KEY)) <= set("0123456789abcdef")


# ── copies ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_hides_the_key_and_opens_in_this_process(protocol: int) -> None:
    """Client, settings, key: no key in the pickle, the same key afterwards."""
    voyage = Voyage(KEY, timeout=7.0, base_url="https://h.example/v1", concurrency=3)

    for original in (voyage, voyage.settings, voyage.settings.api_key):
        assert KEY.encode() not in pickle.dumps(original, protocol)
    opened = pickle.loads(pickle.dumps(voyage, protocol))
    assert voyage.settings == opened.settings
    assert opened.settings.api_key.get_secret_value() == KEY


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
        with pytest.raises(TypeError, match="own HTTP client"):
            pickle.dumps(voyage)


METHODS = [
    m for m in ("fork", "spawn", "forkserver") if m in multiprocessing.get_all_start_methods()
]


@pytest.mark.parametrize("method", METHODS)
def test_a_worker_process_has_the_same_key(method: str) -> None:
    """With every start method of `multiprocessing`, as an argument of a task or initialiser."""
    context = multiprocessing.get_context(method)
    voyage, ask = Voyage(KEY), methodcaller("__reduce__")
    reported = []
    with ProcessPoolExecutor(1, mp_context=context, initializer=ask, initargs=(voyage,)) as workers:
        reported.append(workers.submit(READ_KEY, voyage).result(60))
    with context.Pool(1, initializer=ask, initargs=(voyage,)) as pool:
        reported.append(pool.apply(READ_KEY, (voyage,)))

    assert reported == [KEY, KEY]


READ_KEY = attrgetter("settings.api_key._secret_value")


def test_only_what_multiprocessing_serialises_holds_the_key() -> None:
    """A pickle may end on a disk; what a worker is sent does not."""
    voyage = Voyage(KEY)

    assert KEY.encode() in bytes(ForkingPickler.dumps(voyage))
    assert KEY.encode() not in pickle.dumps(voyage)
    assert KEY.encode() not in pickle.dumps(pickle.dumps([voyage]))


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
    ("environ", "reported"),
    [
        ({"VOYAGE_API_KEY": KEY}, KEY),
        ({"VOYAGE_API_KEY": OTHER_KEY}, "refused: "),
        ({}, "refused: "),
    ],
    ids=["the same key", "another key", "no key"],
)
def test_another_process_loads_a_pickle_with_the_same_key_only(
    environ: dict[str, str], reported: str
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

    assert answer.startswith(reported)
    if reported != KEY:
        assert "VOYAGE_API_KEY" in answer
        assert fingerprint(KEY) in answer
        assert KEY not in answer
        assert OTHER_KEY not in answer


def test_a_key_in_use_is_found_by_its_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loaded object uses the key of an existing object, or looks it up."""
    text = "pa-a-key-used-by-one-object-only"
    key = as_key(text)
    expected = key.fingerprint
    assert key is find_same_key(expected)

    del key
    with pytest.raises(ConfigurationError, match=expected):
        find_same_key(expected)
    monkeypatch.setenv("VOYAGE_API_KEY", text)
    assert expected == find_same_key(expected).fingerprint
    monkeypatch.setenv("VOYAGE_API_KEY", OTHER_KEY)
    with pytest.raises(ConfigurationError, match=fingerprint(OTHER_KEY)):
        find_same_key(expected)


# ── mistakes ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("key", "cause"),
    [
        ('"pa-abcdef123456"', "quotes"),
        ("'pa-abcdef123456", "quotes"),
        ("VOYAGE_API_KEY=pa-abcdef123456", "variable's name"),
        ("export VOYAGE_API_KEY=pa-abcdef123456", "variable's name"),
        ("Bearer pa-abcdef123456", "scheme"),
        ("Authorization: Bearer pa-abcdef123456", "scheme"),
        ("<your-key>", "placeholder"),
        ("your_voyage_api_key", "placeholder"),
        ("pa-your-api-key", "placeholder"),
        ("YOUR_VOYAGE_API_KEY", "placeholder"),
        ("$VOYAGE_API_KEY", "placeholder"),
        ("%VOYAGE_API_KEY%", "placeholder"),
        ("{{ voyage_key }}", "placeholder"),
        ("None", "placeholder"),
        ("pa-...", "placeholder"),
        ("**********", "placeholder"),
        ("pa-abc def", "space"),
        ("pa-\u00e9", "non-ASCII"),
        ("", "empty"),
    ],
)
@pytest.mark.parametrize("given", ["argument", "variable", "file"])
def test_an_implausible_key_is_refused_with_the_likely_cause(
    key: str, cause: str, given: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Wherever it comes from, and no traceback with local variables shows it."""
    path = tmp_path / "key"
    path.write_text(key, "utf-8")
    monkeypatch.setenv("VOYAGE_API_KEY", key)
    arguments = {"argument": {"api_key": key}, "variable": {}, "file": {"api_key_path": path}}
    with pytest.raises(ConfigurationError) as caught:
        Voyage(**arguments[given])

    assert (cause if key or given != "variable" else "no Voyage API key") in caught.value.message
    source = {"argument": "api_key", "variable": "VOYAGE_API_KEY", "file": repr(str(path))}
    assert source[given] in caught.value.message
    trace = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in trace.stack if "voyage_rag" in frame.filename]
    if len(key) > 12:
        assert key not in repr([(frame.line, frame.locals) for frame in ours])


@pytest.mark.parametrize("key", ["sk-proj-abcdefghijkl", "hf_abcdefghijkl", "AIzaSyabcdefghijkl"])
def test_a_key_of_another_service_is_refused_at_voyages_hosts_only(key: str) -> None:
    """A gateway or a server of your own may give out such keys."""
    with pytest.raises(ConfigurationError, match="not for Voyage"):
        Voyage(key)

    assert Voyage(key, base_url="https://gateway.example/v1").settings.api_key == as_key(key)


def test_a_key_is_hidden_before_anything_can_fail(adapter: type, arguments: dict[str, Any]) -> None:
    """Tracebacks with local variables, as rich and Sentry show them, of calls that cannot work."""
    with pytest.raises((ConfigurationError, ValidationError)) as caught:
        adapter(**arguments)

    trace = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in trace.stack if f"src{os.sep}voyage_rag" in frame.filename]
    assert ours
    assert KEY not in repr([frame.locals for frame in ours])


@pytest.fixture(params=["client", "langchain", "langchain-rerank", "llama_index", "li-rerank"])
def adapter(request: pytest.FixtureRequest) -> Any:
    """Each class that takes a key."""
    from voyage_rag import langchain, llama_index

    classes = {
        "client": Voyage,
        "langchain": partial(langchain.VoyageAIEmbeddings, model="voyage-4"),
        "langchain-rerank": partial(langchain.VoyageAIRerank, model="rerank-3"),
        "llama_index": partial(llama_index.VoyageEmbedding, "voyage-4"),
        "li-rerank": partial(llama_index.VoyageAIRerank, "rerank-3"),
    }
    return classes[request.param]


@pytest.fixture(
    params=[{"timeout": -1}, {"base_url": "no address"}, {"base_url": "https://h.example/a b"}]
)
def arguments(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A key, and an invalid argument."""
    return {"api_key": KEY, **request.param}
