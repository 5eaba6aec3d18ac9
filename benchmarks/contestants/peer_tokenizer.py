"""A tokenizer for the peers, which ask the Hugging Face hub for one, even for a single query.

Theirs is not available without the hub. This one splits at blanks, which costs less.
"""

from __future__ import annotations

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from voyageai._base import _BaseClient

UNKNOWN = "?"


def hand_over() -> None:
    """Let every client of this process use it."""
    tokenizer = Tokenizer(WordLevel({UNKNOWN: 0}, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    _BaseClient.tokenizer = lambda _client, _model: tokenizer
