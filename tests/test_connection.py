"""What the four classes of both frameworks share: parameters, keys, copies, serialised forms."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest
from langchain_core.load import dumps
from llama_index.core.schema import NodeWithScore, TextNode
from pydantic import ValidationError

from fakes import HTTPService
from voyage_rag import ConfigurationError, InvalidInputError, Voyage, langchain, llama_index
from voyage_rag.hosts import Host
from voyage_rag.settings import Settings

if TYPE_CHECKING:
    from conftest import Runner

KEY = "pa-a-key-that-must-stay-secret"
OTHER_KEY = "pa-another-key-entirely"
HOST = "https://api.voyageai.com/v1"


class Kind(NamedTuple):
    """One of the classes, and a call of it."""

    of: type
    model: dict[str, str]
    ask: Callable[[Any, Runner], Any]

    def make(self, **options: Any) -> Any:
        return self.of(**self.model, **options)


def _rerank_nodes(one: Any, runner: Runner) -> Any:
    return runner.call(
        one, "postprocess_nodes", [NodeWithScore(node=TextNode(text="a"))], query_str="which?"
    )


KINDS = {
    "langchain-embeddings": Kind(
        langchain.VoyageAIEmbeddings,
        {"model": "voyage-of-tests"},
        lambda one, runner: runner.call(one, "embed_query", "a"),
    ),
    "langchain-rerank": Kind(
        langchain.VoyageAIRerank,
        {"model": "rerank-of-tests"},
        lambda one, runner: runner.call(one, "rerank", ["a"], "which?"),
    ),
    "llama_index-embeddings": Kind(
        llama_index.VoyageEmbedding,
        {"model_name": "voyage-of-tests"},
        lambda one, runner: runner.call(one, "get_query_embedding", "a"),
    ),
    "llama_index-rerank": Kind(
        llama_index.VoyageAIRerank, {"model": "rerank-of-tests"}, _rerank_nodes
    ),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """The test runs for each class."""
    return KINDS[request.param]


def keys_sent(service: HTTPService) -> list[str]:
    return [
        request.headers["authorization"].removeprefix("Bearer ") for request in service.received
    ]


# ── parameters ────────────────────────────────────────────────────────────────────────────────────


def test_our_parameters_reach_the_client(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every setting of the client can be set on every class."""
    monkeypatch.setattr("voyage_rag.client.session.Tokenizer", lambda path: len)
    given = {
        "timeout": 5.0,
        "max_retries": 2,
        "total_timeout": None,
        "query_max_retries": 1,
        "query_total_timeout": 30.0,
        "hedge_after": 0.5,
        "concurrency": 3,
        "requests_per_minute": 100.0,
        "tokens_per_minute": 10_000.0,
        "cache": str(tmp_path / "cache"),
        "cache_max_bytes": 2**20,
        "tokenizer": str(tmp_path / "tokenizer.json"),
        "base_url": "http://a.host.inside/v1",
        "allow_insecure_http": True,
    }
    settings = kind.make(api_key=KEY, **given).voyage.settings
    assert {name: getattr(settings, name) for name in given} == given
    assert given.keys() - {"base_url"} == Settings.model_fields.keys() - {"host"}


@pytest.mark.parametrize("name", KINDS)
def test_the_signature_is_readable(name: str) -> None:
    """`help` and notebooks show it before everything else."""
    shown = str(inspect.signature(KINDS[name].of))

    assert " cache: " in shown
    assert "Annotated[" not in shown
    assert "<function" not in shown


@pytest.mark.parametrize("name", ["langchain-embeddings", "llama_index-embeddings"])
@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        ("rerank-3", {}, "'rerank-3' is a model for rerank, not for embed"),
        ("voyage-4", {"output_dimension": 1_000}, "output_dimension=1000; it supports 256, 512"),
        ("voyage-4", {"output_dimension": 0}, "output_dimension must be a positive integer"),
        ("voyage-law-2", {"output_dtype": "int8"}, "output_dtype='int8'"),
        ("voyage-context-4", {"output_dimension": 3}, "output_dimension=3"),
    ],
)
def test_what_is_known_not_to_work_is_refused_at_construction(
    name: str, model: str, options: dict[str, Any], said: str
) -> None:
    """Instead of at the first use. For unknown models, anything may work."""
    field = next(iter(KINDS[name].model))
    with pytest.raises(InvalidInputError, match=said):
        KINDS[name].of(api_key=KEY, **{field: model}, **options)
    assert KINDS[name].of(api_key=KEY, **{field: "voyage-99"}, output_dimension=1_000)


@pytest.mark.parametrize("name", ["langchain-rerank", "llama_index-rerank"])
def test_an_embedding_model_is_no_reranker(name: str) -> None:
    with pytest.raises(InvalidInputError, match="'voyage-4' is a model for embed, not for rerank"):
        KINDS[name].of(api_key=KEY, model="voyage-4")


@pytest.mark.parametrize(
    ("name", "given", "meant"),
    [
        ("langchain-embeddings", "dimensions", "output_dimension"),
        ("langchain-embeddings", "chunk_size", "batch_size"),
        ("langchain-embeddings", "model_name", "model"),
        ("langchain-rerank", "top_n", "top_k"),
        ("langchain-rerank", "max_retry", "max_retries"),
        ("llama_index-embeddings", "model", "model_name"),
        ("llama_index-embeddings", "batch_size", "embed_batch_size"),
        ("llama_index-embeddings", "dimensions", "output_dimension"),
        ("llama_index-rerank", "request_timeout", "timeout"),
    ],
)
def test_an_unknown_parameter_comes_with_the_one_that_was_meant(
    name: str, given: str, meant: str
) -> None:
    with pytest.raises(
        ValidationError, match=f"unknown parameter {given!r}: did you mean {meant!r}"
    ):
        KINDS[name].make(api_key=KEY, **{given: 3})


@pytest.mark.parametrize("name", ["top_m", "voyage_key", "aclient", "modle"])
def test_an_unknown_parameter_is_refused_by_name(kind: Kind, name: str) -> None:
    """A typing mistake is reported, and the message shows no key."""
    with pytest.raises(ValidationError) as caught:
        kind.make(api_key=KEY, **{name: KEY})
    assert name in str(caught.value)
    assert "unknown parameter" in str(caught.value)
    assert KEY not in str(caught.value)


def test_a_wrong_value_is_refused_without_showing_the_key(kind: Kind) -> None:
    """At construction, by name."""
    with pytest.raises(ValidationError, match="truncation") as caught:
        kind.make(api_key=KEY, truncation="perhaps")
    assert KEY not in str(caught.value)


def test_a_model_is_demanded(kind: Kind) -> None:
    """As by the vendor's classes; the arguments that a ValidationError keeps hide the key."""
    with pytest.raises((ValidationError, TypeError), match="model") as caught:
        kind.of(api_key=KEY)
    assert KEY not in repr(getattr(caught.value, "errors", list)())


@pytest.mark.parametrize("key", ["", "two words", 7])
def test_a_key_that_cannot_be_one_is_refused(kind: Kind, key: Any) -> None:
    """With the message of the client."""
    with pytest.raises(ConfigurationError, match="api_key"):
        kind.make(api_key=key)


def test_without_a_key_it_says_where_it_looked(kind: Kind) -> None:
    """At construction, not at the first call."""
    with pytest.raises(ConfigurationError, match="VOYAGE_API_KEY"):
        kind.make()


def test_a_key_file_is_read(kind: Kind, tmp_path: Path) -> None:
    """Named by argument, as the vendor's own client allows."""
    (tmp_path / "key").write_text(f"{KEY}\n")
    made = kind.make(api_key_path=tmp_path / "key")
    assert made.voyage.settings.api_key.get_secret_value() == KEY


def test_there_is_a_json_schema(kind: Kind) -> None:
    """The key in it is a password, and the client is not part of it."""
    fields = kind.of.model_json_schema()["properties"]
    assert fields["voyage_api_key"]["anyOf"][0]["format"] == "password"
    assert "client" not in fields
    assert "base_url" in fields


# ── a shared client ───────────────────────────────────────────────────────────────────────────────


def test_a_client_can_be_shared(kind: Kind, runner: Runner, http_service: HTTPService) -> None:
    """Its settings are the object's, and its usage is that of all who share it."""
    voyage = Voyage(KEY, base_url=http_service.url, timeout=7)
    one, other = kind.make(client=voyage), kind.make(client=voyage)
    assert one.voyage is other.voyage is voyage
    assert (one.base_url, one.timeout) == (http_service.url, 7)
    kind.ask(one, runner)
    kind.ask(other, runner)
    assert one.usage == other.usage == voyage.usage
    assert voyage.usage.requests == 2


@pytest.mark.parametrize(
    "other", [{"api_key": OTHER_KEY}, {"base_url": "https://other.host/v1"}, {"timeout": 1.0}]
)
def test_a_client_brings_its_own_settings(kind: Kind, other: dict[str, Any]) -> None:
    """A setting beside it that it would not obey is refused, at once or when it is changed."""
    voyage = Voyage(KEY, base_url=HOST)
    with pytest.raises(ConfigurationError, match=next(iter(other))):
        kind.make(client=voyage, **other)
    changed = kind.make(client=voyage).model_copy(update=other)
    with pytest.raises(ConfigurationError, match=next(iter(other))):
        _ = changed.voyage


def test_a_copy_can_have_another_client(kind: Kind) -> None:
    """And then its key and settings."""
    first, second = Voyage(KEY, base_url=HOST), Voyage(OTHER_KEY, base_url=HOST, timeout=3)
    for original in (kind.make(client=first), kind.make(api_key=KEY, base_url=HOST)):
        copied = original.model_copy(update={"client": second})
        assert copied.voyage is second
        assert copied.timeout == 3
        assert copied.api_key_fingerprint == second.settings.api_key.fingerprint


def test_an_object_that_is_no_client_is_refused(kind: Kind) -> None:
    """The vendor's LangChain reranker takes one and overwrites it; here it must be a `Voyage`."""
    with pytest.raises(ValidationError, match="client"):
        kind.make(api_key=KEY, client=object())


# ── keys and copies ───────────────────────────────────────────────────────────────────────────────


def shown(one: Any) -> list[str]:
    """Everything that could end in a log, a file or a trace."""
    forms = [repr(one), str(one), repr(one.model_dump()), one.model_dump_json(), dumps(one)]
    forms += [repr(one.voyage), repr(vars(one)), repr(pickle.dumps(one)), repr(one.__getstate__())]
    if hasattr(one, "to_dict"):
        forms += [repr(one.to_dict()), one.to_json()]
    return forms


def test_nothing_shown_or_stored_holds_the_key(kind: Kind) -> None:
    """However the key came in, and after it was replaced."""
    made = [
        kind.make(api_key=KEY),
        kind.make(voyage_api_key=KEY),
        kind.make(client=Voyage(KEY)),
        kind.make(api_key=OTHER_KEY).model_copy(update={"voyage_api_key": KEY}),
        kind.make(api_key=OTHER_KEY).model_copy(update={"api_key": KEY}),
        kind.make(api_key=OTHER_KEY),
    ]
    made[-1].voyage_api_key = KEY
    for one in made:
        assert one.voyage.settings.api_key.get_secret_value() == KEY
        assert not [text for text in shown(one) if KEY in text]


@pytest.mark.parametrize("name", ["voyage_api_key", "api_key"])
def test_a_copy_uses_its_own_key(
    kind: Kind, name: str, runner: Runner, http_service: HTTPService
) -> None:
    """model_copy with another key never uses the old one, nor changes the original."""
    original = kind.make(api_key=KEY, base_url=http_service.url)
    kind.ask(original, runner)
    kind.ask(original.model_copy(update={name: OTHER_KEY}), runner)
    kind.ask(original, runner)
    assert keys_sent(http_service) == [KEY, OTHER_KEY, KEY]


def test_a_changed_key_or_address_is_used(
    kind: Kind, runner: Runner, http_service: HTTPService
) -> None:
    """By the next call, whether a copy has it or a field was set."""
    made = kind.make(api_key=KEY, base_url="http://127.0.0.1:9/v1", max_retries=0)
    kind.ask(made.model_copy(update={"base_url": http_service.url}), runner)
    made.base_url = http_service.url
    made.voyage_api_key = OTHER_KEY
    kind.ask(made, runner)
    assert keys_sent(http_service) == [KEY, OTHER_KEY]


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda one: one.model_copy(), lambda one: one.model_copy(deep=True)],
    ids=["copy", "deepcopy", "model_copy", "deep model_copy"],
)
def test_a_copy_works(
    kind: Kind,
    copied: Any,
    runner: Runner,
    http_service: HTTPService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the key of the original, whatever the environment says."""
    original = kind.make(api_key=KEY, base_url=http_service.url, timeout=9)
    monkeypatch.setenv("VOYAGE_API_KEY", OTHER_KEY)
    again = copied(original)
    kind.ask(again, runner)
    assert keys_sent(http_service) == [KEY]
    assert again.timeout == 9


@pytest.mark.parametrize("share", [False, True], ids=["own client", "shared client"])
def test_a_pickle_keeps_key_and_settings(
    kind: Kind,
    share: bool,
    runner: Runner,
    http_service: HTTPService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The key of the environment does not replace it."""
    connection = {"api_key": KEY, "base_url": http_service.url, "timeout": 9.0}
    original = kind.make(**{"client": Voyage(**connection)} if share else connection)
    monkeypatch.setenv("VOYAGE_API_KEY", OTHER_KEY)
    again = pickle.loads(pickle.dumps(original))
    kind.ask(again, runner)
    assert keys_sent(http_service) == [KEY]
    assert again.voyage.settings == original.voyage.settings


def test_a_client_that_cannot_be_pickled_says_so(kind: Kind) -> None:
    """Instead of being left behind; the original still works."""
    voyage = Voyage(KEY, base_url=HOST, http_client=httpx.Client())
    made = kind.make(client=voyage)
    with pytest.raises(TypeError, match="own HTTP client cannot be pickled"):
        pickle.dumps(made)
    assert made.voyage is voyage
    voyage.close()


# ── hosts and HTTP clients ────────────────────────────────────────────────────────────────────────


class HostOfTests(Host):
    """A host that is given as an object."""

    name = "the host of tests"


def test_a_host_needs_no_key_and_reaches_every_class(kind: Kind, http_service: HTTPService) -> None:
    """No key is looked for, and copies and pickles use the same host."""
    host = HostOfTests(http_service.url)
    one = kind.make(host=host)

    assert one.voyage_api_key is None
    for copied in (one, copy.copy(one), copy.deepcopy(one), one.model_copy(deep=True),
                   pickle.loads(pickle.dumps(one))):  # fmt: skip
        assert copied.voyage.settings.host == host


def test_a_host_takes_the_place_of_a_key(kind: Kind, http_service: HTTPService) -> None:
    """In a copy, in an assignment, and never beside one."""
    host = HostOfTests(http_service.url)
    one = kind.make(api_key=KEY)
    copied = one.model_copy(update={"host": host})
    assert (copied.voyage.settings.host, copied.voyage_api_key) == (host, None)
    assert one.voyage.settings.api_key.get_secret_value() == KEY

    for beside in ({"api_key": KEY}, {"base_url": http_service.url}):
        with pytest.raises(ConfigurationError, match="combined with host"):
            kind.make(host=host, **beside)
    with pytest.raises(ValidationError, match=r"voyage_rag\.hosts"):
        kind.make(host="https://h.example")


def test_a_client_brings_its_host(kind: Kind, http_service: HTTPService) -> None:
    """As it brings its other settings."""
    host = HostOfTests(http_service.url)
    one = kind.make(client=Voyage(host=host))

    assert one.host == host
    assert one.model_copy().voyage.settings.host == host


def test_a_serialised_object_does_not_forget_its_host(http_service: HTTPService) -> None:
    """Otherwise it would silently use another host."""
    host = HostOfTests(http_service.url)
    stored = llama_index.VoyageEmbedding("m", host=host).to_dict()

    assert llama_index.VoyageEmbedding.from_dict(stored, host=host).host == host
    with pytest.raises(ConfigurationError, match="HostOfTests"):
        llama_index.VoyageEmbedding.from_dict(stored)


def test_a_serialised_object_does_not_forget_its_http_client(kind: Kind) -> None:
    """Otherwise it would silently bypass a proxy, a certificate or an authentication."""

    def stored(one: Any) -> dict[str, Any]:
        values: dict[str, Any] = one.model_dump()
        values.pop("class_name", None)  # as LlamaIndex's from_dict does
        return values

    with httpx.Client() as own:
        shared = Voyage(KEY, http_client=own)
        for one in (
            kind.make(api_key=KEY, http_client=own),
            kind.make(client=shared),
            kind.make(client=shared.with_options(timeout=5)),
            kind.make(api_key=KEY).model_copy(update={"http_client": own}),
        ):
            with pytest.raises(ConfigurationError, match="made with its own HTTP client"):
                kind.of(**stored(one), api_key=KEY)
            again = kind.of(**stored(one), api_key=KEY, http_client=own)
            assert again.http_client is own
            without = again.model_copy(update={"http_client": None})
            assert kind.of(**stored(without), api_key=KEY).http_client is None
        assert kind.of(**stored(kind.make(client=shared)), client=shared).voyage is shared


def test_http_clients_are_fields(kind: Kind, http_service: HTTPService, runner: Runner) -> None:
    """They are used, shared by copies, and refused where they cannot be sent."""
    name = "http_client" if runner.is_sync else "http_async_client"
    own = (httpx.Client if runner.is_sync else httpx.AsyncClient)(
        headers={"x-gateway-token": "t"}, limits=httpx.Limits(max_keepalive_connections=0)
    )
    one = kind.make(api_key=KEY, base_url=http_service.url, **{name: own})
    for copied in (one, copy.deepcopy(one), one.model_copy()):
        kind.ask(copied, runner)
    with pytest.raises(TypeError, match=name):
        pickle.dumps(one)
    with pytest.raises(ConfigurationError, match=name):
        kind.make(client=Voyage(KEY), **{name: own})
    own.close() if runner.is_sync else runner.call(own, "close")

    assert {request.headers["x-gateway-token"] for request in http_service.received} == {"t"}
    wrong = httpx.AsyncClient() if runner.is_sync else httpx.Client()
    with pytest.raises(ConfigurationError, match="http_client"):
        kind.make(api_key=KEY, **{name: wrong})
