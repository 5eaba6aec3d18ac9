"""Text as weighted word stems, for the emulator's vectors and its reranker.

A text is split at all characters except letters and digits, and identifiers into their parts:
`argparse.ArgumentParser` gives `argparse`, `argument`, `parser`; `max_workers` gives `max`,
`workers`; `HTTPServer` gives `http`, `server`. Words are lower-cased, stemmed (by rules for English
endings) and weighted by how specific they are: function words almost zero, common words 0.5,
any other word 1. The meaning of words is not considered.
"""

import re
from functools import lru_cache
from importlib import resources
from typing import NamedTuple

# Chinese and Japanese have no spaces, so each of their characters is a word.
_RUN = re.compile(r"[\u3040-\u9fff]|[^\W\d_\u3040-\u9fff]+|\d+")
# An acronym before a capitalised word; a word, capitalised or not; an acronym.
_PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")


def _read_words(file_name: str) -> frozenset[str]:
    text = resources.files(__package__).joinpath(file_name).read_text("utf-8")
    return frozenset(text.split())


_FUNCTION_WORDS = _read_words("function_words.txt")
_FUNCTION_WEIGHT = 0.03
_COMMON_WEIGHT = 0.5

MIN_CONTENT_WEIGHT = _COMMON_WEIGHT
"""Minimum weight of a word that is not a function word."""


class Word(NamedTuple):
    """One word of a text."""

    stem: str
    """The word in lower case, without its English ending."""
    text: str
    """The word in lower case."""
    weight: float
    """How specific it is, 0.03 (the, of) to 1.0."""


def split_words(text: str) -> list[Word]:
    """Return the words of `text` in order; identifiers are split."""
    return [word for run in _RUN.findall(text) for word in _split_run(run)]


@lru_cache(maxsize=65536)
def _split_run(run: str) -> tuple[Word, ...]:
    parts = _PART.findall(run) if run.isascii() and run.isalpha() else [run]
    return tuple(Word(stem(text), text, _weight_of(text)) for text in map(str.lower, parts))


def _weight_of(text: str) -> float:
    if text in _FUNCTION_WORDS:
        return _FUNCTION_WEIGHT
    # Single Latin letters and digits are list markers, sizes and variables.
    mark = len(text) == 1 and text.isascii()
    return _COMMON_WEIGHT if mark or stem(text) in _COMMON_STEMS else 1.0


_ENDINGS = (
    ("ization", "iz"), ("isation", "iz"), ("ational", "at"), ("fulness", "ful"), ("ations", "at"),
    ("ation", "at"), ("ators", "at"), ("ator", "at"), ("ments", "ment"), ("ities", "it"),
    ("ings", ""), ("ness", ""), ("ions", ""), ("ally", "al"), ("ises", "iz"), ("ised", "iz"),
    ("ise", "iz"), ("ers", ""), ("ors", ""), ("ing", ""), ("ion", ""), ("ity", "it"), ("ies", "y"),
    ("ied", "y"), ("ely", ""), ("ed", ""), ("er", ""), ("or", ""), ("ly", ""), ("es", ""),
    ("s", ""), ("e", ""),
)  # fmt: skip
"""Endings and their replacements, in the order in which they are tried."""

_MIN_STEM = 3


def stem(word: str) -> str:
    """Return `word` without its English ending: parse, parser, parsed, parsing have one stem.

    The stem keeps at least three letters and a vowel, and an `s` after `s` or `u` stays.
    """
    for ending, replacement in _ENDINGS:
        if not word.endswith(ending):
            continue
        rest = word[: -len(ending)]
        if len(rest) < _MIN_STEM or not re.search("[aeiouy]", rest):
            continue
        if ending == "s" and rest[-1] in "su":
            break
        return _undouble(rest) + replacement
    return word


def _undouble(rest: str) -> str:
    """Return `run` for the `runn` of `running`; keep `ll` and `ss`, as in `calling`, `passed`."""
    doubled = len(rest) > _MIN_STEM and rest[-1] == rest[-2] and rest[-1] not in "aeiouls"
    return rest[:-1] if doubled else rest


_COMMON_STEMS = frozenset(map(stem, _read_words("common_words.txt")))
