"""A tqdm progress bar that counts texts, as users of LangChain and LlamaIndex expect it."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voyage_rag.core.flow import Advance

NO_PROGRESS: AbstractContextManager[None] = nullcontext()


@contextmanager
def progress_bar(inputs: object) -> Iterator[Advance]:
    """Show a progress bar for the inputs of one call.

    Raises:
        ImportError: tqdm is not installed.
    """
    try:
        from tqdm.auto import tqdm  # noqa: PLC0415 - optional dependency
    except ImportError as error:
        raise ImportError("a progress bar needs tqdm: pip install tqdm") from error
    total = 1 if isinstance(inputs, str) else len(inputs) if isinstance(inputs, Sized) else None
    tokens = 0
    with tqdm(total=total, desc="Embedding", unit="text") as bar:

        def advance(done: int, cost: int) -> None:
            nonlocal tokens
            tokens += cost
            elapsed = bar.format_dict["elapsed"]
            if elapsed:
                bar.set_postfix_str(f"{tokens / elapsed:,.0f} tokens/s", refresh=False)
            bar.update(done)

        yield advance
