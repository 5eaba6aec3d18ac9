"""What requests may say on /v1/contextualizedembeddings, and what vectors depend on."""

from itertools import chain
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voyage_rag.emulator import vectors
from voyage_rag.emulator.contextualized import sketch_document
from voyage_rag.emulator.tokens import EmulatedTokenizer

PATH = "contextualizedembeddings"
tokens = EmulatedTokenizer()
GOOD = {"inputs": [["one fish", "two fish"], ["red fish"]], "model": "voyage-context-4"}
AUTOMATIC = {
    "inputs": ["The first sentence. The second one.", "A third."],
    "model": "voyage-context-3",
    "input_type": "document",
    "enable_auto_chunking": True,
}


def chunk_vectors(answer: Any, document: int) -> Any:
    """Return the vectors of one document of an answer."""
    return [item["embedding"] for item in answer.json()["data"][document]["data"]]


def test_answers_are_documents_of_chunks(ask) -> None:
    """Both numbered from zero; `text` null, no chunker named."""
    body = ask(PATH, GOOD).json()
    assert list(body) == ["object", "data", "model", "usage"]
    assert [list(document) for document in body["data"]] == [["object", "data", "index"]] * 2
    assert [len(document["data"]) for document in body["data"]] == [2, 1]
    assert [item["index"] for item in body["data"][0]["data"]] == [0, 1]
    assert {item["text"] for document in body["data"] for item in document["data"]} == {None}
    assert body["usage"] == {"total_tokens": 6}


def test_a_vector_depends_on_its_document_and_on_nothing_else(ask) -> None:
    """Bit for bit, whatever other documents share the request."""
    together = ask(PATH, GOOD)
    assert chunk_vectors(together, 0) == chunk_vectors(
        ask(PATH, GOOD | {"inputs": GOOD["inputs"][:1]}), 0
    )
    others = GOOD | {"inputs": [["one fish", "blue bird"], ["red fish"]]}
    assert chunk_vectors(together, 0)[0] != chunk_vectors(ask(PATH, others), 0)[0]
    assert chunk_vectors(together, 1) == chunk_vectors(ask(PATH, others), 1)


def test_a_lone_chunk_is_embedded_plainly() -> None:
    """As on /v1/embeddings."""
    assert np.array_equal(sketch_document(["red fish"]), vectors.sketch(["red fish"]))


def test_neighbours_draw_a_chunk_towards_their_subject() -> None:
    """A chunk that says "it" is found by what the rest of its document is about."""
    query = vectors.sketch(["how fast does the zephyr turbine spin?"])[0]
    chunk = "It reaches nine hundred revolutions per minute."
    alone = sketch_document([chunk])[0]
    among = sketch_document(["The Zephyr turbine stands at sea.", chunk])[1]
    assert among @ query > alone @ query + 0.1
    assert among @ alone > 0.8


def test_queries_are_single_texts(ask) -> None:
    """A flat list, or lists of one text."""
    flat = {"inputs": ["red fish", "blue fish"], "model": "voyage-context-4", "input_type": "query"}
    nested = flat | {"inputs": [["red fish"], ["blue fish"]]}
    assert ask(PATH, flat).json() == ask(PATH, nested).json()
    assert ask(PATH, flat).json()["usage"] == {"total_tokens": 2}


def test_auto_chunking_returns_the_chunks(ask) -> None:
    """With their text, and the chunker's version before usage."""
    body = ask(PATH, AUTOMATIC | {"chunk_size": 4}).json()
    assert list(body) == ["object", "data", "model", "chunker_version", "usage"]
    texts = [[item["text"] for item in document["data"]] for document in body["data"]]
    assert ["".join(chunks) for chunks in texts] == AUTOMATIC["inputs"]
    assert [len(chunks) for chunks in texts] == [2, 1]
    assert body["usage"] == {"total_tokens": 8 + 3 - 2}


def test_auto_chunking_takes_documents_above_the_context(ask) -> None:
    """Up to the total."""
    body = AUTOMATIC | {"inputs": ["word " * 40_000], "chunk_size": 32_000}
    assert len(ask(PATH, body).json()["data"][0]["data"]) == 2


@given(st.text(max_size=200), st.integers(1, 20), st.integers(0, 10))
def test_chunks_cover_the_text_in_order(text: str, size: int, overlap: int) -> None:
    """Without overlap they give it back; with it each begins before the last ended."""
    chunks = tokens.split(text, size)
    assert "".join(chunks) == text
    overlapped = tokens.split(text, size, min(overlap, size - 1))
    assert len(overlapped) >= len(chunks)
    assert all(chunk in text for chunk in overlapped)
    assert overlapped[0] == chunks[0]
    assert text.endswith(overlapped[-1])


def test_chunks_hold_no_more_than_asked() -> None:
    """And begin with the end of the one before."""
    text = " ".join(map(str, range(100, 200)))
    assert [tokens.count(chunk) for chunk in tokens.split(text, 30)] == [30, 30, 30, 10]
    chunks = tokens.split(text, 30, 10)
    assert all(tokens.count(chunk) <= 30 for chunk in chunks)
    assert [chunk.split()[0] for chunk in chunks] == ["100", "120", "140", "160", "180"]
    words = chain.from_iterable(chunk.split() for chunk in chunks)
    assert set(words) == set(text.split())


@pytest.mark.parametrize(
    ("body", "argument"),
    [
        (GOOD | {"inputs": ["one", "two"]}, "inputs"),
        (GOOD | {"input_type": "query"}, "inputs"),
        (AUTOMATIC | {"inputs": [["one", "two"]]}, "inputs"),
        (AUTOMATIC | {"input_type": None}, "enable_auto_chunking"),
        (GOOD | {"chunk_size": 100}, "chunk_size"),
        (AUTOMATIC | {"chunk_size": 0}, "chunk_size"),
        (AUTOMATIC | {"chunk_size": 32_001}, "chunk_size"),
        (AUTOMATIC | {"chunk_size": 10, "chunk_overlap": 10}, "chunk_overlap"),
        (GOOD | {"inputs": []}, "inputs"),
        (GOOD | {"inputs": [[]]}, "inputs"),
        (GOOD | {"inputs": [["one", ""]]}, "inputs"),
        (GOOD | {"inputs": [["one"], "two"]}, "inputs"),
        (GOOD | {"inputs": "one"}, "inputs"),
    ],
)
def test_arguments_must_go_together(ask, body: dict[str, object], argument: str) -> None:
    """The one at fault is named, before the key is looked at."""
    assert f"Error for argument '{argument}': " in ask.detail(PATH, body, None)


def test_there_is_no_truncation(ask) -> None:
    """The argument is unknown here."""
    assert "'truncation' is not supported" in ask.detail(PATH, GOOD | {"truncation": True})


def test_limits_of_a_request(ask) -> None:
    """Documents, chunks, tokens in all, and tokens of one document."""
    many = GOOD | {"inputs": [["x"]] * 1001}
    assert "The batch size limit is 1000." in ask.detail(PATH, many)
    many = GOOD | {"inputs": [["x"] * 4001] * 4}
    assert "16004 chunks" in ask.detail(PATH, many)
    long = GOOD | {"inputs": [["word " * 32_000]] * 4}
    assert "is 120000. Your batch has 128000 tokens" in ask.detail(PATH, long)
    long = GOOD | {"inputs": [["x"], ["word " * 16_001] * 2]}
    assert "The example at index 1 in your batch" in ask.detail(PATH, long)


def test_number_types_and_dimensions(ask) -> None:
    """As on /v1/embeddings."""
    body = GOOD | {"output_dimension": 512, "output_dtype": "ubinary"}
    assert len(chunk_vectors(ask(PATH, body), 0)[0]) == 64
    assert "Supported models are ['voyage-context-4'" in ask.detail(
        PATH, GOOD | {"model": "voyage-4"}
    )
