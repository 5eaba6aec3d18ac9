"""Vectors from words: texts that share words are close together.

NOT VOYAGE'S VECTORS. Voyage's models represent meaning; this module only counts words and parts:

1. `words.split_words` returns weighted stems. Every stem is one feature; so is every sequence of
   four and five letters inside `^word$`, at a small weight, which brings `serialise` near
   `serialization`. A word counts by the square root of its frequency, and more in the first line.
2. Each feature has sixteen of 1,904 positions, each with a sign, all taken from its BLAKE2 hash.
   The features of a text are added at their positions (a count sketch, which is a sparse random
   projection). The other 144 of the 2,048 positions are those of the input types.
3. A Walsh-Hadamard rotation spreads those positions over all dimensions. It preserves angles, and
   makes each prefix of the vector a random projection, so that the first 256, 512 or 1,024
   dimensions, renormalised, keep most of the information, as in Voyage's Matryoshka vectors.
4. The input type adds a vector of the same length that depends only on the length of the text.
   Those of queries and of documents are orthogonal: the cosine of a text as query and as document
   is about 0.5 (the service: 0.504), and only the words decide a search. If both sides have the
   same type, the lengths of the texts also matter, and the search is worse: with the service,
   documents that were embedded as queries are hardly found.
5. Each model family flips other signs, so vectors of different families are not comparable. With
   the service, too, only the voyage-4 models share a space.

All numbers are derived from hashes: a text has the same vector in every process.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from hashlib import blake2b
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from voyage_rag.emulator.words import Word, split_words

Floats: TypeAlias = NDArray[np.float32]

DIMENSIONS = 2048
"""Length of the longest vectors; shorter ones are their prefixes."""

_POSITIONS = 16  # of each feature, from two bytes of its hash each
_PART_LENGTHS = (4, 5)  # letters
_PART_WEIGHT = 0.12
_MAX_WORD_LETTERS = 40  # of a word; longer ones are data, not language
_FIRST_LINE_WEIGHT = 1.6
_BLOCK_TEXTS = 256  # rotated at once, so that the intermediate array is small

# By the rotation, the first 256 dimensions are sums of the positions that are equal modulo 256.
# Positions are reserved for input types, so that words and types are orthogonal at all dimensions.
_PERIOD = 256
_FREQUENCIES = (2, 4, 8)  # of the logarithm of the length; each has a cosine and a sine
_TYPES = (None, "query", "document")
_RESERVED = 2 * len(_FREQUENCIES) * len(_TYPES)
_TYPE_WEIGHTS = {None: 0.3, "query": 1.0, "document": 1.0}  # the weight of words is one

_DECIMALS = 9  # of a number written as JSON, as recorded
_FULL_SCALE = 4.0  # standard deviations at the outermost of the 256 steps


def sketch(texts: Sequence[str]) -> Floats:
    """Return one unit vector per text, shape (texts, 2048), before prompt, family and dimension."""
    rows = np.empty((len(texts), DIMENSIONS), dtype=np.float32)
    for start in range(0, len(texts), _BLOCK_TEXTS):
        scattered = np.stack([_scatter(text) for text in texts[start : start + _BLOCK_TEXTS]])
        # In double precision, so that the result does not depend on how many texts are rotated.
        rows[start : start + _BLOCK_TEXTS] = _rotate(scattered)
    return normalise(rows)


def shape(
    rows: Floats, texts: Sequence[str], family: str, dimension: int, input_type: str | None
) -> Floats:
    """Return sketches as unit vectors of a model family, shape (rows, dimension).

    Args:
        rows: Unit vectors of `sketch`, or combinations of them.
        texts: One text per row; only its length matters.
        family: Models of one family share a space.
        dimension: Length of the vectors.
        input_type: `query`, `document` or None.
    """
    lengths = np.log([max(len(text), 1) for text in texts])[:, None] * np.array(_FREQUENCIES)
    waves = np.concatenate([np.cos(lengths), np.sin(lengths)], axis=1)
    waves *= _TYPE_WEIGHTS[input_type] / np.sqrt(len(_FREQUENCIES))
    first = _TYPES.index(input_type) * waves.shape[1]
    axes = _hadamard(_PERIOD)[first : first + waves.shape[1]] / np.sqrt(DIMENSIONS)
    typed = rows + waves @ np.tile(axes, DIMENSIONS // _PERIOD)
    return normalise((typed * _signs(family))[:, :dimension].astype(np.float32))


def normalise(rows: Floats) -> Floats:
    """Return unit vectors, shape (rows, dimension)."""
    normalised: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return normalised


def convert(rows: Floats, dtype: str, *, as_base64: bool) -> NDArray[Any]:
    """Return unit vectors in a number type of the service.

    Source: "Flexible dimensions and quantization" in Voyage's documentation.

    Args:
        rows: Shape (vectors, dimension).
        dtype: `float`, `int8`, `uint8`, `binary` or `ubinary`; the last two hold eight dimensions
            in a byte, the first in its highest bit, `binary` with 128 subtracted.
        as_base64: Whether they are sent as bytes, so that floats are not rounded.
    """
    if dtype == "float":
        # Adding zero turns -0.0, which the service never sent, into 0.0.
        return rows if as_base64 else np.round(rows.astype(np.float64), _DECIMALS) + 0.0
    if dtype in ("binary", "ubinary"):
        packed = np.packbits(rows > 0, axis=1)
        return packed if dtype == "ubinary" else (packed.astype(np.int16) - 128).astype(np.int8)
    # One scale for all vectors of a dimension, so that their products can be compared.
    steps = np.round(rows * (np.sqrt(rows.shape[1]) * 127 / _FULL_SCALE)).clip(-128, 127)
    integers: NDArray[Any] = (steps + (128 if dtype == "uint8" else 0)).astype(dtype)
    return integers


def to_bfloat16(values: Floats) -> Floats:
    """Round to the nearest bfloat16, a float32 whose lower 16 bits are zero."""
    rounded: Floats = ((values.view(np.uint32) + 0x8000) & 0xFFFF0000).view(np.float32)
    return rounded


def _scatter(text: str) -> NDArray[np.float64]:
    """Add the features of one text at their positions, shape (2048,), before the rotation."""
    counts: dict[Word, float] = {}
    heading, _, body = text.strip().partition("\n")
    for part, amount in ((heading, _FIRST_LINE_WEIGHT), (body, 1.0)):
        for word in split_words(part):
            counts[word] = counts.get(word, 0.0) + amount
    if not counts:  # no letters or digits: only the whole text distinguishes it
        return _add_up(*_hash_feature(f"text {text}"))
    features = [_features(word) for word in counts]
    positions = np.concatenate([positions for positions, _ in features])
    factors = np.sqrt(np.array(list(counts.values()), np.float32))
    factors = np.repeat(factors, [len(positions) for positions, _ in features])
    return _add_up(positions, np.concatenate([amounts for _, amounts in features]) * factors)


def _add_up(positions: NDArray[np.uint16], amounts: Floats) -> NDArray[np.float64]:
    return np.bincount(positions, amounts, DIMENSIONS).astype(np.float64, copy=False)


@lru_cache(maxsize=20_000)
def _features(word: Word) -> tuple[NDArray[np.uint16], Floats]:
    """Return the positions of a word's stem and parts, and the number to add at each."""
    bounded = f"^{word.text[:_MAX_WORD_LETTERS]}$"
    parts = {
        bounded[start : start + length]
        for length in _PART_LENGTHS
        for start in range(len(bounded) - length + 1)
    }
    names = [f"word {word.stem}", *(f"piece {part}" for part in sorted(parts))]
    positions, signs = zip(*map(_hash_feature, names), strict=True)
    weights = np.full(len(names), word.weight * _PART_WEIGHT, np.float32)
    weights[0] = word.weight
    return np.concatenate(positions), np.concatenate(signs) * np.repeat(weights, _POSITIONS)


@lru_cache(maxsize=50_000)
def _hash_feature(feature: str) -> tuple[NDArray[np.uint16], Floats]:
    """Return sixteen positions and signs (1 or -1) from a feature's hash."""
    digest = blake2b(feature.encode("utf-8", "surrogatepass"), digest_size=2 * _POSITIONS).digest()
    numbers = np.frombuffer(digest, dtype="<u2").astype(np.uint16)
    block, offset = np.divmod(numbers, _PERIOD - _RESERVED)
    positions = block % (DIMENSIONS // _PERIOD) * _PERIOD + _RESERVED + offset
    return positions, np.where(numbers >= 2**15, 1, -1).astype(np.float32)


@cache
def _hadamard(size: int) -> NDArray[np.float64]:
    matrix = np.ones((1, 1))
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


def _rotate(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Multiply by the Hadamard matrix of order 2,048, as by those of order 64 and 32 in turn."""
    outer, inner = 32, 64
    folded = rows.reshape(len(rows), outer, inner) @ _hadamard(inner)
    rotated: NDArray[np.float64] = _hadamard(outer) @ folded
    return rotated.reshape(len(rows), DIMENSIONS)


@cache
def _signs(family: str) -> Floats:
    """Return the signs of a model family, 1 or -1, shape (2048,)."""
    names = (f"family {family} {block}" for block in range(DIMENSIONS // 512))
    digests = b"".join(blake2b(name.encode()).digest() for name in names)
    bits: Floats = np.unpackbits(np.frombuffer(digests, dtype=np.uint8)).astype(np.float32)
    return 2 * bits - 1
