"""The fuzz targets and their invariants: a valid result, or an error of this package."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Iterable
from typing import Any

from fakes import base64_of
from voyage_rag.core.failures import failure_of
from voyage_rag.core.options import EmbedOptions
from voyage_rag.core.rate_limits import limits_in_message
from voyage_rag.core.wire.responses import (
    contextual_answer,
    embed_answer,
    multimodal_answer,
    rerank_answer,
)
from voyage_rag.errors import UnexpectedAnswerError, VoyageError
from voyage_rag.hosts import select_host
from voyage_rag.hosts.messages import Request, Response
from voyage_rag.io.http.response import ResponseBody, UnreadableBodyError
from voyage_rag.models import ALL_DTYPES, OutputDtype
from voyage_rag.secret import APIKey

Target = Callable[[bytes], None]

MOST = 2**16
REQUEST = Request("/embeddings", b"", "a-model", 1)
HOST = select_host(APIKey("pa-fuzz"), None)


def texts(body: bytes, count: int, dtype: OutputDtype | None, dimension: int | None) -> None:
    """An answer of `POST /embeddings`."""
    try:
        read = embed_answer(body, count, EmbedOptions("m", None, True, None, dtype, dimension))
    except UnexpectedAnswerError:
        return
    _check_vectors(read.values, count)
    assert read.total_tokens >= 0


def chunks(
    body: bytes, expected: list[int | str], dtype: OutputDtype | None, dimension: int | None
) -> None:
    """An answer of `POST /contextualizedembeddings`."""
    options = EmbedOptions("m", None, True, None, dtype, dimension)
    try:
        read = contextual_answer(body, expected, options)
    except UnexpectedAnswerError:
        return
    assert len(read.values) == len(expected)
    for document, given in zip(read.values, expected, strict=True):
        count = len(document.vectors)
        assert count == (given if isinstance(given, int) else len(document.texts or [])) > 0
    _check_vectors([vector for document in read.values for vector in document.vectors], None)
    assert read.total_tokens >= 0


def media(body: bytes, count: int, dtype: OutputDtype | None, dimension: int | None) -> None:
    """An answer of `POST /multimodalembeddings`."""
    options = EmbedOptions("m", None, True, None, dtype, dimension)
    try:
        read = multimodal_answer(body, count, options)
    except UnexpectedAnswerError:
        return
    _check_vectors(read.values, count)
    usage = (read.total_tokens, read.text_tokens, read.image_pixels, read.video_pixels)
    assert all(type(number) is int and number >= 0 for number in usage)


def ranking(body: bytes, count: int, top_k: int | None) -> None:
    """An answer of `POST /rerank`."""
    try:
        read = rerank_answer(body, count, top_k)
    except UnexpectedAnswerError:
        return
    scores = [score for score in read.values if score is not None]
    assert len(read.values) == count
    assert len(scores) == min(top_k or count, count)
    assert all(map(math.isfinite, scores))


def failure(body: bytes, status: int) -> None:
    """An error answer: always an error of ours, with a message, and limits if it names some."""
    error = failure_of(REQUEST, Response(status, {}, body), HOST, lambda: 0.0)
    assert isinstance(error, VoyageError)
    assert str(error)
    named = limits_in_message(error.message)
    for number in (named.requests_per_minute, named.tokens_per_minute):
        assert number is None or (math.isfinite(number) and number >= 0)


def packing(sent: bytes, cut: int) -> None:
    """A packed body: unpacked within its limit, or refused."""
    body = ResponseBody({"content-encoding": "gzip"}, MOST)
    try:
        body.add(sent[:cut])
        body.add(sent[cut:])
        assert len(body.finish()) <= MOST
    except UnreadableBodyError:
        return


def _check_vectors(vectors: Iterable[Any], count: int | None) -> None:
    held = list(vectors)
    assert count is None or len(held) == count
    assert len({len(vector) for vector in held}) == 1
    assert all(math.isfinite(number) for vector in held for number in vector)


# ── bytes alone, for a fuzzer ─────────────────────────────────────────────────────────────────────


def _dtype(first: int) -> OutputDtype:
    return ALL_DTYPES[first % len(ALL_DTYPES)]


def _texts(data: bytes) -> None:
    if data:
        texts(data[1:], 1 + data[0] // 32 % 4, _dtype(data[0]), None)


def _chunks(data: bytes) -> None:
    if data:
        choices: list[list[int | str]] = [[1], [2, 1], ["text"], ["text", "text"]]
        chunks(data[1:], choices[data[0] // 32 % 4], _dtype(data[0]), None)


def _media(data: bytes) -> None:
    if data:
        media(data[1:], 1 + data[0] // 32 % 4, _dtype(data[0]), None)


def _ranking(data: bytes) -> None:
    if data:
        ranking(data[1:], 1 + data[0] % 4, data[0] // 4 % 6 or None)


STATUSES = (307, 400, 401, 403, 404, 408, 413, 429, 500, 503, 529, 599, 600, 999, 100)


def _failure(data: bytes) -> None:
    if data:
        failure(data[1:], STATUSES[data[0] % len(STATUSES)])


def _packing(data: bytes) -> None:
    if data:
        packing(data[1:], data[0])


TARGETS: dict[str, Target] = {
    "texts": _texts,
    "chunks": _chunks,
    "media": _media,
    "ranking": _ranking,
    "failure": _failure,
    "packing": _packing,
}

_ITEM = {"object": "embedding", "embedding": base64_of([0.5, 0.25]), "index": 0}
_USAGE = {"total_tokens": 3, "text_tokens": 1, "image_pixels": 2, "video_pixels": 0}
_RANKED = [{"index": 1, "relevance_score": 0.5}, {"index": 0, "relevance_score": 0.25}]

EXAMPLES: dict[str, list[bytes]] = {
    "texts": [
        b"\0" + json.dumps({"data": [_ITEM], "usage": _USAGE}).encode(),
        b"\x20" + json.dumps({"data": [_ITEM, _ITEM | {"index": 1}], "usage": _USAGE}).encode(),
        b"\0" + json.dumps({"data": [_ITEM | {"embedding": [1, 2.5]}]}).encode(),
    ],
    "chunks": [
        b"\0" + json.dumps({"data": [{"data": [_ITEM], "index": 0}], "usage": _USAGE}).encode(),
        b"\x40" + json.dumps({"data": [{"data": [_ITEM | {"text": "a"}], "index": 0}]}).encode(),
    ],
    "media": [b"\0" + json.dumps({"data": [_ITEM], "usage": _USAGE}).encode()],
    "ranking": [b"\1" + json.dumps({"data": _RANKED, "usage": _USAGE}).encode()],
    "failure": [
        b"\7" + json.dumps({"detail": "3 RPM and 10K TPM"}).encode(),
        b"\1" + json.dumps({"error": {"message": "example at index 3"}}).encode(),
    ],
    "packing": [b"\5" + zlib.compress(b"{}" * 99, wbits=31), b"\1" + bytes(99)],
}
"""What each target is fed first, so that a fuzzer learns the shape."""
