"""What is embedded, and which vector belongs to it, so that every answer can be checked."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator

WORDS_PER_TEXT = 60
CHARACTERS_PER_TOKEN = 4
BODIES = 1_000
VECTORS = 64
"""Different vectors that the server has. Which one a text gets depends on the text."""

_WORDS = """
    the a of to in is for on with that by this from are as be or which at an it when can has not
    and we he she who may so no if do
    service request vector document answer account limit window retrieval question reader index
    language model dimension number archive harbour mountain weather committee regulation article
    chapter paragraph contract delivery customer payment research experiment temperature pressure
    molecule protein election parliament railway bridge concrete library museum painting orchestra
"""


def texts(count: int) -> list[str]:
    """So many different texts of sixty words."""
    return list(stream(count))


def stream(count: int) -> Iterator[str]:
    """The same, one at a time: a thousand bodies behind different numbers."""
    words, chance = _WORDS.split(), random.Random(0)  # noqa: S311 - nothing here is secret
    bodies = [" ".join(chance.choices(words, k=WORDS_PER_TEXT - 1)) for _ in range(BODIES)]
    for number in range(count):
        yield f"{number} {bodies[number % BODIES]}"


def tokens_of(text: str) -> int:
    """What the server bills for a text."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def vector_of(text: str) -> int:
    """Which of the server's vectors belongs to a text."""
    return zlib.crc32(text.encode()) % VECTORS


def mark_of(vector: int) -> float:
    """The first number of a vector, by which it is known: exact in single precision."""
    return vector / VECTORS
