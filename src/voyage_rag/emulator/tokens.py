"""Token counts that approximate the service's.

NOT VOYAGE'S TOKENIZER. It counts one token for a word of up to ten letters, one per six letters of
a longer word, one per three digits, one per punctuation mark, and one for three dots. That agrees
with almost every recorded count of plain English, but not with those of unusual names or of other
languages, some of which need many more tokens: the service counted 1.53 characters per token for a
Portuguese legal text, and 1.66 for a text with 36 % Ukrainian. `characters_per_token` imitates such
texts.

As in the service, the count is one lower for each text with an input type, so a document of one
word costs nothing. The prompt that the input type adds is not counted.
"""

import math
import re
from functools import lru_cache

_WORD = re.compile(r"'[a-zA-Z]+|[^\W\d_]+|\d{1,3}|\.{3}|[^\w\s]|_")
_WHOLE_WORD_LETTERS = 10  # "JavaScript" is recorded as one token
_PART_LETTERS = 6  # per token of a longer word
_BYTES_PER_TOKEN = 4  # of UTF-8 outside ASCII: two Cyrillic letters, 1.3 Chinese ones


class EmulatedTokenizer:
    """Counts tokens, and cuts text to a number of tokens.

    Args:
        characters_per_token: Count by length alone; None to count words.
    """

    def __init__(self, characters_per_token: float | None = None) -> None:
        self._characters_per_token = characters_per_token

    def count(self, text: str) -> int:
        """Return the tokens of `text`, at least one."""
        if self._characters_per_token is not None:
            return max(1, math.ceil(len(text) / self._characters_per_token))
        return sum(map(_cost, _WORD.findall(text))) or 1

    def bill(self, text: str, input_type: str | None) -> int:
        """Return the tokens that `usage` reports for `text`: one fewer with an input type."""
        return self.count(text) - (input_type is not None)

    def cut(self, text: str, limit: int) -> str:
        """Return the longest prefix of `text`, cut between words, of at most `limit` tokens."""
        if self._characters_per_token is not None:
            return text[: int(limit * self._characters_per_token)]
        left = limit
        for word in _WORD.finditer(text):
            cost = _cost(word.group())
            if cost > left:
                # Only the first word is cut in the middle: otherwise nothing would be left.
                letters = left * (_PART_LETTERS if word.group().isascii() else 1)
                return text[: word.start()] or text[:letters]
            left -= cost
        return text

    def split(self, text: str, size: int, overlap: int = 0) -> list[str]:
        """Return `text` in chunks of at most `size` tokens, cut before words.

        Args:
            text: The whole text. Without overlap, the concatenated chunks equal it.
            size: Maximum tokens of a chunk. A single word may have more.
            overlap: Maximum number of tokens at the end of a chunk that the next chunk repeats.
        """
        starts = [word.start() for word in _WORD.finditer(text)]
        costs = [self.count(word) for word in _WORD.findall(text)]
        chunks: list[str] = []
        first, last, begin = 0, 0, 0
        while last < len(starts):
            left, last = size - costs[first], first + 1
            while last < len(starts) and costs[last] <= left:
                left, last = left - costs[last], last + 1
            end = starts[last] if last < len(starts) else len(text)
            chunks.append(text[begin:end])
            first = _step_back(costs, first, last, overlap)
            begin = starts[first] if first < len(starts) else end
        return chunks or [text]


def _step_back(costs: list[int], first: int, last: int, overlap: int) -> int:
    """Return the first word of the next chunk, which is after `first`."""
    start = last
    while start - 1 > first and costs[start - 1] <= overlap:
        start -= 1
        overlap -= costs[start]
    return start


@lru_cache(maxsize=65536)
def _cost(word: str) -> int:
    if not word.isascii():
        return -(-len(word.encode("utf-8", "surrogatepass")) // _BYTES_PER_TOKEN)
    return 1 if len(word) <= _WHOLE_WORD_LETTERS else -(-len(word) // _PART_LETTERS)
