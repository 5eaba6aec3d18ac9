"""Chunks in context over the emulator, whose vectors depend on the neighbours and on them only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import voyage_rag
from voyage_rag import Voyage
from voyage_rag.emulator import Emulator

KEY = "pa-of-nobody"
MODEL = "voyage-context-4"
CONTRACT = ["The tenant pays the rent in advance.", "It is due on the third of each month."]
SOUP = ["Chop two onions.", "It is due on the third of each month.", "Simmer for an hour."]
LETTER = ["Dear aunt, the garden is in bloom."]


@pytest.fixture(scope="module")
def _emulator() -> Iterator[Emulator]:
    emulator = Emulator()
    with emulator:
        yield emulator


@pytest.fixture
def emulator(_emulator: Emulator) -> Emulator:
    _emulator.requests.clear()
    return _emulator


@pytest.fixture
def voyage(emulator: Emulator) -> Iterator[Voyage]:
    with Voyage(KEY, base_url=emulator.url) as voyage:
        yield voyage


def embed(runner: Any, voyage: Voyage, *documents: list[str], **options: Any) -> list[Any]:
    """The vectors of each document."""
    found = runner.call(
        voyage,
        "contextualized_embed",
        list(documents),
        MODEL,
        "document",
        output_dimension=256,
        **options,
    )
    return [result.embeddings for result in found.results]


def test_a_chunks_vector_is_the_same_whatever_shares_its_request(runner, voyage: Voyage) -> None:
    [alone] = embed(runner, voyage, CONTRACT)
    together = embed(runner, voyage, SOUP, CONTRACT, LETTER)
    assert together[1] == alone


def test_a_chunks_vector_differs_when_its_own_document_changes(runner, voyage: Voyage) -> None:
    """The same words in another document, or among fewer chunks, are another vector."""
    contract, soup, [lone] = embed(runner, voyage, CONTRACT, SOUP, [CONTRACT[1]])
    assert CONTRACT[1] == SOUP[1]
    assert contract[1] != soup[1]
    assert lone not in (contract[1], soup[1])


def test_a_flat_list_gives_the_same_vectors_as_nested_ones(runner, voyage: Voyage) -> None:
    contract, soup, letter = embed(runner, voyage, CONTRACT, SOUP, LETTER)
    found = runner.call(
        voyage,
        "embed_chunks",
        [SOUP[0], CONTRACT[0], *LETTER, SOUP[1], CONTRACT[1], SOUP[2]],
        ["soup", "contract", None, "soup", "contract", "soup"],
        MODEL,
        output_dimension=256,
    )
    assert found.embeddings == [soup[0], contract[0], *letter, soup[1], contract[1], soup[2]]


def test_a_long_document_is_embedded_in_windows_and_nothing_is_lost(
    runner, voyage: Voyage, emulator: Emulator
) -> None:
    """45,000 tokens in a model of 32,000: a window's vectors are those of the window alone."""
    chunks = [f"Chapter {number}. " + "word " * 1_000 for number in range(45)]
    found = runner.call(
        voyage, "contextualized_embed", [LETTER, chunks], MODEL, "document", output_dimension=256
    )
    long = found.results[1]
    assert sum(long.windows) == len(long.embeddings) == 45
    assert len(long.windows) == 2
    first = long.windows[0]
    assert embed(runner, voyage, chunks[:first], chunks[first:]) == [
        long.embeddings[:first],
        long.embeddings[first:],
    ]
    assert all(request.status == 200 for request in emulator.requests)


@pytest.mark.parametrize("nested", [True, False])
def test_the_service_can_split(runner, voyage: Voyage, nested: bool) -> None:
    """From one string per document, it returns chunks whose texts together are the document."""
    texts = ["A sentence of words. " * 200, "Short."]
    found = runner.call(
        voyage,
        "contextualized_embed",
        [[text] for text in texts] if nested else texts,
        MODEL,
        "document",
        enable_auto_chunking=True,
        chunk_size=100,
    )
    assert ["".join(result.chunk_texts) for result in found.results] == texts
    assert [len(result.embeddings) for result in found.results] == [
        len(result.chunk_texts) for result in found.results
    ]
    assert len(found.results[0].embeddings) > 5
    assert found.chunker_version == "1.0.0"


@pytest.mark.parametrize("inputs", [["rent?", "onions?"], [["rent?"], ["onions?"]]])
def test_queries_are_flat_or_nested(
    runner, voyage: Voyage, emulator: Emulator, inputs: Any
) -> None:
    found = runner.call(voyage, "contextualized_embed", inputs, MODEL, "query")
    assert [len(result.embeddings) for result in found.results] == [1, 1]
    assert emulator.requests[0].body["input_type"] == "query"
    assert found.results[0].chunk_texts is None
    assert found.chunker_version is None


@pytest.mark.parametrize("dtype", ["float", "int8", "uint8", "binary", "ubinary"])
@pytest.mark.parametrize("dimension", [256, 2048])
def test_dimension_and_dtype_are_honoured(
    runner, voyage: Voyage, dtype: str, dimension: int
) -> None:
    [contract] = embed_with(runner, voyage, dtype, dimension)
    numbers = dimension // 8 if "binary" in dtype else dimension
    assert [len(vector) for vector in contract] == [numbers] * len(CONTRACT)
    assert {type(number) for vector in contract for number in vector} == {
        float if dtype == "float" else int
    }


def embed_with(runner: Any, voyage: Voyage, dtype: str, dimension: int) -> list[Any]:
    found = runner.call(voyage, "contextualized_embed", [CONTRACT], MODEL, None, dtype, dimension)
    return [result.embeddings for result in found.results]


def test_plain_texts_go_to_the_right_endpoint_one_vector_each(
    runner, voyage: Voyage, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """`embed` with a contextualized model embeds each text separately, with one warning."""
    for _ in range(2):
        found = runner.call(voyage, "embed", SOUP, MODEL, "document", output_dimension=256)
    alone = embed(runner, voyage, *([text] for text in SOUP))
    assert found.embeddings == [vector for [vector] in alone]
    assert {request.path for request in emulator.requests} == {"/v1/contextualizedembeddings"}
    assert emulator.requests[0].body["inputs"] == [[text] for text in SOUP]
    assert [r.getMessage()[:48] for r in caplog.records] == [
        "texts are embedded without the context of their "
    ]


def test_a_query_or_one_text_causes_no_warning_about_context(
    runner, voyage: Voyage, caplog: pytest.LogCaptureFixture
) -> None:
    runner.call(voyage, "embed", ["a", "b"], MODEL, "query")
    runner.call(voyage, "embed", ["a"], MODEL, "document")
    assert caplog.records == []


def test_an_unknown_model_of_the_family_goes_to_the_same_endpoint(voyage: Voyage) -> None:
    """The service decides whether it exists."""
    with pytest.raises(voyage_rag.InvalidRequestError, match="voyage-context-9 is not supported"):
        voyage.embed(["a"], "voyage-context-9", "document")


def test_the_progress_bar_counts_documents(
    runner, voyage: Voyage, capsys: pytest.CaptureFixture[str]
) -> None:
    embed(runner, voyage, CONTRACT, SOUP, LETTER, show_progress_bar=True)
    assert "3/3" in capsys.readouterr().err


def test_the_drop_in_has_the_vendors_verb(emulator: Emulator) -> None:
    """Both of the vendor's clients, arguments in its order."""
    import asyncio

    arguments = ([CONTRACT], MODEL, "document", "int8", 512)
    with voyage_rag.Client(api_key=KEY, base_url=emulator.url) as client:
        expected = client.contextualized_embed(*arguments).results[0].embeddings

    async def run() -> Any:
        async with voyage_rag.AsyncClient(api_key=KEY, base_url=emulator.url) as client:
            return (await client.contextualized_embed(*arguments)).results[0].embeddings

    assert asyncio.run(run()) == expected
