"""The response of each endpoint, checked before it is believed.

Unknown fields are ignored, since the service adds some now and then.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from voyage_rag.core.vectors import decode_all, length_of
from voyage_rag.errors import UnexpectedAnswerError
from voyage_rag.types import Usage

if TYPE_CHECKING:
    from voyage_rag.core.options import EmbedOptions
    from voyage_rag.types import Vector

Value = TypeVar("Value")

Body: TypeAlias = "bytes | Mapping[str, Any]"
"""As it came, or parsed already, as it is where it is part of a file."""

LARGEST = sys.float_info.max
MOST_TOKENS = 10**9
"""More than any request can cost: a larger number is no bill."""
MOST_PIXELS = 10**13


@dataclass(frozen=True, slots=True)
class Decoded(Generic[Value]):
    """A response: one value per input, in the order of the inputs, and what it cost.

    Attributes:
        values: What was requested.
        total_tokens: Tokens billed.
        text_tokens: Of a multimodal model, like the two below: tokens of text.
        image_pixels: Pixels of images.
        video_pixels: Pixels of video.
    """

    values: list[Value]
    total_tokens: int
    text_tokens: int = 0
    image_pixels: int = 0
    video_pixels: int = 0

    def usage(self, model: str) -> Usage:
        """What it cost, spent on this model."""
        return Usage(
            self.total_tokens, 1, self.text_tokens, self.image_pixels, self.video_pixels
        ).of(model)


@dataclass(frozen=True, slots=True)
class Chunked:
    """The vectors of chunks that were embedded together.

    Attributes:
        vectors: One per chunk, in order.
        texts: The chunks, where the service made them.
        chunker: Version of the service's chunker, where it was used.
    """

    vectors: list[Vector]
    texts: list[str] | None = None
    chunker: str | None = None


def embed_answer(body: Body, count: int, options: EmbedOptions) -> Decoded[Vector]:
    """Read an answer of `POST /embeddings` to `count` texts.

    Raises:
        UnexpectedAnswerError: It does not hold exactly one sound vector per text.
    """
    answer = _decode(body)
    return Decoded(_vectors(answer, count, options), _total_tokens(answer))


def contextual_answer(
    body: Body, counts: Sequence[int | None], options: EmbedOptions
) -> Decoded[Chunked]:
    """Read an answer of `POST /contextualizedembeddings`.

    Args:
        body: The answer.
        counts: How many chunks each document has, None where the service made them.
        options: What was asked for.

    Raises:
        UnexpectedAnswerError: It does not hold exactly one sound vector per chunk.
    """
    answer = _decode(body)
    chunker = answer.get("chunker_version")
    documents = [
        _chunked(document, count, options, chunker if isinstance(chunker, str) else None)
        for document, count in zip(
            _in_order(_data(answer), len(counts), "documents"), counts, strict=True
        )
    ]
    _check_lengths([vector for document in documents for vector in document.vectors], options)
    return Decoded(documents, _total_tokens(answer))


def _chunked(
    document: Mapping[str, Any], count: int | None, options: EmbedOptions, chunker: str | None
) -> Chunked:
    data = _data(document)
    if not data:
        raise UnexpectedAnswerError("the answer holds a document without chunks")
    items = _in_order(data, len(data) if count is None else count, "chunks")
    vectors = decode_all([item.get("embedding") for item in items], options.dtype)
    if count is not None:
        return Chunked(vectors)
    texts = [text for item in items if isinstance(text := item.get("text"), str)]
    if texts and len(texts) != len(items):
        raise UnexpectedAnswerError("the answer holds the text of some chunks and not of others")
    return Chunked(vectors, texts or None, chunker)


def multimodal_answer(body: Body, count: int, options: EmbedOptions) -> Decoded[Vector]:
    """Read an answer of `POST /multimodalembeddings` to `count` inputs.

    Raises:
        UnexpectedAnswerError: It does not hold exactly one sound vector per input.
    """
    answer = _decode(body)
    return Decoded(
        _vectors(answer, count, options),
        _total_tokens(answer),
        _used(answer, "text_tokens", MOST_TOKENS),
        _used(answer, "image_pixels", MOST_PIXELS),
        _used(answer, "video_pixels", MOST_PIXELS),
    )


def rerank_answer(body: Body, count: int, top_k: int | None) -> Decoded[float | None]:
    """Read an answer of `POST /rerank` over `count` documents.

    Returns:
        The score of each document, None for those that are not among the `top_k`.

    Raises:
        UnexpectedAnswerError: It does not rank the number of documents asked for, each once.
    """
    answer = _decode(body)
    ranked = [_score(item) for item in _data(answer)]
    expected = count if top_k is None else min(top_k, count)
    scores = dict(ranked)
    if len(ranked) != expected or len(scores) != expected or not scores.keys() <= set(range(count)):
        raise UnexpectedAnswerError(
            f"the answer ranks {len(ranked)} documents ({len(scores)} different ones) where "
            f"{expected} of {count} were asked for"
        )
    return Decoded(list(map(scores.get, range(count))), _total_tokens(answer))


def parse(body: bytes) -> Any:
    """The JSON document of a response.

    Raises:
        UnexpectedAnswerError: It is not JSON.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise UnexpectedAnswerError("the answer is not JSON") from None


def _decode(body: Body) -> Mapping[str, Any]:
    answer = parse(body) if isinstance(body, bytes) else body
    if not isinstance(answer, Mapping):
        raise UnexpectedAnswerError("the answer is no JSON object")
    return answer


def _data(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    data = answer.get("data")
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise UnexpectedAnswerError("the answer holds no list of results under 'data'")
    return data


def _vectors(answer: Mapping[str, Any], count: int, options: EmbedOptions) -> list[Vector]:
    items = _in_order(_data(answer), count)
    vectors = decode_all([item.get("embedding") for item in items], options.dtype)
    _check_lengths(vectors, options)
    return vectors


def _in_order(
    items: list[Mapping[str, Any]], count: int, what: str = "texts"
) -> list[Mapping[str, Any]]:
    if len(items) != count:
        raise UnexpectedAnswerError(f"the answer holds {len(items)} vectors for {count} {what}")
    positions = [item.get("index") for item in items]
    expected = list(range(count))
    if positions == expected:
        return items
    numbered = zip(positions, items, strict=True)
    by_index = {position: item for position, item in numbered if type(position) is int}
    if sorted(by_index) != expected:
        raise UnexpectedAnswerError("the answer does not number its vectors once each")
    return [by_index[position] for position in expected]


def _check_lengths(vectors: list[Vector], options: EmbedOptions) -> None:
    lengths = {len(vector) for vector in vectors}
    if options.expected_dimension is not None:
        expected = {length_of(options.expected_dimension, options.dtype)}
    else:
        expected = {len(vectors[0])}
    if lengths != expected or 0 in lengths:
        raise UnexpectedAnswerError(
            f"the answer's vectors have {sorted(lengths)} numbers where {min(expected)} were due"
        )


def _score(item: Mapping[str, Any]) -> tuple[int, float]:
    index: Any = item.get("index")
    score: Any = item.get("relevance_score")
    if type(index) is not int or not (type(score) in {int, float} and abs(score) <= LARGEST):
        raise UnexpectedAnswerError("a ranked document lacks its index or its relevance_score")
    return index, float(score)


def _total_tokens(answer: Mapping[str, Any]) -> int:
    return _used(answer, "total_tokens", MOST_TOKENS)


def _used(answer: Mapping[str, Any], what: str, most: int) -> int:
    usage = answer.get("usage")
    number = usage.get(what) if isinstance(usage, Mapping) else None
    return number if type(number) is int and 0 <= number <= most else 0
