"""A reranker made of words: how much of the query a document says, and how much of its heading.

NOT VOYAGE'S RERANKER, which reads both texts with a neural network. The score of a pair depends on
that pair alone, as with the service: the same query and document score the same in any request.

Each query word is looked for in the document by stem, or else as a near spelling (`argument` in
`args`, `parse` in `argparse`), and counts in the manner of BM25: more for repeated mentions, with
falling returns, most in the heading (the first line), less in long documents. The heading counts
once more from its own side: the greater the part of it the query speaks of, the better. Words are
weighed by `words.Word.weight` throughout.
"""

import math
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from voyage_rag.emulator.vectors import to_bfloat16
from voyage_rag.emulator.words import TELLING, Word, split_words

# Found by trial over eighty questions about Python's standard library, then rounded.
_HEADING = 3.5  # a mention in the heading counts as this many
_SATURATION = 0.5  # mentions after which half of a word's credit is given (k1 of BM25)
_LENGTH_SHARE = 0.8  # how much of the document's length is held against it (b of BM25)
_USUAL_LENGTH = 60  # words; longer documents lose, shorter ones gain
_NEAR = 0.6  # credit of a near spelling
_NEAREST = 0.4  # the least likeness that counts
_SHORTEST_INSIDE = 4  # letters a stem must have to be recognised inside another word
_HEADING_SHARE = 0.2  # of the score that the heading's own view decides
_HEADING_DECAY = 0.25  # each further word of the heading matters that much less
_MIDDLE, _STEEPNESS = 0.4, 9.0  # the credit that scores a half, and how fast it changes there


class _Document(NamedTuple):
    heading: list[Word]
    mentions: dict[str, float]
    """How often each stem is mentioned, the heading's mentions counting more."""
    texts: dict[str, str]
    """Each stem's word, in full."""
    length: int
    """In words."""


def score(query: str, document: str) -> float:
    """Return how relevant `document` is to `query`, 0 to 1, in steps of bfloat16."""
    sought, read = tuple(split_words(query)), _read(document)
    if not sought or not read.length:
        return 0.0
    found = _mean((word.weight, _credit(word, read)) for word in sought)
    headed = _mean(
        (word.weight / (1 + _HEADING_DECAY * position), _spoken_of(word, sought))
        for position, word in enumerate(read.heading)
    )
    credit = (1 - _HEADING_SHARE) * found + _HEADING_SHARE * headed
    relevance = 1 / (1 + math.exp(-_STEEPNESS * (credit - _MIDDLE)))
    return float(to_bfloat16(np.array([relevance], np.float32))[0])


@lru_cache(maxsize=1024)
def _read(document: str) -> _Document:
    first, _, rest = document.strip().partition("\n")
    heading, body = split_words(first), split_words(rest)
    mentions: dict[str, float] = {}
    texts: dict[str, str] = {}
    for words, amount in ((heading, _HEADING), (body, 1.0)):
        for word in words:
            mentions[word.stem] = mentions.get(word.stem, 0.0) + amount
            texts.setdefault(word.stem, word.text)
    return _Document(heading, mentions, texts, len(heading) + len(body))


def _credit(word: Word, document: _Document) -> float:
    """Return 0 to 1: how well the document answers for one word of the query."""
    if mentions := document.mentions.get(word.stem):
        return _saturate(mentions, document.length)
    nearest = max(document.texts, key=lambda stem: _likeness(word, document.texts[stem]))
    likeness = _likeness(word, document.texts[nearest])
    return _NEAR * likeness * _saturate(document.mentions[nearest], document.length)


def _saturate(mentions: float, length: int) -> float:
    slack = 1 - _LENGTH_SHARE + _LENGTH_SHARE * length / _USUAL_LENGTH
    return mentions / (mentions + _SATURATION * slack)


def _spoken_of(word: Word, sought: tuple[Word, ...]) -> float:
    """Return 0 to 1: how surely the query speaks of a word of the heading."""
    telling = [other for other in sought if other.weight >= TELLING]
    if any(other.stem == word.stem for other in telling):
        return 1.0
    return _NEAR * max((_likeness(other, word.text) for other in telling), default=0.0)


@lru_cache(maxsize=100_000)
def _likeness(word: Word, text: str) -> float:
    """Return 0 to 1: 1 for a word inside the other, else the share of letter pairs in common."""
    if len(word.stem) >= _SHORTEST_INSIDE and word.stem in text:
        return 1.0
    if text[0] != word.text[0]:  # near spellings of English words rarely begin differently
        return 0.0
    mine, theirs = set(pairwise(word.text)), set(pairwise(text))
    share = 2 * len(mine & theirs) / max(len(mine) + len(theirs), 1)
    return share if share >= _NEAREST else 0.0


def _mean(weighed: Iterable[tuple[float, float]]) -> float:
    """Return the weighted mean of (weight, value) pairs, 0 for none."""
    pairs = list(weighed)
    total = sum(weight for weight, _ in pairs)
    return sum(weight * value for weight, value in pairs) / total if total else 0.0
