"""Convert requests and responses for hosts that lack prompts, dimensions or number types."""

from __future__ import annotations

import base64
import math
import sys
from array import array
from collections.abc import Iterable, Mapping
from typing import Any

from voyage_rag.errors import ConfigurationError, UnexpectedAnswerError
from voyage_rag.models import MODELS

PROMPTS: Mapping[str, str] = {
    "query": "Represent the query for retrieving supporting documents: ",
    "document": "Represent the document for retrieval: ",
}
"""The prompts that the Voyage API puts before texts (docs: "Text Embeddings")."""

PLAUSIBLE_TOP_BYTES = bytes(byte for byte in range(256) if byte & 0x7F < 0x60)  # noqa: PLR2004
"""Top bytes of float32 numbers below 3.7e19. Others are NaN, infinite, or part of another type: in
base64 of float64, every second number is arbitrary.
"""
BIG_ENDIAN = sys.byteorder == "big"
TOP_BYTES = slice(0 if BIG_ENDIAN else 3, None, 4)
SIGN_BIT = 0x80
BYTE_BITS = 8


def checked_prompts(prompts: object) -> dict[str, str]:
    """Return the prompts, or raise a `ConfigurationError` for other keys or values."""
    if isinstance(prompts, Mapping) and prompts.keys() <= PROMPTS.keys():
        checked = {name: text for name, text in prompts.items() if isinstance(text, str)}
        if len(checked) == len(prompts):
            return checked
    raise ConfigurationError(
        "prompts must be a dictionary of the texts to put before a 'query' and a 'document', as in "
        f"{{'query': 'query: '}}, not {prompts!r}"
    )


def checked_batch_size(batch_size: object) -> int:
    """Return the number of texts per request, or raise a `ConfigurationError`."""
    if type(batch_size) is not int or batch_size < 1:
        raise ConfigurationError(
            f"batch_size must be a whole number of at least 1, not {batch_size!r}"
        )
    return batch_size


def with_prompt(texts: list[str], input_type: str | None, prompts: Mapping[str, str]) -> list[str]:
    """Return texts with the prompt of an input type."""
    prompt = prompts.get(input_type or "", "")
    return [prompt + text for text in texts] if prompt else texts


def parse_strings(document: Any) -> Any:
    """Replace strings by numbers in a response, in place.

    A vector that is a single string is base64 and is not changed.
    """
    if isinstance(document, dict):
        for name in ("index", "relevance_score", "total_tokens", "text_tokens"):
            if isinstance(document.get(name), str):
                document[name] = _number(document[name])
        embedding = document.get("embedding")
        if isinstance(embedding, list) and any(isinstance(number, str) for number in embedding):
            document["embedding"] = list(map(_number, embedding))
        for name in ("data", "usage"):
            parse_strings(document.get(name))
    elif isinstance(document, list):
        for item in document:
            parse_strings(item)
    return document


def _number(text: object) -> object:
    if not isinstance(text, str):
        return text
    try:
        number = float(text)
    except ValueError:
        raise UnexpectedAnswerError("the response contains a text instead of a number") from None
    return int(number) if number.is_integer() and "." not in text and "e" not in text else number


def dimension_of(model: str, output_dimension: int | None) -> int | None:
    """Return the length of the requested vectors; None if only the host knows."""
    if output_dimension is not None:
        return output_dimension
    return MODELS[model].default_dimension if model in MODELS else None


def convert(embedding: object, dimension: int | None, dtype: str) -> object:
    """Shorten and quantise a float vector if necessary.

    Args:
        embedding: A list of numbers, or base64 of little-endian floats.
        dimension: Number of dimensions to keep; None for all.
        dtype: `float`, `binary` or `ubinary`.

    Returns:
        A vector in one of the formats that the Voyage API sends.

    Raises:
        UnexpectedAnswerError: The value is not a vector, or has fewer dimensions.
    """
    if dtype == "float" and (dimension is None or _length(embedding) == dimension):
        return embedding
    vector = _floats(embedding)
    if dimension is not None:
        vector = shortened(vector, dimension)
    return encoded(vector, dtype)


def shortened(vector: array[float], dimension: int) -> array[float]:
    """Return the first dimensions, normalised again (docs: "Flexible Dimensions")."""
    if len(vector) < dimension:
        error = UnexpectedAnswerError(
            f"the response contains vectors of {len(vector)} instead of {dimension} dimensions: "
            "pass an output_dimension that the model supports"
        )
        error.is_systematic = True
        raise error
    kept = vector[:dimension]
    norm = math.sqrt(math.fsum(number * number for number in kept))
    return array("f", [number / norm for number in kept]) if norm else kept


def encoded(vector: array[float], dtype: str) -> str:
    """Return base64 of a vector: of its floats, or of its signs, eight per byte.

    Raises:
        UnexpectedAnswerError: The signs cannot be packed.
    """
    if dtype == "float":
        if BIG_ENDIAN:
            vector = vector[:]
            vector.byteswap()
        return base64.b64encode(vector.tobytes()).decode()
    if not vector or len(vector) % BYTE_BITS:
        error = UnexpectedAnswerError(
            f"the response contains vectors of {len(vector)} dimensions, of which {dtype!r} cannot "
            "pack eight to a byte: pass output_dtype='float'"
        )
        error.is_systematic = True
        raise error
    bits = "".join("1" if number > 0 else "0" for number in vector)
    packed = int(bits, 2).to_bytes(len(bits) // BYTE_BITS, "big")
    if dtype == "binary":
        packed = bytes(byte ^ SIGN_BIT for byte in packed)
    return base64.b64encode(packed).decode()


def is_plausible(vector: array[Any]) -> bool:
    """Return whether all floats are finite and of a usual size, by their top bytes only."""
    return not vector.tobytes()[TOP_BYTES].translate(None, PLAUSIBLE_TOP_BYTES)


def check_plausible(vector: array[Any]) -> None:
    """Raise an `UnexpectedAnswerError` for floats that no model has computed."""
    if not is_plausible(vector):
        raise UnexpectedAnswerError(
            "an embedding contains numbers that are not finite or exceed 1e19: the server may "
            "encode another type than float32"
        )


def check_equal_lengths(embeddings: Iterable[object]) -> None:
    """Raise an `UnexpectedAnswerError` if vectors differ in length, which shortening would hide."""
    lengths = {length for one in embeddings if (length := _length(one)) is not None}
    if len(lengths) > 1:
        raise UnexpectedAnswerError(f"the response contains vectors of {sorted(lengths)} numbers")


def _length(embedding: object) -> int | None:
    if isinstance(embedding, list):
        return len(embedding)
    if isinstance(embedding, str):
        padding = embedding[-2:].count("=")
        return (len(embedding) * 3 // 4 - padding) // 4
    return None


def _floats(embedding: object) -> array[float]:
    vector: array[float] | None = None
    try:
        if isinstance(embedding, list):
            vector = array("f", embedding)
        elif isinstance(embedding, str):
            vector = array("f", base64.b64decode(embedding, validate=True))
            if BIG_ENDIAN:
                vector.byteswap()
    except (TypeError, ValueError, OverflowError):
        vector = None
    if vector is None:
        raise UnexpectedAnswerError("the response does not contain a vector")
    check_plausible(vector)
    return vector
