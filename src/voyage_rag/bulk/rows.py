"""A row of the input, and what is wrong with one that cannot be embedded."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

Id: TypeAlias = str | int

SMALLEST_ID, LARGEST_ID = -(2**63), 2**63 - 1


class Row(NamedTuple):
    """One text and its name.

    Attributes:
        number: Where it is, as people count: the line of a file of lines, else the row, from 1.
        id: Its name, None where it has none; where the input names nothing, its position, from 0.
        text: What to embed: whatever the input holds there.
        flaw: Why it could not be read, None where it could.
    """

    number: int
    id: Any
    text: Any
    flaw: str | None = None


def flaw_of(row: Row) -> str | None:
    """Why a row cannot be embedded, None if it can."""
    return row.flaw or _flaw_of_text(row.text) or _flaw_of_id(row.id)


def _flaw_of_text(text: object) -> str | None:
    if text is None:
        return "no text"
    if not isinstance(text, str):
        return f"its text is no string but {_kind(text)}"
    if not text:
        return "its text is empty"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return "its text is not UTF-8, or holds half a character"
    return None


def _flaw_of_id(name: object) -> str | None:
    if name is None or name == "":
        return "no id"
    if isinstance(name, bool) or not isinstance(name, (str, int)):
        return f"its id is no string or whole number but {_kind(name)}"
    if isinstance(name, int) and not SMALLEST_ID <= name <= LARGEST_ID:
        return "its id is a number of more than 64 bits"
    if isinstance(name, str) and not name.isascii():
        try:
            name.encode()
        except UnicodeEncodeError:
            return "its id is not UTF-8, or holds half a character"
    return None


def _kind(value: object) -> str:
    kinds = {"dict": "an object", "list": "a list", "bool": "true or false", "float": "a number"}
    name = type(value).__name__
    return {"int": "a number"}.get(name) or kinds.get(name) or name
