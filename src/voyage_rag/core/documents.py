"""Convert the forms of documents that callers pass: nested lists, flat lists and whole texts."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from voyage_rag.checks import elements, is_hashable, is_missing, plain
from voyage_rag.core import validation
from voyage_rag.core.windows import Chunks
from voyage_rag.core.wire.requests import Chunking
from voyage_rag.errors import InvalidInputError
from voyage_rag.types import InvalidText

MAX_CHUNK_TOKENS = 32_000


@dataclass(frozen=True, slots=True)
class Grouping:
    """Chunks of several documents in one list.

    Attributes:
        groups: The positions of the chunks of each document.
        names: The caller's identifier of each document.
    """

    groups: list[list[int]]
    names: list[object]


def check_chunking(
    input_type: object, chunk_fn: object, enabled: object, size: object, overlap: object
) -> Chunking | None:
    """Return how the service splits documents, or raise an `InvalidInputError`."""
    validation.check_flag("enable_auto_chunking", enabled)
    if chunk_fn is not None and not callable(chunk_fn):
        raise InvalidInputError(f"chunk_fn must be a function, not {type(chunk_fn).__name__}")
    if not enabled:
        for name, value in (("chunk_size", size), ("chunk_overlap", overlap)):
            if value is not None:
                raise InvalidInputError(f"{name} requires enable_auto_chunking=True")
        return None
    if chunk_fn is not None:
        raise InvalidInputError(
            "chunk_fn and enable_auto_chunking=True both split documents: choose one"
        )
    if not isinstance(input_type, str) or input_type != "document":
        raise InvalidInputError("enable_auto_chunking=True requires input_type='document'")
    if size is not None:
        size = validation.check_count("chunk_size", size, MAX_CHUNK_TOKENS)
    if overlap is not None:
        if size is None:
            raise InvalidInputError("chunk_overlap requires chunk_size")
        overlap = plain(overlap)
        if type(overlap) is not int or not 0 <= overlap < size:
            raise InvalidInputError(
                f"chunk_overlap must be a whole number from 0 to less than chunk_size, not "
                f"{overlap!r}"
            )
    return Chunking(size, overlap)


def grouped(chunks: Sequence[str], documents: object) -> Grouping:
    """Group non-empty chunks by document, in the order of the first chunks.

    Raises:
        InvalidInputError: There is not one document per chunk, or an identifier is invalid.
    """
    named = list(elements("documents", documents, "a list with one entry per chunk"))
    if len(named) != len(chunks):
        raise InvalidInputError(
            f"there are {len(chunks)} chunks and {len(named)} documents: pass one per chunk"
        )
    groups: dict[Hashable, list[int]] = {}
    for position, name in enumerate(named):
        if name is not None and is_missing(name):
            raise InvalidInputError(
                f"documents[{position}] is {name}: use None for a chunk without a document",
                indices=(position,),
            )
        if not is_hashable(name):
            raise InvalidInputError(
                f"documents[{position}] is a {type(name).__name__}, which cannot identify a "
                "document: use a string or a number",
                indices=(position,),
            )
        if not chunks[position]:
            continue
        groups.setdefault((position, None) if name is None else (None, name), []).append(position)
    names = [named[group[0]] for group in groups.values()]
    return Grouping(list(groups.values()), names)


def documents_of(
    inputs: object,
    chunk_fn: Callable[[str], list[str]] | None,
    *,
    query: bool,
    automatic: bool,
    invalid_text: InvalidText,
) -> list[Chunks]:
    """Return the inputs as checked documents of chunks.

    An input is one string if it is a `query`, or if `chunk_fn` or the service (`automatic`) splits
    it.

    Raises:
        InvalidInputError: An input is not a document of chunks. The message names it.
    """
    accepts_strings = query or automatic or chunk_fn is not None
    if isinstance(inputs, str) and accepts_strings:
        inputs = [inputs]
    listed = elements("inputs", inputs, "a list of documents, each a list of its chunks")
    documents: list[Chunks] = []
    for position, given in enumerate(listed):
        name = f"inputs[{position}]"
        if isinstance(given, str) and not accepts_strings:
            raise InvalidInputError(
                f"{name} is a string where a list of chunks is expected: pass one list per "
                "document, or input_type='query', or enable_auto_chunking=True",
                indices=(position,),
            )
        chunks = _chunks(name, given, position, invalid_text)
        if chunk_fn is not None:
            chunks = tuple(c for whole in chunks for c in _split(name, whole, chunk_fn, position))
        _check_number(name, len(chunks), position, query=query, automatic=automatic)
        documents.append(chunks)
    return documents


def _chunks(name: str, given: object, position: int, invalid_text: InvalidText) -> Chunks:
    strings = [given] if isinstance(given, str) else _listed(name, given, position)
    return tuple(
        _checked(f"{name}[{at}]", chunk, position, invalid_text) for at, chunk in enumerate(strings)
    )


def _listed(name: str, given: object, position: int) -> Iterable[Any]:
    return elements(name, given, "a list of chunks", position)


def _check_number(name: str, count: int, position: int, *, query: bool, automatic: bool) -> None:
    problem = ""
    if not count:
        problem = "no chunks: leave the document out"
    elif count > 1 and query:
        problem = f"{count} strings instead of one: pass each query as one string"
    elif count > 1 and automatic:
        problem = f"{count} strings instead of one: pass each document unsplit"
    if problem:
        raise InvalidInputError(f"{name} has {problem}", indices=(position,))


def _split(name: str, text: str, chunk_fn: Callable[[str], list[str]], position: int) -> Chunks:
    chunks = _listed(f"the result of chunk_fn for {name}", chunk_fn(text), position)
    return tuple(
        _checked(f"chunk {at} in the result of chunk_fn for {name}", chunk, position)
        for at, chunk in enumerate(chunks)
    )


def _checked(name: str, chunk: object, position: int, invalid_text: InvalidText = "error") -> str:
    text = validation.check_text(name, chunk, position, invalid_text=invalid_text)
    if not text:
        raise InvalidInputError(
            f"{name} is empty: leave it out, because the service rejects empty chunks",
            indices=(position,),
        )
    return text
