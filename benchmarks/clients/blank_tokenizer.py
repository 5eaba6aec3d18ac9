"""A tokenizer for the peers, which load one from the Hugging Face Hub, even for a single query.

It splits at spaces, which costs less than the real one, and needs no network.
"""

from __future__ import annotations

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from voyageai._base import _BaseClient

UNKNOWN = "?"


def use_blank_tokenizer() -> None:
    """Make every client in this process use it."""
    tokenizer = Tokenizer(WordLevel({UNKNOWN: 0}, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    _BaseClient.tokenizer = lambda _client, _model: tokenizer
