"""Queries with another model than documents, and the properties of embedding classes."""

from __future__ import annotations

import json
import pickle
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from fakes import HTTPService, embedded, ok
from voyage_rag import ConfigurationError, InvalidInputError, ServerError, Voyage
from voyage_rag.client import notices
from voyage_rag.emulator import Emulator
from voyage_rag.emulator.faults import status
from voyage_rag.hosts.messages import Response
from voyage_rag.langchain import VoyageAIEmbeddings, VoyageAIMultimodalEmbeddings
from voyage_rag.llama_index import VoyageEmbedding

if TYPE_CHECKING:
    from conftest import Runner

KEY = "pa-a-key-that-must-stay-secret"


def langchain(model: str, **options: Any) -> Any:
    return VoyageAIEmbeddings(model=model, api_key=KEY, **options)


def llama_index(model: str, **options: Any) -> Any:
    return VoyageEmbedding(model, KEY, **options)


MAKERS = [langchain, llama_index]
both = pytest.mark.parametrize("make", MAKERS)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    emulator = Emulator()
    with emulator:
        yield emulator


async def embed(one: Any, runner: Runner) -> None:
    """A document, and a query."""
    if isinstance(one, VoyageEmbedding):
        await runner.ask(one, "get_text_embedding", "a document")
        await runner.ask(one, "get_query_embedding", "a query")
    else:
        await runner.ask(one, "embed_documents", ["a document"])
        await runner.ask(one, "embed_query", "a query")
    await runner.ask(one.voyage, "close")


@both
def test_queries_go_to_their_own_model(make: Any, emulator: Emulator, runner: Runner) -> None:
    one = make("voyage-4-large", query_model="voyage-4-lite", base_url=emulator.url)
    runner.run(lambda: embed(one, runner))
    one.voyage.close()
    assert [(r.body["model"], r.body["input_type"]) for r in emulator.requests] == [
        ("voyage-4-large", "document"),
        ("voyage-4-lite", "query"),
    ]


@both
def test_queries_may_go_to_another_host(make: Any, emulator: Emulator, runner: Runner) -> None:
    other = Emulator()
    with other as url:
        client = Voyage(KEY, base_url=url)
        one = make(
            "voyage-4", query_model="voyage-4-lite", query_client=client, base_url=emulator.url
        )

        async def program() -> None:
            await embed(one, runner)
            await runner.ask(client, "close")

        runner.run(program)
        client.close()
    one.voyage.close()
    assert [r.body["model"] for r in emulator.requests] == ["voyage-4"]
    assert [r.body["model"] for r in other.requests] == ["voyage-4-lite"]


@both
@pytest.mark.parametrize(
    ("model", "query_model", "said"),
    [
        ("voyage-4", "voyage-3.5", "embeds in the space 'voyage-3.5', and 'voyage-4' in the space"),
        ("voyage-3-large", "voyage-3.5", "queries would find nothing"),
        ("voyage-context-4", "voyage-4", "queries would find nothing"),
        ("voyage-4", "voyage-of-tests", "an unknown space"),
        ("voyage-4", "rerank-3", "an unknown space"),
    ],
)
def test_another_space_is_refused_by_name(
    make: Any, model: str, query_model: str, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        make(model, query_model=query_model)


@both
def test_the_same_model_is_no_other_space(make: Any) -> None:
    assert make("voyage-of-tests", query_model="voyage-of-tests").query_model


@both
def test_a_query_client_that_is_no_client_is_refused(make: Any) -> None:
    with pytest.raises(ValueError, match="query_client"):
        make("voyage-4", query_client=object())


@both
@pytest.mark.parametrize(
    ("model", "options", "length", "space"),
    [
        ("voyage-4", {}, 1_024, "voyage-4"),
        ("voyage-4-lite", {"output_dimension": 256}, 256, "voyage-4"),
        ("voyage-4", {"output_dtype": "int8"}, 1_024, "voyage-4"),
        ("voyage-4", {"output_dtype": "binary"}, 128, "voyage-4"),
        ("voyage-code-2", {}, 1_536, "voyage-code-2"),
        ("voyage-of-tests", {}, None, None),
        ("voyage-of-tests", {"output_dimension": 64}, 64, None),
    ],
)
def test_a_class_knows_length_and_space_of_its_vectors(
    make: Any, model: str, options: Any, length: int | None, space: str | None
) -> None:
    one = make(model, **options)
    assert (one.dimensions, one.space) == (length, space)


@both
def test_packed_bits_cause_a_warning(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Once. Most stores compare the packed numbers, and find the wrong documents."""
    notices.REPORTED.clear()
    for _ in range(2):
        make("voyage-4", output_dtype="ubinary")
    make("voyage-4", output_dtype="int8")
    [record] = caplog.records
    assert "output_dtype='ubinary' packs eight dimensions" in record.getMessage()


def test_integers_are_for_stores_that_compare_bits(caplog: pytest.LogCaptureFixture) -> None:
    notices.REPORTED.clear()
    langchain("voyage-4", output_dtype="ubinary", integers=True)
    assert caplog.records == []


@both
def test_the_namespace_of_a_cache_changes_with_the_vectors_and_with_nothing_else(make: Any) -> None:
    prompt = "document_input_type" if make is langchain else "text_input_type"
    plain = make("voyage-4").cache_namespace
    others = [
        make(model, **options).cache_namespace
        for model, options in [
            ("voyage-4-lite", {}),
            ("voyage-4", {"output_dimension": 512}),
            ("voyage-4", {"output_dtype": "int8"}),
            ("voyage-4", {prompt: None}),
            ("voyage-4", {"truncation": False}),
            ("voyage-4", {"base_url": "http://localhost:8080/v1"}),
        ]
    ]
    assert len({plain, *others}) == len(others) + 1
    same = make("voyage-4", output_dimension=1_024, timeout=3, query_model="voyage-4-lite")
    assert same.cache_namespace == plain
    assert re.fullmatch(r"[a-zA-Z0-9_.\-/]+", plain)  # the keys of LangChain's LocalFileStore


def test_images_have_lengths_too() -> None:
    one = VoyageAIMultimodalEmbeddings(api_key=KEY)
    assert (one.dimensions, one.space) == (1_024, "voyage-multimodal-3.5")


# ── cache ─────────────────────────────────────────────────────────────────────────────────────────


async def ask(one: Any, query: str, runner: Runner) -> list[float]:
    verb = "get_query_embedding" if isinstance(one, VoyageEmbedding) else "embed_query"
    found: list[float] = await runner.ask(one, verb, query)
    return found


@both
def test_the_last_queries_are_asked_once(make: Any, emulator: Emulator, runner: Runner) -> None:
    one = make("voyage-4", query_cache=2, base_url=emulator.url, output_dimension=256)

    async def program() -> None:
        first = await ask(one, "a", runner)
        first.append(7.0)  # a list of the caller's
        assert len(await ask(one, "a", runner)) == 256
        await ask(one, "b", runner)
        await ask(one, "a", runner)  # "b" is the oldest now
        await ask(one, "c", runner)
        await ask(one, "a", runner)
        await ask(one, "b", runner)
        await runner.ask(one.voyage, "close")

    runner.run(program)
    one.voyage.close()
    assert [request.body["input"] for request in emulator.requests] == [["a"], ["b"], ["c"], ["b"]]


@both
def test_queries_of_other_options_are_others(make: Any, emulator: Emulator) -> None:
    one = make("voyage-4", query_cache=9, base_url=emulator.url)
    verb = "embed_query" if make is langchain else "get_query_embedding"
    getattr(one, verb)("a")
    one.query_input_type = None
    getattr(one, verb)("a")
    one.output_dimension = 256
    assert len(getattr(one, verb)("a")) == 256
    one.output_dimension, one.query_input_type = None, "query"
    getattr(one, verb)("a")
    one.voyage.close()
    assert len(emulator.requests) == 3


def answered(body: bytes) -> Response:
    """A vector of 256 numbers for each text."""
    return ok(embedded([[float(len(text))] * 256 for text in json.loads(body)["input"]]))


@both
def test_equal_queries_at_one_time_share_a_request(make: Any, http_service: HTTPService) -> None:
    """Across threads. No caller receives a list that another one changes."""
    asking = threading.Barrier(10)
    one = make("voyage-4", query_cache=9, base_url=http_service.url, output_dimension=256)
    verb = getattr(one, "embed_query" if make is langchain else "get_query_embedding")

    def answer(body: bytes) -> Response:
        assert http_service.release.wait(20)
        return answered(body)

    def ask(_: int) -> list[float]:
        asking.wait(20)
        found: list[float] = verb("the same")
        return found

    http_service.always = answer
    with ThreadPoolExecutor(10) as pool:
        answers = pool.map(ask, range(10))
        http_service.wait_for(1)
        http_service.release.set()
        found = list(answers)
    one.voyage.close()
    assert len(http_service.received) == 1
    assert len({id(vector) for vector in found}) == 10
    assert all(vector == found[0] for vector in found)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancelled_query_leaves_the_others_their_vector(
    backend: str, http_service: HTTPService
) -> None:
    """The first one is cancelled in flight while others wait for it: one of them sends it again."""
    one = langchain("voyage-4", query_cache=9, base_url=http_service.url, output_dimension=256)
    http_service.script = [http_service.hang]
    http_service.always = answered
    found: list[Any] = []

    async def ask() -> None:
        found.append(await one.aembed_query("the same"))

    async def program() -> None:
        async with anyio.create_task_group() as tasks, anyio.create_task_group() as first:
            first.start_soon(ask)
            await anyio.to_thread.run_sync(http_service.wait_for, 1)
            for _ in range(3):
                tasks.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            assert not found
            first.cancel_scope.cancel()
        await one.voyage.aclose()

    anyio.run(program, backend=backend)
    one.voyage.close()
    assert len(found) == 3
    assert len({tuple(vector) for vector in found}) == 1
    assert len(http_service.received) == 2


@both
def test_a_failed_query_is_not_remembered(make: Any) -> None:
    service = Emulator(faults=[status(500)])
    with service as url:
        one = make("voyage-4", query_cache=9, base_url=url, max_retries=0)
        verb = getattr(one, "embed_query" if make is langchain else "get_query_embedding")
        with pytest.raises(ServerError):
            verb("a")
        assert verb("a")
        one.voyage.close()


@both
def test_copies_and_pickles_have_a_cache_of_their_own(make: Any, emulator: Emulator) -> None:
    one = make("voyage-4", query_cache=9, base_url=emulator.url)
    verb = "embed_query" if make is langchain else "get_query_embedding"
    getattr(one, verb)("a")
    again = pickle.loads(pickle.dumps(one))
    getattr(again, verb)("a")
    assert len(emulator.requests) == 2
    one.voyage.close()
    again.voyage.close()
    with pytest.raises(ValueError, match="query_cache"):
        make("voyage-4", query_cache=-1)


@both
def test_a_copy_keeps_the_model_of_queries(make: Any) -> None:
    one = make("voyage-4-large", query_model="voyage-4-lite")
    assert pickle.loads(pickle.dumps(one)).query_model == "voyage-4-lite"
    assert one.model_copy(update={"timeout": 3.0}).query_model == "voyage-4-lite"


# ── texts, and copies with other options ──────────────────────────────────────────────────────────


@both
def test_half_a_character_is_refused_or_replaced(make: Any, emulator: Emulator) -> None:
    verb = "embed_query" if make is langchain else "get_query_embedding"
    strict = make("voyage-4", base_url=emulator.url)
    with pytest.raises(InvalidInputError):
        getattr(strict, verb)("half \ud83d")
    lenient = make("voyage-4", base_url=emulator.url, invalid_text="replace", empty_text="space")
    assert len(getattr(lenient, verb)("half \ud83d")) == 1_024
    assert len(getattr(lenient, verb)("")) == 1_024
    lenient.voyage.close()
    strict.voyage.close()


@both
@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("", "query is empty: pass the question"),
        (None, "query must be a string, not NoneType"),
        ({"input": "csv"}, "query must be a string, not dict: pass its value under 'input'"),
        ("half \ud83d", "query contains a lone surrogate"),
    ],
)
def test_an_error_names_the_query(
    make: Any, emulator: Emulator, runner: Runner, query: Any, error: str
) -> None:
    """The caller passed no `texts[0]`, and cannot leave the query out."""
    verb = "embed_query" if make is langchain else "get_query_embedding"
    strict = make("voyage-4", base_url=emulator.url)
    with pytest.raises(InvalidInputError, match=re.escape(error)) as caught:
        runner.call(strict, verb, query)

    assert caught.value.indices == ()
    assert not emulator.requests
    strict.voyage.close()


@both
@pytest.mark.parametrize("shares", [False, True], ids=["own client", "given client"])
def test_a_copy_with_other_options_shares_the_connections(
    make: Any, emulator: Emulator, shares: bool
) -> None:
    verb = "embed_query" if make is langchain else "get_query_embedding"
    given = {"client": Voyage(KEY, base_url=emulator.url)} if shares else {"base_url": emulator.url}
    one = (
        VoyageAIEmbeddings(model="voyage-4", **({} if shares else {"api_key": KEY}), **given)
        if make is langchain
        else VoyageEmbedding("voyage-4", None if shares else KEY, **given)
    )
    other = one.with_options(timeout=5.0, query_max_retries=0, output_dimension=256)
    assert (other.timeout, other.voyage.settings.timeout) == (5.0, 5.0)
    assert other.voyage.driver.sender is one.voyage.driver.sender
    assert len(getattr(other, verb)("a")) == 256
    assert len(getattr(one, verb)("a")) == 1_024
    assert one.voyage.settings.timeout != 5.0
    assert other.with_options(truncation=False).voyage is other.voyage
    one.voyage.close()


@both
@pytest.mark.parametrize(
    "options", [{"base_url": "http://localhost/v1"}, {"api_key": KEY}, {"x": 1}]
)
def test_what_copies_share_or_nobody_knows_is_refused(make: Any, options: Any) -> None:
    with pytest.raises(ConfigurationError):
        make("voyage-4").with_options(**options)
    with pytest.raises(InvalidInputError):
        make("voyage-4").with_options(output_dimension=7)
