"""Vectors from words, so that texts which share words lie close together.

NOT VOYAGE'S VECTORS. Voyage's models read meaning; this file only counts words and pieces of words.
How a text becomes numbers:

1. `words.split_words` gives weighted stems. Every stem is one feature; so is every run of four and
   five letters inside `^word$`, at a small weight, which brings `serialise` near `serialization`.
   A word counts by the square root of how often it occurs, and more in the first line.
2. A feature owns sixteen of 2,048 places, each with a sign, all read from its BLAKE2 hash. A text
   adds up its features there (a count sketch, the sparse kind of random projection).
3. A Walsh-Hadamard rotation spreads those places over all dimensions. It changes no angle; it makes
   each prefix of the vector a random projection of its own, so the first 256, 512 or 1,024
   dimensions, renormalised, keep most of what the whole knows, as Voyage's Matryoshka vectors do.
4. The input type adds a small constant of its own: queries and documents differ, and stay
   comparable. Each model family flips its own signs, so vectors of unlike models mean nothing to
   each other, as with the service, where only the voyage-4 models share a space.

Everything follows from hashes: the same text gives the same numbers in any process.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from hashlib import blake2b
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from voyage_rag.emulator.words import Word, split_words

Floats: TypeAlias = NDArray[np.float32]

DIMENSIONS = 2048
"""Of the widest vector offered; narrower ones are its prefixes."""

_PLACES = 16  # of each feature; its hash gives two bytes for each
_PIECE_LENGTHS = (4, 5)
_PIECE_WEIGHT = 0.12
_LONGEST_WORD = 40  # letters read of one word; more is data, not language
_FIRST_LINE = 1.6  # a word of the heading counts as this many
_BLOCK = 256  # texts rotated at once, to keep the intermediate small
_PROMPT_SIZE = 0.08  # length of what the input type adds to a vector of length 1


def sketch(texts: Sequence[str]) -> Floats:
    """Return one unit vector per text, shape (texts, 2048), before prompt, family and dimension."""
    rows = np.empty((len(texts), DIMENSIONS), dtype=np.float32)
    for start in range(0, len(texts), _BLOCK):
        scattered = np.stack([_scatter(text) for text in texts[start : start + _BLOCK]])
        # Rotated in double precision, so that rounding hides how many texts went together.
        rows[start : start + _BLOCK] = _rotate(scattered)
    return normalise(rows)


def shape(rows: Floats, family: str, dimension: int, input_type: str | None) -> Floats:
    """Return `rows` as a model family answers them, shape (rows, dimension), unit length each."""
    if input_type is not None:
        rows = rows + _PROMPT_SIZE * _constant(f"input_type {input_type}")
    return normalise((rows * np.sign(_constant(f"family {family}")))[:, :dimension])


def normalise(rows: Floats) -> Floats:
    """Return `rows` with length 1 each."""
    normalised: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return normalised


def _scatter(text: str) -> NDArray[np.float64]:
    """Add up the features of one text at their places; unrotated, shape (2048,)."""
    counts: dict[Word, float] = {}
    heading, _, body = text.strip().partition("\n")
    for part, amount in ((heading, _FIRST_LINE), (body, 1.0)):
        for word in split_words(part):
            counts[word] = counts.get(word, 0.0) + amount
    if not counts:  # no letters or digits: tell such texts apart by their characters
        places, signs = _places(f"text {text}")
        return _add_up(places, signs)
    features = [_features(word) for word in counts]
    places = np.concatenate([places for places, _ in features])
    times = np.sqrt(np.array(list(counts.values()), np.float32))
    amounts = np.repeat(times, [len(places) for places, _ in features])
    signs = np.concatenate([signs for _, signs in features])
    return _add_up(places, signs * amounts)


def _add_up(places: NDArray[np.uint16], amounts: Floats) -> NDArray[np.float64]:
    return np.bincount(places, amounts, DIMENSIONS).astype(np.float64, copy=False)


@lru_cache(maxsize=20_000)
def _features(word: Word) -> tuple[NDArray[np.uint16], Floats]:
    """Return the places of a word's stem and pieces, and what it adds at each."""
    bounded = f"^{word.text[:_LONGEST_WORD]}$"
    pieces = {
        bounded[start : start + length]
        for length in _PIECE_LENGTHS
        for start in range(len(bounded) - length + 1)
    }
    parts = [_places(f"word {word.stem}")] + [_places(f"piece {piece}") for piece in sorted(pieces)]
    weights = np.full(len(parts), word.weight * _PIECE_WEIGHT, np.float32)
    weights[0] = word.weight
    places = np.concatenate([places for places, _ in parts])
    signs = np.concatenate([signs for _, signs in parts])
    return places, signs * np.repeat(weights, _PLACES)


@lru_cache(maxsize=50_000)
def _places(feature: str) -> tuple[NDArray[np.uint16], Floats]:
    """Read sixteen places (0 to 2047) and signs (1 or -1) from a feature's hash."""
    digest = blake2b(feature.encode("utf-8", "surrogatepass"), digest_size=2 * _PLACES).digest()
    numbers = np.frombuffer(digest, dtype="<u2").astype(np.uint16)
    return numbers % DIMENSIONS, np.where(numbers >= 2**15, 1, -1).astype(np.float32)


@cache
def _hadamard(size: int) -> NDArray[np.float64]:
    matrix = np.ones((1, 1))
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


def _rotate(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Multiply by the 2,048-sided Hadamard matrix, as a 32-sided and a 64-sided one in turn."""
    outer, inner = 32, 64
    folded = rows.reshape(len(rows), outer, inner) @ _hadamard(inner)
    rotated: NDArray[np.float64] = _hadamard(outer) @ folded
    return rotated.reshape(len(rows), DIMENSIONS)


@cache
def _constant(name: str) -> Floats:
    """Return the one fixed unit vector of that name, no entry of it zero, shape (2048,)."""
    signs = np.unpackbits(np.frombuffer(_stream(name, DIMENSIONS // 8), dtype=np.uint8))
    constant: Floats = ((2.0 * signs - 1.0) / np.sqrt(DIMENSIONS)).astype(np.float32)
    return constant


def _stream(name: str, size: int) -> bytes:
    blocks = (blake2b(f"{name} {block}".encode()).digest() for block in range(-(-size // 64)))
    return b"".join(blocks)[:size]
