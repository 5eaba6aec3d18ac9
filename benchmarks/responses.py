"""Responses in Voyage's format, assembled from parts that are prepared in advance."""

from __future__ import annotations

import base64
import json
import random
from array import array
from collections.abc import Sequence

from benchmarks.texts import VECTORS, mark_of, tokens_of, vector_of

MOST_INPUTS = 1_000
DETAIL = "You have exceeded your rate limit. Please wait and try again later."
DETAIL_NAMING = (
    "You have exceeded the project's Requests Per Minute (RPM) rate limit of {:,} or Tokens Per "
    "Minute (TPM) rate limit of {:,} for {}."
)


class ResponseBodies:
    """Bodies of responses to `POST /embeddings`.

    Args:
        dimension: Length of every vector.
    """

    def __init__(self, dimension: int) -> None:
        vectors = [_vector(number, dimension) for number in range(VECTORS)]
        self._pieces = {
            "base64": [_quoted(base64.b64encode(vector.tobytes())) for vector in vectors],
            None: [json.dumps(vector.tolist()).encode() for vector in vectors],
        }
        self._openings = [
            b'%s{"object":"embedding","index":%d,"embedding":' % (b"," * (index > 0), index)
            for index in range(MOST_INPUTS)
        ]

    def embedded(self, texts: Sequence[str], encoding: str | None, model: str) -> bytes:
        """Return a body with one vector per text."""
        vectors = self._pieces[encoding]
        parts = [b'{"object":"list","data":[']
        for opening, text in zip(self._openings, texts, strict=False):
            parts += (opening, vectors[vector_of(text)], b"}")
        usage = {"total_tokens": sum(map(tokens_of, texts))}
        parts.append(b'],"model":"%s","usage":%s}' % (model.encode(), json.dumps(usage).encode()))
        return b"".join(parts)


def body_of_429(model: str, named: tuple[float, float] | None) -> bytes:
    """Return the body of a 429; some deployments of Voyage name the limits, others do not."""
    detail = DETAIL if named is None else DETAIL_NAMING.format(*map(round, named), model)
    return json.dumps({"detail": detail}).encode()


def _vector(number: int, dimension: int) -> array[float]:
    chance = random.Random(number)  # noqa: S311 - nothing here is secret
    return array("f", [mark_of(number), *(chance.gauss(0, 0.03) for _ in range(dimension - 1))])


def _quoted(text: bytes) -> bytes:
    return b'"' + text + b'"'
