"""Arguments are checked before anything is sent; a refusal names the argument and the remedy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.messages import HumanMessage
from langchain_core.prompt_values import StringPromptValue
from llama_index.core.schema import QueryBundle, TextNode

from fakes import MODEL, FakeService, vector_of, voyage_over
from voyage_rag import Voyage
from voyage_rag.core.validation import check_model, names_of
from voyage_rag.errors import InvalidInputError
from voyage_rag.langchain.chunks import group
from voyage_rag.models import MODELS

EMBED: dict[str, Any] = {"texts": ["a"], "model": "voyage-4"}
RERANK: dict[str, Any] = {"query": "q", "documents": ["a"], "model": "rerank-3"}

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("embed", {"texts": None}, "texts must be a list of strings, not NoneType"),
    ("embed", {"texts": 7}, "texts must be a list of strings, not int"),
    ("embed", {"texts": b"bytes"}, "texts must be a list of strings, not bytes"),
    ("embed", {"texts": bytearray(b"x")}, "texts must be a list of strings, not bytearray"),
    ("embed", {"texts": {"a": 1}}, "texts must be a list of strings, not dict"),
    ("embed", {"texts": ["a", None]}, "texts[1] must be a string, not NoneType"),
    ("embed", {"texts": ["a", b"b"]}, "texts[1] must be a string, not bytes"),
    ("embed", {"texts": [["a"]]}, "texts[0] must be a string, not list"),
    ("embed", {"texts": ["a", "b\ud83d"]}, "texts[1] contains a lone surrogate"),
    ("embed", {"texts": ["a", ""]}, "empty_text='space'"),
    ("embed", {"model": 7}, "model must be the name of a model, not 7"),
    ("embed", {"model": "  "}, "model must be the name of a model"),
    ("embed", {"model": "rerank-3"}, "'rerank-3' is a model for rerank, not for embed"),
    ("embed", {"input_type": "passage"}, "input_type must be one of 'query', 'document', None"),
    ("embed", {"input_type": ""}, "input_type must be one of"),
    ("embed", {"input_type": "search_query"}, "did you mean 'query'?"),
    ("embed", {"input_type": "Document"}, "did you mean 'document'?"),
    ("embed", {"input_type": "doc"}, "did you mean 'document'?"),
    ("embed", {"input_type": "passage"}, "did you mean 'document'?"),
    ("embed", {"output_dtype": "UBinary"}, "did you mean 'ubinary'?"),
    ("embed", {"truncation": None}, "truncation must be True or False, not None"),
    ("embed", {"truncation": 1}, "truncation must be True or False, not 1"),
    ("embed", {"truncation": "yes"}, "truncation must be True or False, not 'yes'"),
    ("embed", {"output_dtype": "float32"}, "output_dtype must be one of 'float', 'int8'"),
    ("embed", {"output_dtype": 8}, "output_dtype must be one of"),
    ("embed", {"output_dimension": 0}, "output_dimension must be a positive integer, not 0"),
    ("embed", {"output_dimension": 256.0}, "output_dimension must be a positive integer"),
    ("embed", {"output_dimension": True}, "output_dimension must be a positive integer"),
    (
        "embed",
        {"output_dimension": 300},
        "does not support output_dimension=300; it supports 256, 512, 1024",
    ),
    ("embed", {"model": "voyage-law-2", "output_dtype": "int8"}, "it supports 'float'"),
    ("embed", {"model": "voyage-code-2", "output_dimension": 1024}, "it supports 1536"),
    ("embed", {"batch_size": 0}, "batch_size must be a whole number of at least 1, not 0"),
    ("embed", {"batch_size": 2.0}, "batch_size must be a whole number"),
    ("embed", {"batch_size": True}, "batch_size must be a whole number"),
    (
        "embed",
        {"empty_text": "drop"},
        "empty_text must be one of 'error', 'space', 'zeros', not 'drop'",
    ),
    ("rerank", {"query": None}, "query must be a string, not NoneType"),
    ("rerank", {"query": ""}, "query is empty"),
    ("rerank", {"query": "\udc00"}, "query contains a lone surrogate"),
    ("rerank", {"documents": None}, "documents must be a list of strings"),
    ("rerank", {"documents": [{"text": "a"}]}, "documents[0] must be a string, not dict"),
    ("rerank", {"documents": ["a", " "], "blank_documents": "error"}, "documents[1] is empty"),
    ("rerank", {"blank_documents": "first"}, "blank_documents must be one of"),
    ("rerank", {"score_threshold": 1.5}, "score_threshold must be a number from 0 to 1, not 1.5"),
    ("rerank", {"score_threshold": "0.5"}, "score_threshold must be a number from 0 to 1"),
    ("embed", {"invalid_text": "drop"}, "invalid_text must be one of 'error', 'replace'"),
    ("rerank", {"model": None}, "model must be the name of a model, not None"),
    ("rerank", {"model": "voyage-4"}, "'voyage-4' is a model for embed, not for rerank"),
    ("rerank", {"top_k": 0}, "top_k must be a whole number of at least 1, not 0"),
    ("rerank", {"top_k": -1}, "top_k must be a whole number"),
    ("rerank", {"top_k": 1.0}, "top_k must be a whole number"),
    ("rerank", {"truncation": None}, "truncation must be True or False"),
]


@pytest.mark.parametrize(
    ("verb", "given", "reported"), REFUSED, ids=[f"{verb} {given!r}" for verb, given, _ in REFUSED]
)
def test_an_argument_that_cannot_work_is_refused_before_anything_is_sent(
    runner, verb: str, given: dict[str, Any], reported: str
) -> None:
    """Sync and async, as an InvalidInputError that names the argument, and is a ValueError."""
    service = FakeService()
    defaults = EMBED if verb == "embed" else RERANK

    with pytest.raises(InvalidInputError) as caught:
        runner.call(voyage_over(service), verb, **defaults | given)

    assert reported in caught.value.message
    assert (caught.value.attempts, service.attempts) == (0, [])
    assert isinstance(caught.value, ValueError)


TABLES = [
    lambda: pytest.importorskip("pandas").DataFrame({"text": ["a", "b"]}),
    lambda: pytest.importorskip("polars").DataFrame({"text": ["a", "b"]}),
    lambda: pytest.importorskip("pyarrow").table({"text": ["a", "b"]}),
]
CALLS: dict[str, Callable[[Voyage, Any], Any]] = {
    "texts": lambda voyage, given: voyage.embed(given, MODEL),
    "stream": lambda voyage, given: list(voyage.embed_iter(given, MODEL)),
    "documents": lambda voyage, given: voyage.rerank("q", given, "rerank-3"),
    "chunks": lambda voyage, given: voyage.embed_chunks(given, [0, 1], "voyage-context-4"),
    "names": lambda voyage, given: voyage.embed_chunks(["a"], given, "voyage-context-4"),
    "contextualized": lambda voyage, given: voyage.contextualized_embed(given, "voyage-context-4"),
    "nested": lambda voyage, given: voyage.contextualized_embed([given], "voyage-context-4"),
    "inputs": lambda voyage, given: voyage.multimodal_embed(given, "voyage-multimodal-3.5"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("make", TABLES, ids=["pandas", "polars", "pyarrow"])
def test_a_table_is_no_list_of_its_column_names(call: str, make: Callable[[], Any]) -> None:
    """Iterating over a data frame yields the names of its columns; they were not meant."""
    service = FakeService()
    with pytest.raises(InvalidInputError, match=r"is a table: pass one of its columns.*\['text'\]"):
        CALLS[call](voyage_over(service), make())
    assert service.attempts == []


class DaskColumn:
    """What Dask's columns have in common with its tables."""

    columns = ("text",)

    def __dask_graph__(self) -> None: ...


@pytest.mark.parametrize("call", CALLS)
def test_a_column_that_is_not_computed_yet_is_refused_with_the_remedy(call: str) -> None:
    """A Dask series has the attribute `columns`, too, but it is not a table."""
    with pytest.raises(InvalidInputError, match=r"DaskColumn, .*: call its compute\(\)"):
        CALLS[call](voyage_over(FakeService()), DaskColumn())


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("given", [{"a": 1}, {"a", "b"}, frozenset("a"), b"a", memoryview(b"a"), 5])
def test_what_yields_something_else_than_was_meant_is_refused(call: str, given: Any) -> None:
    """Keys of a mapping, numbers of bytes, or a set, whose order is undefined."""
    service = FakeService()
    with pytest.raises(InvalidInputError, match="must be a list"):
        CALLS[call](voyage_over(service), given)
    assert service.attempts == []


async def fetched() -> list[str]:
    """A coroutine that yields texts when it is awaited."""
    return ["a"]


async def rows() -> AsyncIterator[str]:
    """The cursor of an async database driver."""
    yield "a"


@pytest.mark.parametrize("call", CALLS)
def test_asynchronous_inputs_are_refused_with_the_remedy(call: str) -> None:
    """A forgotten `await`, and an async iterator, which only its own event loop can run."""
    service, coroutine = FakeService(), fetched()
    with pytest.raises(InvalidInputError, match="not coroutine, which was not awaited"):
        CALLS[call](voyage_over(service), coroutine)
    coroutine.close()
    with pytest.raises(InvalidInputError, match=r"collect its items first, as in \[item async for"):
        CALLS[call](voyage_over(service), rows())
    assert service.attempts == []


COLUMNS: dict[str, Callable[[list[str]], Any]] = {
    "tuple": tuple,
    "iterator": iter,
    "keys": lambda texts: dict.fromkeys(texts).keys(),
    "numpy": lambda texts: pytest.importorskip("numpy").array(texts),
    "pandas": lambda texts: pytest.importorskip("pandas").Series(texts, index=[7, 3]),
    "polars": lambda texts: pytest.importorskip("polars").Series(texts),
}


@pytest.mark.parametrize("make", COLUMNS)
def test_a_column_is_a_list_of_texts(make: str) -> None:
    """Series and arrays of strings are embedded in their order."""
    texts = COLUMNS[make](["b", "a"])
    service = FakeService()
    found = voyage_over(service).embed(texts, MODEL)
    assert service.bodies[0]["input"] == ["b", "a"]
    assert found.embeddings == [vector_of("b"), vector_of("a")]


class PandasRow:
    """What a row of a table has, as `iterrows` yields it."""

    iloc = None

    def to_string(self) -> str:
        return "text    a"


@pytest.mark.parametrize(
    ("item", "remedy"),
    [
        (float("nan"), "not float (a missing value): leave it out"),
        (3.5, "not float"),
        (Document("a"), "not Document: pass its page_content"),
        (TextNode(text="a"), "not TextNode: pass its get_content()"),
        ({"id": 1, "text": "a"}, "not dict: pass its value under 'text'"),
        ({"input": "a"}, "not dict: pass its value under 'input'"),
        (QueryBundle("a"), "not QueryBundle: pass its query_str"),
        (StringPromptValue(text="a"), "not StringPromptValue: pass its to_string()"),
        (HumanMessage("a"), "not HumanMessage: pass its content"),
        (PurePosixPath("a.txt"), "not PurePosixPath"),
        (b"a", "not bytes: decode it first"),
        (["a"], "not list: pass a flat list of strings"),
        (np.array(["a"]), "not ndarray: pass a flat list of strings"),
        (PandasRow(), "not PandasRow: pass one of its values, as in row['text']"),
    ],
)
def test_what_is_no_text_is_refused_with_the_way_to_its_text(item: Any, remedy: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        voyage_over(FakeService()).embed(["b", item], MODEL)
    assert f"texts[1] must be a string, {remedy}" in str(caught.value)


@pytest.mark.parametrize(
    ("texts", "index"), [(["", "a"], 0), (["a", "b", 3], 2), (["a", "\ud800"], 1)], ids=repr
)
def test_a_refusal_carries_the_position_of_the_item(texts: list[Any], index: int) -> None:
    """As `indices`."""
    with pytest.raises(InvalidInputError) as caught:
        voyage_over(FakeService()).embed(texts, MODEL)

    assert (index,) == caught.value.indices


def test_texts_may_be_any_iterable_and_a_lone_string() -> None:
    """A tuple, a generator, or a single string."""
    service = FakeService()
    voyage = voyage_over(service)

    for texts in (("a", "b"), (text for text in ["a", "b"]), "ab"):
        voyage.embed(texts, MODEL)

    assert [body["input"] for body in service.bodies] == [["a", "b"], ["a", "b"], ["ab"]]


def test_an_empty_list_costs_nothing(runner) -> None:
    """No texts and no documents are a result without a request."""
    service = FakeService()
    voyage = voyage_over(service)

    assert runner.call(voyage, "embed", [], MODEL).embeddings == []
    assert runner.call(voyage, "rerank", "q", [], "rerank-3").results == []
    assert service.attempts == []


def test_whitespace_is_a_text() -> None:
    """Only the empty string is refused by the service (docs and live)."""
    assert len(voyage_over(FakeService()).embed([" ", "\n"], MODEL).embeddings) == 2


def test_a_model_nobody_knows_is_left_to_the_service() -> None:
    """The catalogue does not restrict unknown models: any dimension and number type is accepted."""
    service = FakeService()
    voyage_over(service).embed(["a"], "voyage-99", output_dimension=2)

    assert (service.bodies[0]["model"], service.bodies[0]["output_dimension"]) == ("voyage-99", 2)


def test_a_refusal_of_a_model_names_those_that_would_do() -> None:
    """Without deprecated models."""
    with pytest.raises(InvalidInputError) as caught:
        voyage_over(FakeService()).embed(["a"], "rerank-3")

    assert all(name in caught.value.message for name in names_of("embedding"))
    assert "voyage-4" in names_of("embedding")
    assert not {"voyage-01", "rerank-3"} & set(names_of("embedding"))
    assert {row.name for row in MODELS.values() if row.kind == "rerank"} == set(names_of("rerank"))


def test_a_model_name_that_cannot_be_sent_is_refused_in_words() -> None:
    """UTF-8 cannot encode a lone surrogate."""
    with pytest.raises(InvalidInputError, match="model contains a lone surrogate"):
        check_model("a\ud800b", "embedding")


def test_scalars_of_numpy_are_taken_as_those_of_python() -> None:
    service, length = FakeService(), len(vector_of("a"))
    with voyage_over(service) as voyage:
        voyage.embed(
            np.array(["a", "b"]),
            np.str_(MODEL),
            np.str_("document"),
            truncation=np.bool_(False),
            output_dimension=np.int64(length),
            batch_size=np.int32(1),
        )
        voyage.rerank("q", ["a", "b"], "rerank-3", np.int8(1), score_threshold=np.float32(0.5))
    [first, second, ranking] = service.bodies
    assert sorted([first["input"], second["input"]]) == [["a"], ["b"]]
    assert (first["output_dimension"], first["truncation"]) == (length, False)
    assert ranking["top_k"] == 1


@pytest.mark.parametrize("value", [np.array([1]), np.array(1.5), np.datetime64("NaT"), np.int64(0)])
def test_other_values_of_numpy_are_refused(value: Any) -> None:
    with voyage_over(FakeService()) as voyage, pytest.raises(InvalidInputError, match="batch_size"):
        voyage.embed(["a"], MODEL, batch_size=value)


def test_missing_values_of_tables_identify_no_document() -> None:
    """Otherwise all chunks without a document would belong to one document."""
    pandas = pytest.importorskip("pandas")
    missing = [float("nan"), Decimal("nan"), np.datetime64("NaT"), pandas.NaT, pandas.NA]
    for value in missing:
        with voyage_over(FakeService()) as voyage:
            with pytest.raises(InvalidInputError, match=r"documents\[1\] is "):
                voyage.embed_chunks(["a", "b"], ["a.md", value], "voyage-context-4")
            with pytest.raises(
                InvalidInputError, match=r"texts\[0\] must .* missing value.: leave"
            ):
                voyage.embed([value], MODEL)
        chunk = Document("a", metadata={"source": value})
        with pytest.raises(InvalidInputError, match="does not identify the document of chunk 0"):
            group([chunk], "source")
