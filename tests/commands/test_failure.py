"""Messages of the library, as the command line shows them."""

from __future__ import annotations

import pytest

from voyage_rag.commands.failure import in_cli_syntax

OPTIONS = {"on_error", "overwrite", "header", "delimiter", "input_format", "model", "keep", "field"}


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("give on_error='skip'", "give --on-error skip"),
        ("with overwrite=True where", "with --overwrite where"),
        ("no header? header=False", "no header? --no-header"),
        ("delimiter=';'", "--delimiter ';'"),
        ("pass input_format, one of", "pass --input-format, one of"),
        ("a job with model='a b', not 'c'", "a job with --model 'a b', not 'c'"),
        ("the model does not", "the model does not"),
        ("no column 'input_format' in x", "no column 'input_format' in x"),
        ("api_key=... stays", "api_key=... stays"),
        ("pass it as text_column", "pass it as --field"),
        ("or id_column='_id'", "or id_column='_id'"),
    ],
)
def test_options_are_named_as_they_are_typed(message: str, shown: str) -> None:
    """Names of columns and other words stay."""
    assert in_cli_syntax(message, OPTIONS) == shown
