"""Hostile arguments: each call gives a result, or a clear error before anything is sent."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document
from llama_index.core.schema import NodeWithScore, TextNode
from pydantic import ValidationError

from fakes import KEY, MODEL, RERANKER, FakeService, embedded, ok, served, vector_of, voyage_over
from fuzz.arguments import arguments
from voyage_rag import ConfigurationError, InvalidInputError, Voyage
from voyage_rag.hosts.messages import Response
from voyage_rag.langchain import VoyageAIEmbeddings, VoyageAIMultimodalEmbeddings
from voyage_rag.langchain import VoyageAIRerank as LangChainRerank
from voyage_rag.llama_index import VoyageAIRerank as LlamaIndexRerank
from voyage_rag.llama_index import VoyageContextualEmbedding, VoyageEmbedding

HALF = "a\ud800b"
FRAMEWORKS_OWN = {"callback_manager", "callbacks", "client", "embeddings_cache"}
NOT_SENT = (InvalidInputError, ConfigurationError, ValidationError)

SCALARS: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats()
    | st.text(max_size=6)
    | st.binary(max_size=6)
    | st.sampled_from(["", " ", "\0", HALF, "query", "document", "float", "zeros", MODEL, RERANKER])
    | st.sampled_from(["voyage-context-4", "voyage-multimodal-3.5", object(), len, int])
)
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=2)
        | st.lists(inner, max_size=2).map(iter)
    ),
    max_leaves=6,
)

VERBS: dict[str, dict[str, Any]] = {
    "embed": {"texts": ["a", "b"], "model": MODEL},
    "embed_iter": {"texts": ["a", "b"], "model": MODEL},
    "contextualized_embed": {"inputs": [["a"], ["b"]], "model": "voyage-context-4"},
    "embed_chunks": {
        "chunks": ["a", "b"],
        "documents": [0, 1],
        "model": "voyage-context-4",
    },
    "multimodal_embed": {"inputs": [["a"]], "model": "voyage-multimodal-3.5"},
    "rerank": {"query": "q", "documents": ["a", "b"], "model": RERANKER},
}
"""A valid call of every method."""

OBJECTS: dict[type, dict[str, Any]] = {
    VoyageAIEmbeddings: {"model": MODEL},
    VoyageAIMultimodalEmbeddings: {},
    LangChainRerank: {"model": RERANKER},
    VoyageEmbedding: {"model_name": MODEL},
    VoyageContextualEmbedding: {},
    LlamaIndexRerank: {"model": RERANKER},
}


PARAMETERS = [
    (verb, name)
    for verb in VERBS
    for name in inspect.signature(getattr(Voyage, verb)).parameters
    if name not in {"self", "show_progress_bar"}
]
"""Every parameter of every method."""


def anything_goes(body: bytes) -> Response:
    """A response to texts; no other call is expected to get a response."""
    try:
        return served(body)
    except (KeyError, TypeError):
        return ok(embedded([vector_of("a")]))


def refused_or_sent(call: Callable[[Voyage], Any]) -> None:
    """A call that is not sent raises one of our errors; nothing else may happen."""
    service = FakeService(always=anything_goes)
    voyage = voyage_over(service, max_retries=0)
    try:
        call(voyage)
    except NOT_SENT as error:
        refusal = str(error)
    except Exception:
        if not service.attempts:  # what was sent may be answered as it likes: see the other tests
            raise
        return
    else:
        return
    assert service.attempts == []
    assert len(refusal) > 10


@pytest.mark.filterwarnings("ignore:no model given")
@pytest.mark.parametrize(("verb", "name"), PARAMETERS)
@settings(max_examples=12)
@given(value=ANYTHING)
def test_any_argument_is_refused_before_it_is_sent_or_works(
    verb: str, name: str, value: Any
) -> None:
    """One at a time, for every method, with otherwise valid arguments."""
    assume(not (name == "chunk_fn" and value is int))  # its own error for "a" is the caller's

    def call(voyage: Voyage) -> Any:
        found = getattr(voyage, verb)(**{**VERBS[verb], name: value})
        return list(found) if verb == "embed_iter" else found

    refused_or_sent(call)


@pytest.mark.parametrize("kind", OBJECTS, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
@settings(max_examples=60)
@given(data=st.data())
def test_any_field_of_an_object_is_refused_or_works(kind: type, data: st.DataObject) -> None:
    """Of every class of both frameworks: an error when it is made, or an object."""
    fields = sorted({*kind.model_fields, "api_key"} - FRAMEWORKS_OWN)
    name, value = data.draw(st.sampled_from(fields)), data.draw(ANYTHING)
    given_fields = {"voyage_api_key": KEY, **OBJECTS[kind], name: value}
    if name == "api_key":
        del given_fields["voyage_api_key"]
    if name == "cache" and isinstance(value, str):
        return  # makes a file of that name
    try:
        shown = repr(kind(**given_fields).voyage.settings)
    except NOT_SENT as error:
        shown = str(error)
    assert KEY not in shown


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=300)
@given(data=st.binary(min_size=16, max_size=64))
def test_any_object_in_any_parameter_is_refused_or_works(data: bytes) -> None:
    """A few of the calls that `make fuzz` makes by the hundred thousand."""
    arguments(data)


NO_NODES = [5, "text", [TextNode(text="a"), "b"], {"a": TextNode(text="a")}, [Document("a")]]


@pytest.mark.parametrize("bad", NO_NODES, ids=["int", "str", "mixed", "dict", "documents"])
def test_what_are_no_nodes_or_documents_is_refused_by_name(bad: Any) -> None:
    """Of the methods that take a framework's own objects."""
    no_documents = [TextNode(text="a")] if isinstance(bad, list) else bad
    for call in (
        lambda voyage: VoyageEmbedding(MODEL, client=voyage)(bad),
        lambda voyage: VoyageEmbedding("voyage-context-4", client=voyage)(bad),
        lambda voyage: LlamaIndexRerank(RERANKER, client=voyage).postprocess_nodes(
            bad, query_str="q"
        ),
        lambda voyage: LangChainRerank(RERANKER, client=voyage).compress_documents(
            no_documents, "q"
        ),
        lambda voyage: VoyageAIEmbeddings("voyage-context-4", client=voyage).for_documents(
            no_documents
        ),
    ):
        service = FakeService()
        with pytest.raises(InvalidInputError, match=r"(nodes|documents)(\[\d\])? must be"):
            call(voyage_over(service))
        assert service.attempts == []


@pytest.mark.parametrize("by", [5, ["source"], None])
def test_documents_are_grouped_by_a_field_or_a_function(by: Any) -> None:
    embeddings = VoyageAIEmbeddings("voyage-context-4", client=Voyage(KEY))
    with pytest.raises(InvalidInputError, match="by must be the name of a metadata field"):
        embeddings.for_documents([Document("a", metadata={"source": "x"})], by)


def test_a_name_that_holds_a_list_cannot_identify_a_document() -> None:
    with pytest.raises(InvalidInputError, match="cannot identify a document"):
        Voyage(KEY).embed_chunks(["a"], [("x", ["y"])], "voyage-context-4")


def test_an_array_is_compared_with_nothing() -> None:
    """Numpy's comparisons give arrays, which are neither true nor false."""
    pair = np.array(["query", "document"])
    for name in ("model", "input_type", "output_dtype", "empty_text", "truncation", "batch_size"):
        with pytest.raises(InvalidInputError, match=f"^{name} must be"):
            voyage_over(FakeService()).embed(["a"], **{"model": MODEL, name: pair})


def test_a_message_shows_the_beginning_of_a_long_value() -> None:
    with pytest.raises(InvalidInputError) as caught:
        voyage_over(FakeService()).embed(["a"], MODEL, batch_size=["x" * 100_000] * 10)
    assert len(str(caught.value)) < 500


BAD_INPUTS = [None, 5, b"bytes", [None], [b"bytes"], [HALF], [["a"]], [{}], {"a": 1}, Ellipsis]


@pytest.mark.parametrize("bad", BAD_INPUTS, ids=repr)
def test_any_input_of_a_method_is_refused_before_it_is_sent(bad: Any) -> None:
    """Of the methods that frameworks call with texts, as `Voyage` refuses them."""
    for call in (
        lambda voyage: VoyageAIEmbeddings(model=MODEL, client=voyage).embed_documents(bad),
        lambda voyage: VoyageAIEmbeddings(model=MODEL, client=voyage).embed_query(bad),
        lambda voyage: VoyageAIEmbeddings(model="voyage-context-4", client=voyage).embed_documents(
            bad
        ),
        lambda voyage: VoyageAIMultimodalEmbeddings(client=voyage).embed_documents(bad),
        lambda voyage: LangChainRerank(model=RERANKER, client=voyage).compress_documents(
            [Document("a")], bad
        ),
    ):
        refused_or_sent(call)


@pytest.mark.parametrize("text", [HALF, "\ud83d", "\udc00 at the start"])
def test_half_a_character_is_refused_by_its_place(text: str) -> None:
    """In any text of any method and both frameworks; the error names text and position."""
    node = NodeWithScore(node=TextNode(text="a"))
    for call in (
        lambda voyage: voyage.embed(["a", text], MODEL),
        lambda voyage: list(voyage.embed_iter(["a", text], MODEL)),
        lambda voyage: voyage.rerank(text, ["a"], RERANKER),
        lambda voyage: voyage.rerank("q", ["a", text], RERANKER),
        lambda voyage: voyage.contextualized_embed([["a", text]], "voyage-context-4"),
        lambda voyage: voyage.multimodal_embed([[text]], "voyage-multimodal-3.5"),
        lambda voyage: VoyageAIEmbeddings(model=MODEL, client=voyage).embed_documents([text]),
        lambda voyage: VoyageEmbedding(MODEL, client=voyage).get_text_embedding(text),
        lambda voyage: LlamaIndexRerank(RERANKER, client=voyage).postprocess_nodes(
            [node], query_str=text
        ),
    ):
        service = FakeService()
        with pytest.raises(InvalidInputError, match="lone surrogate"):
            call(voyage_over(service))
        assert service.attempts == []


@pytest.mark.parametrize(
    "text",
    [
        "\0",
        "a\0b",
        "\u202eright to left\u202c",
        "مرحبا بالعالم",
        "\ufeff",
        "👩\u200d👩\u200d👧",
        "e\u0301" * 50,
        "\r\n\t\u2028",
    ],
)
def test_any_whole_text_arrives_as_it_is(runner, text: str) -> None:
    """NUL, right-to-left text, combining marks, joiners: sent and returned unchanged."""
    service = FakeService()
    found = runner.call(voyage_over(service), "embed", [text, "a"], MODEL)

    assert service.bodies[0]["input"] == [text, "a"]
    assert found.embeddings == [vector_of(text), vector_of("a")]


def test_a_text_of_ten_megabytes_goes_alone() -> None:
    """It does not affect other texts, and keeps its position."""
    long, service = "é" * 5_000_000, FakeService()
    found = voyage_over(service).embed(["a", long, "b"], MODEL)

    assert found.embeddings == [vector_of("a"), vector_of(long), vector_of("b")]
    assert [body["input"] for body in service.bodies if long in body["input"]] == [[long]]


def test_a_million_short_texts_are_sent_as_they_are_read() -> None:
    """The first requests are sent long before the last text is read."""
    taken = 0

    def texts() -> Iterator[str]:
        nonlocal taken
        for number in range(10**6):
            taken += 1
            yield str(number)

    service = FakeService()
    vectors = voyage_over(service).embed_iter(texts(), MODEL)
    assert [next(vectors).tolist() for _ in range(3)] == [vector_of(str(n)) for n in range(3)]
    vectors.close()
    assert taken < 200_000
