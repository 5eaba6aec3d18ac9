"""The texts and their vectors, so that every response can be checked."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator

WORDS_PER_TEXT = 60
CHARACTERS_PER_TOKEN = 4
BODIES = 1_000
VECTORS = 64
"""Number of distinct vectors of the server; the text determines which one it receives."""

_WORDS = """
    the a of to in is for on with that by this from are as be or which at an it when can has not
    and we he she who may so no if do
    service request vector document answer account limit window retrieval question reader index
    language model dimension number archive harbour mountain weather committee regulation article
    chapter paragraph contract delivery customer payment research experiment temperature pressure
    molecule protein election parliament railway bridge concrete library museum painting orchestra
"""


def texts(count: int) -> list[str]:
    """Return distinct texts of sixty words."""
    return list(stream(count))


def stream(count: int) -> Iterator[str]:
    """Yield them: a thousand bodies after consecutive numbers."""
    words, chance = _WORDS.split(), random.Random(0)  # noqa: S311 - not used for security
    bodies = [" ".join(chance.choices(words, k=WORDS_PER_TEXT - 1)) for _ in range(BODIES)]
    for number in range(count):
        yield f"{number} {bodies[number % BODIES]}"


def tokens_of(text: str) -> int:
    """Return the tokens that the server bills for a text."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def vector_of(text: str) -> int:
    """Return the number of the vector that belongs to a text."""
    return zlib.crc32(text.encode()) % VECTORS


def mark_of(vector: int) -> float:
    """Return the first element of a vector, which identifies it; exact in single precision."""
    return vector / VECTORS
