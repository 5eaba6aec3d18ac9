"""Passages to embed, all different, generated from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

CHUNKS = 3
"""Passages of one source."""

SYLLABLES = ("ka", "lo", "mi", "nu", "re", "sa", "ti", "vo", "xe", "zu")
SCRIPTS = ("grüße", "привет", "مرحبا", "你好", "👩‍👩‍👧", "\u202ertl\u202c", "nul\0nul")
QUERY = "kalomi nurere"


@dataclass(frozen=True)
class Passage:
    """A text and the document it is from."""

    text: str
    source: str


def passages(count: int, seed: int) -> list[Passage]:
    """Return different texts, of which one in ten contains more than plain letters."""
    random = Random(seed)
    made = []
    for number in range(count):
        words = ["".join(random.choices(SYLLABLES, k=3)) for _ in range(random.randint(3, 20))]
        if number % 10 == 0:
            words.append(random.choice(SCRIPTS))
        made.append(Passage(f"{number}: {' '.join(words)}", f"source {number // CHUNKS}"))
    return made
