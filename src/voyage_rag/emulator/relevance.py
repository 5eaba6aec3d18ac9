"""A reranker based on words: it scores how much of the query a document and its heading contain.

NOT VOYAGE'S RERANKER, which reads both texts with a neural network. The score of a pair depends on
that pair alone, as with the service: the same query and document score the same in any request.

Each query word is searched in the document by its stem, or else by a similar spelling (`argument`
for `args`, `parse` for `argparse`). As in BM25, a word counts more if it is repeated, with
diminishing returns, and less in a long document; it counts most in the heading (the first line).
Another part of the score is the share of the heading that the query mentions. Words are weighted.
"""

import math
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from voyage_rag.emulator.vectors import to_bfloat16
from voyage_rag.emulator.words import MIN_CONTENT_WEIGHT, Word, split_words

# Found by trial over eighty questions about Python's standard library, then rounded.
_HEADING_MENTIONS = 3.5  # how often a mention in the heading counts
_SATURATION = 0.5  # mentions that give half of a word's credit (k1 of BM25)
_LENGTH_SHARE = 0.8  # how strongly the length of a document reduces its credit (b of BM25)
_TYPICAL_LENGTH = 60  # words; longer documents score lower, shorter ones higher
_SIMILAR_CREDIT = 0.6  # for a similar spelling
_MIN_SIMILARITY = 0.4  # for a similar spelling
_MIN_STEM_INSIDE = 4  # letters of a stem that is recognised inside another word
_HEADING_SHARE = 0.2  # of the score
_HEADING_DECAY = 0.25  # how much less each further word of the heading counts
_MIDDLE, _STEEPNESS = 0.4, 9.0  # the credit that scores 0.5, and the slope of the score there


class _ParsedDocument(NamedTuple):
    heading: list[Word]
    mentions: dict[str, float]
    """Number of mentions of each stem; those in the heading count more."""
    texts: dict[str, str]
    """The word of each stem."""
    length: int
    """Number of words."""


@lru_cache(maxsize=1024)
def score(query: str, document: str) -> float:
    """Return how relevant `document` is to `query`, 0 to 1, in steps of bfloat16."""
    query_words, parsed = tuple(split_words(query)), _parse(document)
    if not query_words or not parsed.length:
        return 0.0
    found = _weighted_mean((word.weight, _credit(word, parsed)) for word in query_words)
    heading = _weighted_mean(
        (word.weight / (1 + _HEADING_DECAY * position), _mentioned(word, query_words))
        for position, word in enumerate(parsed.heading)
    )
    credit = (1 - _HEADING_SHARE) * found + _HEADING_SHARE * heading
    relevance = 1 / (1 + math.exp(-_STEEPNESS * (credit - _MIDDLE)))
    return float(to_bfloat16(np.array([relevance], np.float32))[0])


@lru_cache(maxsize=1024)
def _parse(document: str) -> _ParsedDocument:
    first, _, rest = document.strip().partition("\n")
    heading, body = split_words(first), split_words(rest)
    mentions: dict[str, float] = {}
    texts: dict[str, str] = {}
    for words, amount in ((heading, _HEADING_MENTIONS), (body, 1.0)):
        for word in words:
            mentions[word.stem] = mentions.get(word.stem, 0.0) + amount
            texts.setdefault(word.stem, word.text)
    return _ParsedDocument(heading, mentions, texts, len(heading) + len(body))


def _credit(word: Word, document: _ParsedDocument) -> float:
    """Return how well the document covers one word of the query, 0 to 1."""
    if mentions := document.mentions.get(word.stem):
        return _saturate(mentions, document.length)
    nearest = max(document.texts, key=lambda stem: _similarity(word, document.texts[stem]))
    similarity = _similarity(word, document.texts[nearest])
    return _SIMILAR_CREDIT * similarity * _saturate(document.mentions[nearest], document.length)


def _saturate(mentions: float, length: int) -> float:
    slack = 1 - _LENGTH_SHARE + _LENGTH_SHARE * length / _TYPICAL_LENGTH
    return mentions / (mentions + _SATURATION * slack)


def _mentioned(word: Word, query_words: tuple[Word, ...]) -> float:
    """Return how likely the query mentions a word of the heading, 0 to 1."""
    others = [other for other in query_words if other.weight >= MIN_CONTENT_WEIGHT]
    if any(other.stem == word.stem for other in others):
        return 1.0
    return _SIMILAR_CREDIT * max((_similarity(other, word.text) for other in others), default=0.0)


@lru_cache(maxsize=100_000)
def _similarity(word: Word, text: str) -> float:
    """Return 1 if `text` contains the stem of `word`, else their share of common letter pairs."""
    if len(word.stem) >= _MIN_STEM_INSIDE and word.stem in text:
        return 1.0
    if text[0] != word.text[0]:  # similar spellings of English words rarely begin differently
        return 0.0
    ours, theirs = set(pairwise(word.text)), set(pairwise(text))
    share = 2 * len(ours & theirs) / max(len(ours) + len(theirs), 1)
    return share if share >= _MIN_SIMILARITY else 0.0


def _weighted_mean(weighted: Iterable[tuple[float, float]]) -> float:
    pairs = list(weighted)
    total = sum(weight for weight, _ in pairs)
    return sum(weight * value for weight, value in pairs) / total if total else 0.0
