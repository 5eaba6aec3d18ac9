"""Exact token counts, which need the extra `tokenizers` and a tokenizer file."""

from __future__ import annotations

from voyage_rag.errors import ConfigurationError


class Tokenizer:
    """Counts tokens as a model does.

    Args:
        path: Path of a `tokenizer.json`. Voyage publishes one per model (docs: "Tokenization").

    Raises:
        ImportError: The extra is not installed.
        ConfigurationError: The file cannot be read.
    """

    def __init__(self, path: str) -> None:
        try:
            from tokenizers import Tokenizer as Loaded  # noqa: PLC0415 - optional dependency
        except ImportError as error:
            raise ImportError(
                "a tokenizer needs tokenizers: pip install 'voyage-rag[tokenizers]'",
                name=error.name,
            ) from error
        try:
            self._tokenizer = Loaded.from_file(path)
        except Exception as error:  # noqa: BLE001 - tokenizers raises nothing narrower
            raise ConfigurationError(f"the tokenizer {path!r} cannot be read: {error}") from None

    def __call__(self, text: str) -> int:
        """Return the number of tokens of one text, without special tokens."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)
