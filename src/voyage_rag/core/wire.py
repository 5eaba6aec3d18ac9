"""JSON out and JSON in, one pair of functions per endpoint. Answers are believed only when checked.

Fields are those of Voyage's API reference; unknown fields of an answer are ignored, since the
service adds some now and then.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voyage_rag.core.vectors import decode, length_of
from voyage_rag.errors import UnexpectedAnswerError

if TYPE_CHECKING:
    from voyage_rag.core.dialect import Dialect
    from voyage_rag.models import OutputDtype
    from voyage_rag.types import Vector

LARGEST = sys.float_info.max
MOST_TOKENS = 10**9
"""More than any request can cost: a larger number is no bill."""


@dataclass(frozen=True, slots=True)
class EmbedOptions:
    """What holds for every text of a call.

    Attributes:
        model: Name of the model.
        input_type: `query`, `document` or None for neither prompt.
        truncation: Cut texts to the context instead of refusing them.
        output_dimension: Length of the vectors, None for the model's default.
        output_dtype: Number type of the vectors, None for float.
        expected_dimension: The length an answer must have, None where it is not known.
    """

    model: str
    input_type: str | None
    truncation: bool
    output_dimension: int | None
    output_dtype: OutputDtype | None
    expected_dimension: int | None

    @property
    def dtype(self) -> OutputDtype:
        """The number type the answer comes in."""
        return self.output_dtype or "float"


@dataclass(frozen=True, slots=True)
class Embedded:
    """An answer of the embeddings endpoint, in input order."""

    vectors: list[Vector]
    total_tokens: int


@dataclass(frozen=True, slots=True)
class Ranked:
    """Answers of the rerank endpoint: (index, score) by falling score."""

    scores: list[tuple[int, float]]
    total_tokens: int
    requests: int = 1


def embed_body(texts: Sequence[str], options: EmbedOptions, dialect: Dialect) -> bytes:
    """The request of `POST /embeddings`."""
    alone = len(texts) == 1 and dialect.longest_in_list is not None
    fields = {
        "input": texts[0] if alone else list(texts),
        "model": options.model,
        "input_type": options.input_type,
        "truncation": options.truncation,
        "output_dimension": options.output_dimension,
        "output_dtype": options.output_dtype,
        "encoding_format": "base64",
    }
    return _encode(fields, dialect)


def rerank_body(
    query: str,
    documents: Sequence[str],
    model: str,
    top_k: int | None,
    *,
    truncation: bool,
    dialect: Dialect,
) -> bytes:
    """The request of `POST /rerank`."""
    fields = {
        "query": query,
        "documents": list(documents),
        "model": model,
        "top_k": top_k,
        "truncation": truncation,
    }
    return _encode(fields, dialect)


def embed_answer(body: bytes, count: int, options: EmbedOptions) -> Embedded:
    """Read an answer of `POST /embeddings` to `count` texts.

    Raises:
        UnexpectedAnswerError: It does not hold exactly one sound vector per text.
    """
    answer = _decode(body)
    items = _in_order(_data(answer), count)
    vectors = [decode(item.get("embedding"), options.dtype) for item in items]
    _check_lengths(vectors, options)
    return Embedded(vectors, _total_tokens(answer))


def rerank_answer(body: bytes, count: int, top_k: int | None) -> Ranked:
    """Read an answer of `POST /rerank` over `count` documents.

    Raises:
        UnexpectedAnswerError: It does not rank the number of documents asked for, each once.
    """
    answer = _decode(body)
    scores = [_score(item) for item in _data(answer)]
    expected = count if top_k is None else min(top_k, count)
    indices = {index for index, _ in scores}
    if len(scores) != expected or len(indices) != expected or not indices <= set(range(count)):
        raise UnexpectedAnswerError(
            f"the answer ranks {len(scores)} documents ({len(indices)} different ones) where "
            f"{expected} of {count} were asked for"
        )
    scores.sort(key=lambda pair: -pair[1])
    return Ranked(scores, _total_tokens(answer))


def detail_of(body: bytes) -> str:
    """What an error answer says of itself, whatever its shape; never fails."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        text = body[:300].decode("utf-8", "replace").strip()
        return "" if text.startswith("<") else text
    if isinstance(answer, Mapping):
        for name in ("detail", "message", "error"):
            if said := answer.get(name):
                if isinstance(said, Mapping) and isinstance(said.get("message"), str):
                    said = said["message"]
                return said if isinstance(said, str) else json.dumps(said)[:300]
    return json.dumps(answer)[:300] if answer else ""


def _encode(fields: dict[str, Any], dialect: Dialect) -> bytes:
    sent = {name: value for name, value in fields.items() if value is not None}
    known = {name: value for name, value in sent.items() if dialect.knows(name)}
    return json.dumps(known, ensure_ascii=False, separators=(",", ":")).encode()


def _decode(body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise UnexpectedAnswerError("the answer is not JSON") from None
    if not isinstance(answer, Mapping):
        raise UnexpectedAnswerError("the answer is no JSON object")
    return answer


def _data(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    data = answer.get("data")
    if not isinstance(data, list) or not all(isinstance(item, Mapping) for item in data):
        raise UnexpectedAnswerError("the answer holds no list of results under 'data'")
    return data


def _in_order(items: list[Mapping[str, Any]], count: int) -> list[Mapping[str, Any]]:
    if len(items) != count:
        raise UnexpectedAnswerError(f"the answer holds {len(items)} vectors for {count} texts")
    positions = [item.get("index") for item in items]
    expected = list(range(count))
    if positions == expected:
        return items
    by_index = {position: item for position, item in zip(positions, items, strict=True)
                if type(position) is int}  # fmt: skip
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
    usage = answer.get("usage")
    tokens = usage.get("total_tokens") if isinstance(usage, Mapping) else None
    return tokens if type(tokens) is int and 0 <= tokens <= MOST_TOKENS else 0
