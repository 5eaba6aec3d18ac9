"""Text as weighted word stems, for the emulator's vectors and its reranker.

A text is split at everything that is not a letter or a digit, and identifiers at their parts:
`argparse.ArgumentParser` gives `argparse`, `argument`, `parser`; `max_workers` gives `max`,
`workers`; `HTTPServer` gives `http`, `server`. Words are lower-cased, stemmed (by rules for English
endings) and weighted by how specific they are: function words almost zero, common words 0.5,
any other word 1. The weights are static. Nothing here knows what words mean.
"""

import re
from functools import lru_cache
from typing import NamedTuple

# Chinese and Japanese write no spaces, so each of their characters stands alone.
_RUN = re.compile(r"[\u3040-\u9fff]|[^\W\d_\u3040-\u9fff]+|\d+")
# An acronym before a capitalised word, a word with or without its capital, an acronym.
_PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")

_FUNCTION_TEXT = """
a about above after again all also although always am among an and another any anyone anything
are aren around as ask at away back be became because been before being below between both but
by came can cannot come could d did didn do does doesn doing don done down during each either
else even ever every everything few for from further get gets getting give given gives go goes
going gone got had has have having he hence her here hers him his how however i if in into
is isn it its itself just keep know least less let lets like likely ll look lot m made make
makes making many may maybe me might mine more most much must my myself need needed needs
neither never no nor not nothing now of off often on once one only onto or other others
otherwise our ours out over own per perhaps please possible put quite rather re really s same
say see seem seems seen several shall she should shouldn show since so some someone something
soon still such sure t take taken takes tell than that the their theirs them then there these
they thing things this those though through thus to together too toward two under unless until
up upon us use used uses using usually ve very via want wants was way ways we well went were
what whatever when whenever where whether which while who whole whom whose why will wish with
within without would yes yet you your yours yourself
"""

_COMMON_TEXT = """
able above accept access according act actual add additional allow alternative appropriate apply
arbitrary argument associated available base based basic begin behavior behaviour best better
big block body bool call called caller case certain change check choose class code common
compare complete consider contain content control convenient convert correct corresponding
create current custom data day default define depend describe detail determine different direct
document dict easy effect element empty end enough ensure entire equal equivalent error
example except exception exist expect explicit extra fact false false find first fix
follow form format found full function general generic good great group handle happen help high
hold idea ignore implement implementation implicit important include indicate info information
initial inside instance instead int integer internal item keyword kind large last later lead
leave left length level library line list little local long low main manner match maximum mean
meaning method minimum mode modify module move name necessary new next none note number object
occur offer old omit open operation option optional order original pair parameter parent part
particular pass people perform place point position present previous problem process produce
program property provide purpose python question raise range read reason receive refer
related relative remain remove replace represent representation request require respective
rest result return right run second self send sequence set sets shape side sign similar simple
single size small source special specific specified specify standard start state statement step
stop store string style subclass suitable supply support suppose system term test text third
time top total treat true try tuple turn type unique useful user usual valid value variable
various version view whatever word work world write wrong year zero
"""

_FUNCTION_WORDS = frozenset(_FUNCTION_TEXT.split())
_FUNCTION_WEIGHT = 0.03
_COMMON_WEIGHT = 0.5

LEAST_CONTENT_WEIGHT = _COMMON_WEIGHT
"""The least weight of a word that is not a function word."""


class Word(NamedTuple):
    """One word of a text."""

    stem: str
    """Lower case, without its English ending."""
    text: str
    """Lower case, whole."""
    weight: float
    """How specific it is, 0.03 (the, of) to 1.0."""


def split_words(text: str) -> list[Word]:
    """Return the words of `text` in order, identifiers split."""
    return [word for run in _RUN.findall(text) for word in _split_run(run)]


@lru_cache(maxsize=65536)
def _split_run(run: str) -> tuple[Word, ...]:
    parts = _PART.findall(run) if run.isascii() and run.isalpha() else [run]
    return tuple(Word(stem(text), text, _weight_of(text)) for text in map(str.lower, parts))


def _weight_of(text: str) -> float:
    if text in _FUNCTION_WORDS:
        return _FUNCTION_WEIGHT
    # Single Latin letters and digits are list marks, sizes and variables.
    mark = len(text) == 1 and text.isascii()
    return _COMMON_WEIGHT if mark or stem(text) in _COMMON_STEMS else 1.0


_ENDINGS = (
    ("ization", "iz"),
    ("isation", "iz"),
    ("ational", "at"),
    ("fulness", "ful"),
    ("ations", "at"),
    ("ation", "at"),
    ("ators", "at"),
    ("ator", "at"),
    ("ments", "ment"),
    ("ities", "it"),
    ("ings", ""),
    ("ness", ""),
    ("ions", ""),
    ("ally", "al"),
    ("ises", "iz"),
    ("ised", "iz"),
    ("ise", "iz"),
    ("ers", ""),
    ("ors", ""),
    ("ing", ""),
    ("ion", ""),
    ("ity", "it"),
    ("ies", "y"),
    ("ied", "y"),
    ("ely", ""),
    ("ed", ""),
    ("er", ""),
    ("or", ""),
    ("ly", ""),
    ("es", ""),
    ("s", ""),
    ("e", ""),
)
_SHORTEST_STEM = 3


def stem(word: str) -> str:
    """Return `word` without its English ending: parse, parser, parsed, parsing have one stem.

    The stem keeps at least three letters and a vowel, and an `s` after `s` or `u` stays.
    """
    for ending, replacement in _ENDINGS:
        if not word.endswith(ending):
            continue
        rest = word[: -len(ending)]
        if len(rest) < _SHORTEST_STEM or not re.search("[aeiouy]", rest):
            continue
        if ending == "s" and rest[-1] in "su":
            break
        return _undouble(rest) + replacement
    return word


def _undouble(rest: str) -> str:
    """Return `run` for the `runn` of `running`; keep `ll` and `ss`, as in `calling`, `passed`."""
    doubled = len(rest) > _SHORTEST_STEM and rest[-1] == rest[-2] and rest[-1] not in "aeiouls"
    return rest[:-1] if doubled else rest


_COMMON_STEMS = frozenset(map(stem, _COMMON_TEXT.split()))
