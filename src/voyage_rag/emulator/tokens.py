"""How many tokens a text costs, near enough and always the same.

NOT VOYAGE'S TOKENIZER. One token for a word of up to ten letters, one per six letters of a longer
word, one per three digits, one per mark of punctuation. That agrees with every recorded count of
plain English; it does not agree with counts of unusual names or other scripts.

One oddity of the service is kept: with an input type the count is one lower for each text, so a
document of one word costs nothing. The prompt that the input type stands for is not counted.
"""

import re
from functools import lru_cache

_PIECE = re.compile(r"'[a-zA-Z]+|[^\W\d_]+|\d{1,3}|[^\w\s]|_")
_WHOLE_WORD = 10  # letters; "JavaScript" is recorded as one token
_WORD_PART = 6  # letters
_CHARACTER_BYTES = 4  # of UTF-8 per token outside ASCII: two Cyrillic letters, 1.3 Chinese ones


def count(text: str) -> int:
    """Return the tokens of `text`, at least one."""
    return sum(map(_cost, _PIECE.findall(text))) or 1


def bill(text: str, input_type: str | None) -> int:
    """Return the tokens `usage` names for `text`: one lower when an input type is given."""
    return count(text) - (input_type is not None)


def cut(text: str, limit: int) -> str:
    """Return the longest beginning of `text`, cut between words, of at most `limit` tokens."""
    left = limit
    for piece in _PIECE.finditer(text):
        cost = _cost(piece.group())
        if cost > left:
            # Within a word only when nothing stands before it: one endless word.
            letters = left * (_WORD_PART if piece.group().isascii() else 1)
            return text[: piece.start()] or text[:letters]
        left -= cost
    return text


def split(text: str, size: int, overlap: int = 0) -> list[str]:
    """Return `text` in chunks of at most `size` tokens, cut before words.

    Args:
        text: Whole; without overlap the chunks put together give it back.
        size: Tokens of a chunk. A single word may have more.
        overlap: Tokens at the end of a chunk that the next one begins with, at most.
    """
    starts = [piece.start() for piece in _PIECE.finditer(text)]
    costs = [_cost(piece) for piece in _PIECE.findall(text)]
    chunks: list[str] = []
    first, last, begin = 0, 0, 0
    while last < len(starts):
        room, last = size - costs[first], first + 1
        while last < len(starts) and costs[last] <= room:
            room, last = room - costs[last], last + 1
        end = starts[last] if last < len(starts) else len(text)
        chunks.append(text[begin:end])
        first = _step_back(costs, first, last, overlap)
        begin = starts[first] if first < len(starts) else end
    return chunks or [text]


def _step_back(costs: list[int], first: int, last: int, overlap: int) -> int:
    """Return where the chunk after `first` to `last` begins, one piece further at least."""
    start = last
    while start - 1 > first and costs[start - 1] <= overlap:
        start -= 1
        overlap -= costs[start]
    return start


@lru_cache(maxsize=65536)
def _cost(piece: str) -> int:
    if not piece.isascii():
        return -(-len(piece.encode("utf-8", "surrogatepass")) // _CHARACTER_BYTES)
    return 1 if len(piece) <= _WHOLE_WORD else -(-len(piece) // _WORD_PART)
