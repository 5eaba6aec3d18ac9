"""What there is to do: the input, opened and looked through."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from voyage_rag.bulk import stdin
from voyage_rag.bulk.scan import Plan, scan
from voyage_rag.bulk.sources import open_source
from voyage_rag.core.token_estimate import MARGIN, estimate_tokens
from voyage_rag.io.tokenizer import Tokenizer

if TYPE_CHECKING:
    from pathlib import Path

    from voyage_rag.bulk.folder import JobFolder
    from voyage_rag.bulk.options import JobOptions
    from voyage_rag.bulk.progress import ProgressReporter
    from voyage_rag.bulk.sources.source import Source


def opened(path: Path, options: JobOptions, folder: JobFolder) -> tuple[Source, str]:
    """The input, and what changes when it does. Stdin is read to its end."""
    form, columns = options.input_format, (options.text_column, options.id_column)
    if path == stdin.STDIN:
        identity = stdin.kept(folder.stdin)
        return open_source(folder.stdin, form or "jsonl", *columns), identity
    source = open_source(path, form, *columns)
    return source, source.identity()


def planned(
    source: Source, tokenizer: str | None, folder: JobFolder, telling: ProgressReporter
) -> Plan:
    """Check and count all rows; those that cannot be embedded are in the folder then.

    Args:
        source: The input.
        tokenizer: A `tokenizer.json` to count tokens with, None to estimate them.
        folder: The job's.
        telling: Told how far it is.
    """
    count = None if tokenizer is None else Tokenizer(tokenizer)
    telling.begin("reading", None)
    plan = scan(source, count or estimate_tokens, folder.refused_at_scan, folder.ids, telling.more)
    return plan if count else replace(plan, tokens=round(plan.tokens * MARGIN))
