"""The scenarios of the cassettes: one call each, and checks that any correct response passes.

The checks hold for the live service and for the emulator, so none of them knows a vector, a score
or a token count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any, Literal

from pictures import png
from voyage_rag import AuthenticationError, InvalidRequestError, VoyageError
from voyage_rag.emulator.faults import Fault, status

EMBEDDER = "voyage-4"
RERANKER = "rerank-3-lite"
CONTEXTUAL = "voyage-context-4"
MULTIMODAL = "voyage-multimodal-3.5"

QUESTION = "When did Apple plan its conference call?"
ANSWER = "Apple's conference call to discuss fourth fiscal quarter results is planned for Thursday."
DOCUMENTS = (
    "The Mediterranean diet emphasizes fish, olive oil, and vegetables.",
    "Photosynthesis in plants converts light energy into glucose and produces oxygen.",
    ANSWER,
    "Rivers provide water, irrigation, and habitat for aquatic species.",
)
NEAR_AND_FAR = (
    "The cat sleeps on the warm sofa all afternoon.",
    "A cat is asleep on the sofa this afternoon.",
    "Interest rates rose by half a percentage point in March.",
)
"""The second means the same as the first, the third does not."""

TOO_LONG = "a b c d e f g h i j " * 450
"""More tokens than the 4,000 of voyage-2, whose context is the smallest."""

CHUNKED = ((DOCUMENTS[0], DOCUMENTS[3]), (ANSWER,))
"""Two documents, of two chunks and of one; the last chunk answers the question."""

UNCUT = (" ".join(DOCUMENTS), " ".join(DOCUMENTS[:2]))
"""Two documents, both longer than a chunk of 16 tokens."""

OVER_WINDOW = "a b c d e f g h i j " * 3_600
"""A chunk of more tokens than the 32,000 of a window."""

INTERLEAVED = (("A red square, ", png("red"), "and a blue one: ", png("blue")), (ANSWER,))
"""Two inputs: text interleaved with pictures, and text that answers the question."""

Vectors = Sequence[Sequence[float]]
Chunked = Sequence[Vectors]
"""The vectors of the chunks, per document."""
Ranking = Sequence[tuple[int, float]]
"""Positions and scores."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One call.

    Attributes:
        about: One line on it.
        verb: Of the client.
        arguments: By the client's names.
        check: Fails unless the vectors or the ranking can be those of a correct service.
        error: What the call raises instead.
        requests: How many requests it takes.
        wrong_key: Whether a key is sent that does not exist.
        faults: What the emulator does wrong. Such a call cannot be had of the live service.
        client_only: Why neither framework can make the call, if so.
        may_take_days: Whether the live service is not waited for.
    """

    about: str
    verb: Literal["embed", "contextualized_embed", "multimodal_embed", "rerank", "batch"]
    arguments: Mapping[str, Any]
    check: Callable[[Any], None] = lambda result: None
    error: type[VoyageError] | None = None
    requests: int = 1
    wrong_key: bool = False
    faults: Sequence[Fault | None] = field(default=())
    client_only: str = ""
    may_take_days: bool = False

    @property
    def billed(self) -> int:
        """How many of its responses report usage: none of a batch."""
        return 0 if self.verb == "batch" else self.requests - len(self.faults)


def plain(scenario: Scenario, answer: Any) -> Vectors | Chunked | Ranking:
    """The client's result, as the scenario's check expects it."""
    if scenario.verb == "rerank":
        return [(result.index, result.relevance_score) for result in answer.results]
    if scenario.verb == "contextualized_embed":
        assert [result.index for result in answer.results] == list(range(len(answer.results)))
        return [result.embeddings for result in answer.results]
    if scenario.verb == "batch":
        return [line.body["data"][0]["embedding"] if line.body else line for line in answer]
    return answer.embeddings


# ── what is true of any correct answer ────────────────────────────────────────────────────────────


def unit_vectors(count: int, dimension: int, tolerance: float = 1e-3) -> Callable[[Vectors], None]:
    """Check for so many float vectors of this dimension and of unit length."""

    def check(vectors: Vectors) -> None:
        assert [len(vector) for vector in vectors] == [dimension] * count
        for vector in vectors:
            assert all(type(number) is float for number in vector)
            assert abs(sqrt(sum(number * number for number in vector)) - 1) < tolerance
        assert len({tuple(vector) for vector in vectors}) == count

    return check


def unit_chunks(*counts: int, dimension: int) -> Callable[[Chunked], None]:
    """Check for documents of so many chunks, each with a unit vector of this dimension."""

    def check(documents: Chunked) -> None:
        assert [len(vectors) for vectors in documents] == list(counts)
        flat = [vector for vectors in documents for vector in vectors]
        unit_vectors(len(flat), dimension, 1e-2)(flat)

    return check


def cut_up(count: int, dimension: int) -> Callable[[Chunked], None]:
    """Check for so many documents, each divided into as many chunks as the service likes."""

    def check(documents: Chunked) -> None:
        assert len(documents) == count
        for vectors in documents:
            assert len(vectors) > 1
            unit_vectors(len(vectors), dimension, 1e-2)(vectors)

    return check


def near_before_far(dtype: str) -> Callable[[Vectors], None]:
    """Check for numbers of this type, in which texts of the same meaning are closer than others."""
    lowest, highest, length, similarity = {
        "float": (-1, 1, 256, lambda x: x),
        "int8": (-128, 127, 256, lambda x: x),
        "uint8": (0, 255, 256, lambda x: [number - 127.5 for number in x]),
        "binary": (-128, 127, 32, lambda x: signs(number + 128 for number in x)),
        "ubinary": (0, 255, 32, signs),
    }[dtype]

    def check(vectors: Vectors) -> None:
        assert [len(vector) for vector in vectors] == [length] * 3
        for vector in vectors:
            # LangChain's contract is lists of floats, whatever the numbers are.
            assert all(isinstance(number, float | int) for number in vector)
            assert dtype == "float" or all(number == int(number) for number in vector)
            assert all(lowest <= number <= highest for number in vector)
            assert max(vector) > min(vector)
        integers = [[int(number) for number in vector] for vector in vectors]
        one, near, far = map(similarity, vectors if dtype == "float" else integers)
        assert cosine(one, near) > cosine(one, far)

    return check


def answer_first(count: int) -> Callable[[Ranking], None]:
    """Check for so many documents, the one that answers the question first."""

    def check(ranking: Ranking) -> None:
        scores = [score for _, score in ranking]
        assert len(ranking) == count
        assert len({index for index, _ in ranking}) == count
        assert DOCUMENTS[ranking[0][0]] == ANSWER
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= score <= 1 for score in scores)

    return check


def second_failed(vectors: Sequence[Any]) -> None:
    """Check that the second of three texts is refused, with its text; the others have vectors."""
    one, refused, three = vectors
    assert len(one) == len(three) == 256
    assert (refused.failure.status, refused.failure.is_refused) == (400, True)
    assert refused.failure.input == {"input": [""]}


def signs(packed: Any) -> list[int]:
    """The dimensions of a packed vector as -1 and 1, the first from the highest bit."""
    return [1 if byte >> bit & 1 else -1 for byte in packed for bit in range(7, -1, -1)]


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    product = sum(a * b for a, b in zip(one, other, strict=True))
    return product / sqrt(sum(a * a for a in one) * sum(b * b for b in other))


# ── the calls ─────────────────────────────────────────────────────────────────────────────────────


def _embed(texts: Sequence[str], **arguments: Any) -> dict[str, Any]:
    return {"verb": "embed", "arguments": {"texts": list(texts), "model": EMBEDDER} | arguments}


def _contextualized(inputs: Sequence[Any], **arguments: Any) -> dict[str, Any]:
    given = {"inputs": list(inputs), "model": CONTEXTUAL, "input_type": "document"}
    return {"verb": "contextualized_embed", "arguments": given | arguments}


def _multimodal(inputs: Sequence[Any], **arguments: Any) -> dict[str, Any]:
    given = {"inputs": list(inputs), "model": MULTIMODAL, "output_dimension": 256}
    return {"verb": "multimodal_embed", "arguments": given | arguments}


def _batch(texts: Sequence[str], **params: Any) -> dict[str, Any]:
    return {
        "verb": "batch",
        "arguments": {"texts": list(texts), **params},
        "client_only": "frameworks want their vectors at once",
        "may_take_days": True,
    }


def _rerank(**arguments: Any) -> dict[str, Any]:
    given = {"query": QUESTION, "documents": list(DOCUMENTS), "model": RERANKER}
    return {"verb": "rerank", "arguments": given | arguments}


SCENARIOS: dict[str, Scenario] = {
    "embed_documents": Scenario(
        about="Documents, cut to 256 dimensions.",
        **_embed(DOCUMENTS, input_type="document", output_dimension=256),
        check=unit_vectors(4, 256),
    ),
    "embed_query": Scenario(
        about="A query, cut to 256 dimensions.",
        **_embed([QUESTION], input_type="query", output_dimension=256),
        check=unit_vectors(1, 256),
    ),
    "embed_plain": Scenario(
        about="A text without a prompt, in the model's default dimension.",
        **_embed([QUESTION]),
        check=unit_vectors(1, 1024),
    ),
    "embed_batches": Scenario(
        about="Four documents, at most three per request.",
        **_embed(DOCUMENTS, input_type="document", output_dimension=256, batch_size=3),
        check=unit_vectors(4, 256),
        requests=2,
    ),
    **{
        f"dtype_{dtype}": Scenario(
            about=f"Three texts as {dtype}.",
            **_embed(NEAR_AND_FAR, input_type="document", output_dimension=256, output_dtype=dtype),
            check=near_before_far(dtype),
        )
        for dtype in ("float", "int8", "uint8", "binary", "ubinary")
    },
    "contextualized_documents": Scenario(
        about="Two documents of two chunks and of one, cut to 256 dimensions.",
        **_contextualized([list(chunks) for chunks in CHUNKED], output_dimension=256),
        check=unit_chunks(2, 1, dimension=256),
    ),
    "contextualized_query": Scenario(
        about="A query to a contextualized model.",
        **_contextualized([QUESTION], input_type="query", output_dimension=256),
        check=unit_chunks(1, dimension=256),
    ),
    "contextualized_auto_chunking": Scenario(
        about="Two documents that the service splits into chunks of 16 tokens.",
        **_contextualized(UNCUT, output_dimension=256, enable_auto_chunking=True, chunk_size=16),
        check=cut_up(2, 256),
        client_only="their splitters have cut before, so neither lets the service do it",
    ),
    "multimodal_interleaved": Scenario(
        about="Text interleaved with two small images, and text alone.",
        **_multimodal([list(segments) for segments in INTERLEAVED], input_type="document"),
        check=unit_vectors(2, 256, 1e-2),
    ),
    "multimodal_query": Scenario(
        about="A query in words to a multimodal model.",
        **_multimodal([[QUESTION]], input_type="query"),
        check=unit_vectors(1, 256, 1e-2),
    ),
    "rerank": Scenario(
        about="All documents, ranked.",
        **_rerank(),
        check=answer_first(4),
    ),
    "rerank_top_k": Scenario(
        about="The best two of four documents.",
        **_rerank(top_k=2),
        check=answer_first(2),
    ),
    "batch_results": Scenario(
        about="Three texts as uint8 by the batch engine, from upload to results.",
        **_batch(
            NEAR_AND_FAR,
            model=EMBEDDER,
            input_type="document",
            output_dimension=256,
            output_dtype="uint8",
        ),
        check=near_before_far("uint8"),
        requests=11,
    ),
    "batch_failures": Scenario(
        about="A batch of three texts, of which one is empty.",
        **_batch(
            [QUESTION, "", ANSWER], model=EMBEDDER, output_dimension=256, output_dtype="uint8"
        ),
        check=second_failed,
        requests=12,
    ),
    "rate_limited": Scenario(
        about="A 429 of the free tier, then a successful response.",
        **_embed([QUESTION], input_type="query", output_dimension=256),
        check=unit_vectors(1, 256),
        requests=2,
        faults=[status(429)],
    ),
    "error_too_long": Scenario(
        about="A text longer than the model's context, not to be truncated.",
        **_embed([TOO_LONG], model="voyage-2", input_type="document", truncation=False),
        error=InvalidRequestError,
    ),
    "error_unknown_model": Scenario(
        about="A model that does not exist.",
        **_embed([QUESTION], model="voyage-of-nobody", input_type="query"),
        error=InvalidRequestError,
    ),
    "error_wrong_key": Scenario(
        about="A key that does not exist.",
        **_embed([QUESTION], input_type="query", output_dimension=256),
        error=AuthenticationError,
        wrong_key=True,
    ),
    # Last: a free account's minute holds fewer tokens than this.
    "error_over_window": Scenario(
        about="A chunk longer than the window of a contextualized model.",
        **_contextualized([[OVER_WINDOW]]),
        error=InvalidRequestError,
    ),
}
