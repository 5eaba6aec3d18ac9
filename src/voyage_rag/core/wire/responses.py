"""Decode the response of each endpoint, and check it.

Vectors are base64 of a little-endian array (docs.voyageai.com, "Flexible Dimensions and
Quantization"). Unknown fields are ignored, because the service sometimes adds some. A response that
does not contain exactly one valid result per input raises an `UnexpectedAnswerError`.
"""

from __future__ import annotations

import binascii
import json
import sys
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from voyage_rag.core.options import EmbedOptions
from voyage_rag.errors import UnexpectedAnswerError
from voyage_rag.hosts.conversion import PLAUSIBLE_TOP_BYTES, TOP_BYTES, check_plausible
from voyage_rag.models import OutputDtype
from voyage_rag.types import TYPECODES, Vector
from voyage_rag.usage import Usage

Value = TypeVar("Value")

Body: TypeAlias = "bytes | Mapping[str, Any]"
"""The bytes of a response, or a parsed line of a batch's result file."""

LARGEST = sys.float_info.max
MAX_TOKENS = 10**9
"""More tokens than any request can have. A larger number is ignored."""
MAX_PIXELS = 10**13

BIG_ENDIAN = sys.byteorder == "big"


@dataclass(frozen=True, slots=True)
class Decoded(Generic[Value]):
    """A decoded response: one value per input, in order, and its usage.

    Attributes:
        values: One per input, in order.
        total_tokens: Tokens billed.
        text_tokens: Tokens of text; for multimodal models, like the next two.
        image_pixels: Pixels of images.
        video_pixels: Pixels of videos.
        times_billed: Number of times the request was sent, and billed, until there was a response.
    """

    values: list[Value]
    total_tokens: int
    text_tokens: int = 0
    image_pixels: int = 0
    video_pixels: int = 0
    times_billed: int = 1

    def usage(self, model: str) -> Usage:
        """Return its usage for this model."""
        once = Usage(self.total_tokens, 1, self.text_tokens, self.image_pixels, self.video_pixels)
        return sum([once] * (self.times_billed - 1), once).of(model)


@dataclass(frozen=True, slots=True)
class Chunked:
    """The vectors of chunks that were embedded together.

    Attributes:
        vectors: One per chunk, in order.
        texts: The chunks, if the service created them.
        chunker: Version of the service's chunker, if it was used.
    """

    vectors: list[Vector]
    texts: list[str] | None = None
    chunker: str | None = None


def embed_answer(body: Body, count: int, options: EmbedOptions) -> Decoded[Vector]:
    """Decode a response of `POST /embeddings` to `count` texts."""
    answer = parse_object(body)
    return Decoded(_vectors(answer, count, options), _total_tokens(answer))


def contextual_answer(
    body: Body, expected: Sequence[int | str], options: EmbedOptions
) -> Decoded[Chunked]:
    """Decode a response of `POST /contextualizedembeddings`.

    For each document, its number of chunks is expected, or its text if the service splits it.
    """
    answer = parse_object(body)
    chunker = answer.get("chunker_version")
    documents = [
        _chunked(document, given, options, chunker if isinstance(chunker, str) else None)
        for document, given in zip(
            _in_order(_data(answer), len(expected), "documents"), expected, strict=True
        )
    ]
    _check_lengths([vector for document in documents for vector in document.vectors], options)
    return Decoded(documents, _total_tokens(answer))


def _chunked(
    document: Mapping[str, Any], expected: int | str, options: EmbedOptions, chunker: str | None
) -> Chunked:
    data = _data(document)
    if not data:
        raise UnexpectedAnswerError("the response contains a document without chunks")
    items = _in_order(data, expected if isinstance(expected, int) else len(data), "chunks")
    vectors = decode_all([item.get("embedding") for item in items], options.dtype)
    if isinstance(expected, int):
        return Chunked(vectors)
    texts = [text for item in items if isinstance(text := item.get("text"), str)]
    if len(items) == 1 and not texts:
        texts = [expected]
    if len(texts) != len(items):
        error = UnexpectedAnswerError("the response does not contain the texts of all chunks")
        error.is_systematic = True
        raise error
    return Chunked(vectors, texts, chunker)


def multimodal_answer(body: Body, count: int, options: EmbedOptions) -> Decoded[Vector]:
    """Decode a response of `POST /multimodalembeddings` to `count` inputs."""
    answer = parse_object(body)
    return Decoded(
        _vectors(answer, count, options),
        _total_tokens(answer),
        _used(answer, "text_tokens", MAX_TOKENS),
        _used(answer, "image_pixels", MAX_PIXELS),
        _used(answer, "video_pixels", MAX_PIXELS),
    )


def rerank_answer(body: Body, count: int, top_k: int | None) -> Decoded[float | None]:
    """Decode a response of `POST /rerank` over `count` documents.

    Returns:
        The score of each document; None for documents that are not among the `top_k`.
    """
    answer = parse_object(body)
    ranked = [_score(item) for item in _data(answer)]
    expected = count if top_k is None else min(top_k, count)
    scores = dict(ranked)
    if len(ranked) != expected or len(scores) != expected:
        raise UnexpectedAnswerError(
            f"the response ranks {len(ranked)} documents ({len(scores)} different ones), "
            f"but {expected} of {count} were requested"
        )
    if unknown := scores.keys() - set(range(count)):
        raise UnexpectedAnswerError(
            f"the response ranks a document with index {min(unknown)}, but there are {count}"
        )
    return Decoded(list(map(scores.get, range(count))), _total_tokens(answer))


def parse(body: bytes) -> Any:
    """Parse the JSON of a response."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        if body.lstrip().startswith(b"<"):
            raise _from_elsewhere("the response is a web page, not JSON: check base_url") from None
        raise UnexpectedAnswerError("the response is not JSON") from None


def parse_object(body: Body) -> Mapping[str, Any]:
    """Return the JSON object of a response. A body that is already parsed is returned as it is."""
    answer = parse(body) if isinstance(body, bytes) else body
    if not isinstance(answer, Mapping):
        raise _from_elsewhere("the response is not a JSON object")
    return answer


def _data(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    data = answer.get("data")
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise _from_elsewhere("the response has no list of results under 'data'")
    return data


def _from_elsewhere(message: str) -> UnexpectedAnswerError:
    """Return the error for a response that is probably from another service than the API."""
    error = UnexpectedAnswerError(message)
    error.is_from_elsewhere = True
    return error


def _vectors(answer: Mapping[str, Any], count: int, options: EmbedOptions) -> list[Vector]:
    items = _in_order(_data(answer), count)
    vectors = decode_all([item.get("embedding") for item in items], options.dtype)
    _check_lengths(vectors, options)
    return vectors


def _in_order(
    items: list[Mapping[str, Any]], count: int, what: str = "texts"
) -> list[Mapping[str, Any]]:
    if len(items) != count:
        raise UnexpectedAnswerError(f"the response has {len(items)} vectors for {count} {what}")
    positions = [item.get("index") for item in items]
    expected = list(range(count))
    if positions == expected:
        return items
    numbered = zip(positions, items, strict=True)
    by_index = {position: item for position, item in numbered if type(position) is int}
    if sorted(by_index) != expected:
        raise UnexpectedAnswerError("the response does not contain each index exactly once")
    return [by_index[position] for position in expected]


def _check_lengths(vectors: list[Vector], options: EmbedOptions) -> None:
    lengths = set(map(len, vectors))
    expected = options.expected_length or len(vectors[0])
    if lengths != {expected} or not expected:
        wanted = f" instead of {expected}" if expected else ""
        error = UnexpectedAnswerError(
            f"the vectors in the response have {sorted(lengths)} numbers{wanted}"
        )
        error.is_systematic = len(lengths) == 1
        raise error


def _score(item: Mapping[str, Any]) -> tuple[int, float]:
    index: Any = item.get("index")
    score: Any = item.get("relevance_score")
    if type(index) is not int or not (type(score) in {int, float} and abs(score) <= LARGEST):
        raise UnexpectedAnswerError("a ranked document has no index or no relevance_score")
    return index, float(score)


def _total_tokens(answer: Mapping[str, Any]) -> int:
    return _used(answer, "total_tokens", MAX_TOKENS)


def _used(answer: Mapping[str, Any], what: str, most: int) -> int:
    usage = answer.get("usage")
    number = usage.get(what) if isinstance(usage, Mapping) else None
    return number if type(number) is int and 0 <= number <= most else 0


def decode_all(embeddings: Sequence[object], dtype: OutputDtype) -> list[Vector]:
    """Read the embeddings of a response; see `decode`."""
    return [decode(embedding, dtype) for embedding in embeddings]


def decode(embedding: object, dtype: OutputDtype) -> Vector:
    """Read one embedding, base64 or a list of finite numbers."""
    if isinstance(embedding, str):
        vector = _from_base64(embedding, dtype)
    elif isinstance(embedding, list):
        vector = _from_numbers(embedding, dtype)
    else:
        raise UnexpectedAnswerError(f"an embedding is of type {type(embedding).__name__}")
    if dtype == "float" and vector.tobytes()[TOP_BYTES].translate(None, PLAUSIBLE_TOP_BYTES):
        check_plausible(vector)
    return vector


def _from_base64(text: str, dtype: OutputDtype) -> Vector:
    try:
        numbers: Vector = array(TYPECODES[dtype], binascii.a2b_base64(text, strict_mode=True))
    except (binascii.Error, ValueError) as error:
        raise UnexpectedAnswerError(f"an embedding is not base64 of {dtype}: {error}") from None
    vector = numbers[:]  # without the 6 % of memory that `array` reserves for growth
    if BIG_ENDIAN:
        vector.byteswap()
    return vector


def _from_numbers(numbers: list[float], dtype: OutputDtype) -> Vector:
    try:
        return array(TYPECODES[dtype], numbers)
    except (TypeError, OverflowError, ValueError):
        raise UnexpectedAnswerError(f"an embedding contains values that are not {dtype}") from None
