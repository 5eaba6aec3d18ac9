"""Check arguments before anything is sent or billed.

Every error names the argument, the item and the remedy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from reprlib import repr as repr_of
from typing import NoReturn, cast

from voyage_rag.checks import is_missing, plain
from voyage_rag.errors import InvalidInputError
from voyage_rag.models import ALL_DTYPES, MODELS, Kind, Model, OutputDtype, kind_of, look_up
from voyage_rag.types import InvalidText

VERBS: dict[Kind, str] = {
    "embedding": "embed",
    "contextualized": "contextualized_embed",
    "multimodal": "multimodal_embed",
    "rerank": "rerank",
}


def check_model(model: object, kind: Kind) -> Model:
    """Return the row of a model, or raise an `InvalidInputError` if it has another kind."""
    if not isinstance(model, str) or not model.strip():
        raise InvalidInputError(f"model must be the name of a model, not {repr_of(model)}")
    check_text("model", model)
    row = look_up(model, kind)
    if row.kind != kind:
        raise InvalidInputError(
            f"{model!r} is a model for {VERBS[row.kind]}, not for {VERBS[kind]}; models for "
            f"{VERBS[kind]}: {', '.join(names_of(kind))}"
        )
    return row


def check_embedding_model(model: object) -> Model:
    """Return the row of a model that embeds texts, or raise an `InvalidInputError`."""
    kind = kind_of(model) if isinstance(model, str) else "embedding"
    return check_model(model, "embedding" if kind == "rerank" else kind)


def names_of(kind: Kind) -> list[str]:
    """Return the names of the models of a kind, without deprecated ones."""
    return [m.name for m in MODELS.values() if m.kind == kind and m.status != "deprecated"]


def check_output(row: Model, dimension: object, dtype: object) -> OutputDtype | None:
    """Raise an `InvalidInputError` for a dimension or number type that is not supported."""
    if dimension is not None:
        if type(dimension) is not int or dimension < 1:
            raise InvalidInputError(
                f"output_dimension must be a positive integer, not {repr_of(dimension)}"
            )
        if row.dimensions and dimension not in row.dimensions:
            raise InvalidInputError(
                f"{row.name!r} does not support output_dimension={dimension}; it supports "
                f"{_listed(sorted(row.dimensions))}"
            )
    if dtype is None:
        return None
    check_choice("output_dtype", dtype, ALL_DTYPES)
    if row.dtypes and dtype not in row.dtypes:
        raise InvalidInputError(
            f"{row.name!r} does not support output_dtype={dtype!r}; it supports "
            f"{_listed(row.dtypes)}"
        )
    return cast("OutputDtype", dtype)


OTHER_CHOICES = {"passage": "document", "corpus": "document", "question": "query"}
"""Input types of other packages, and the corresponding ones of Voyage."""


def check_choice(name: str, value: object, choices: Sequence[object]) -> None:
    """Raise an `InvalidInputError` for a value that is not one of the choices."""
    # NumPy arrays cannot be compared with strings.
    if not any(value is each or (isinstance(value, str) and value == each) for each in choices):
        text = value.lower() if isinstance(value, str) else ""
        text = OTHER_CHOICES.get(text, text)
        contained = [
            each
            for each in choices
            if isinstance(each, str) and text and (each in text or each.startswith(text))
        ]
        similar = f": did you mean {max(contained, key=len)!r}?" if contained else ""
        raise InvalidInputError(
            f"{name} must be one of {_listed(choices)}, not {repr_of(value)}{similar}"
        )


def check_flag(name: str, value: object) -> bool:
    """Return True or False, or raise an `InvalidInputError` for any other value."""
    flag = plain(value)
    if not isinstance(flag, bool):
        raise InvalidInputError(f"{name} must be True or False, not {repr_of(value)}")
    return flag


def check_count(name: str, value: object, most: int | None = None) -> int:
    """Return an integer from 1 to `most`, or raise an `InvalidInputError` for any other value."""
    number = plain(value)
    if type(number) is not int or number < 1:
        raise InvalidInputError(
            f"{name} must be a whole number of at least 1, not {repr_of(value)}"
        )
    if most is not None and number > most:
        raise InvalidInputError(f"{name} must be at most {most}, not {number}")
    return number


def check_text(name: str, text: object, *index: int, invalid_text: InvalidText = "error") -> str:
    """Return a text that can be encoded in UTF-8.

    Surrogate pairs, which some databases and JSON decoders leave in texts, are joined.

    Raises:
        InvalidInputError: The value is not a string, or contains a lone surrogate and
            `invalid_text` is `error`.
    """
    if not isinstance(text, str):
        is_gap = bool(index) and is_missing(text)
        remedy = " (a missing value): leave it out" if is_gap else _remedy(text)
        raise InvalidInputError(
            f"{name} must be a string, not {type(text).__name__}{remedy}", indices=index
        )
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            with suppress(UnicodeDecodeError):
                errors = "replace" if invalid_text == "replace" else "strict"
                return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", errors)
            raise InvalidInputError(
                f"{name} contains a lone surrogate (half a character) at position {error.start}: "
                "decode the text again, or replace it with "
                "text.encode('utf-8', 'replace').decode(), as invalid_text='replace' does",
                indices=index,
            ) from None
    return text


def _remedy(value: object) -> str:
    """Return the remedy for an object that is often passed instead of a text, or ""."""
    if isinstance(value, Mapping) and (names := [n for n in TEXT_FIELDS if n in value]):
        return f": pass its value under {names[0]!r}"
    if isinstance(value, (bytes, bytearray)):
        return ": decode it first"
    if isinstance(value, list) or type(value).__name__ == "ndarray":
        return ": pass a flat list of strings"
    return next(
        (f": pass {how}" for name, how in TEXT_ATTRIBUTES.items() if hasattr(value, name)), ""
    )


TEXT_FIELDS = ("text", "content", "page_content", "document", "body", "query", "question", "input")
TEXT_ATTRIBUTES = {
    "page_content": "its page_content",
    "get_content": "its get_content()",
    "read_text": "the text of the file, read_text()",
    "as_py": "the column's to_pylist()",
    "query_str": "its query_str",
    "iloc": "one of its values, as in row['text']",
    "to_string": "its to_string()",
    "content": "its content",
}
"""Attributes by which LangChain's documents, LlamaIndex's nodes, paths, Arrow's scalars,
LlamaIndex's queries, rows of pandas, LangChain's prompts and chat messages are recognised."""


def refuse_empty(name: str, index: int) -> NoReturn:
    """Raise the error for an empty string, for which the service rejects a whole request."""
    raise InvalidInputError(
        f"{name} is empty: remove it, or pass empty_text='space' to embed a single space",
        indices=(index,),
    )


def _listed(choices: Iterable[object]) -> str:
    return ", ".join(repr(choice) for choice in choices)
