"""Check that an argument is a list of the expected elements before iterating over it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, TypeGuard, cast

from voyage_rag.errors import InvalidInputError


def elements(name: str, value: object, expected: str, *index: int) -> Iterable[Any]:
    """Return the elements of a list, or of another ordered iterable.

    Args:
        name: The name of the argument in the error message.
        value: The argument.
        expected: A description of the expected type, such as "a list of strings".
        index: The position of the input, if the argument is one of several inputs.

    Raises:
        InvalidInputError: The value is a string, cannot be iterated over, or is a table, mapping or
            set, whose iteration would not yield the intended elements.
    """
    kind, remedy = type(value), ""
    if hasattr(kind, "__dask_graph__"):
        remedy = ", which is not computed yet: call its compute() and pass the result"
    elif hasattr(kind, "columns") or hasattr(kind, "column_names"):
        remedy = ", which is a table: pass one of its columns, as in table['text']"
    elif isinstance(value, (set, frozenset)):
        remedy = ", which has no order: pass a list"
    elif hasattr(kind, "__await__"):
        remedy = ", which was not awaited"
    elif hasattr(kind, "__aiter__"):
        remedy = ": collect its items first, as in [item async for item in items]"
    elif not isinstance(value, (str, bytes, bytearray, memoryview, Mapping, type)):
        try:
            iter(value)  # type: ignore[call-overload]
        except TypeError:
            pass
        else:
            return cast("Iterable[Any]", value)
    raise InvalidInputError(
        f"{name} must be {expected}, not {kind.__name__}{remedy}", indices=index
    )


def texts_of(name: str, texts: object) -> Iterable[str]:
    """Return the texts in order, or raise an `InvalidInputError`. A string is a list of one."""
    return [texts] if isinstance(texts, str) else elements(name, texts, "a list of strings")


def instances(name: str, value: object, kind: type) -> list[Any]:
    """Return a list of objects of one class, or raise an `InvalidInputError`."""
    found = elements(name, value, f"a list of {kind.__name__}s")
    found = found if isinstance(found, list) else list(found)
    for index, each in enumerate(found):
        if not isinstance(each, kind):
            raise InvalidInputError(
                f"{name}[{index}] must be a {kind.__name__}, not {type(each).__name__}",
                indices=(index,),
            )
    return found


def plain(value: object) -> Any:
    """Return a NumPy scalar or similar object as a Python value, and other values unchanged."""
    item = getattr(value, "item", None)
    return item() if callable(item) and getattr(value, "ndim", None) == 0 else value


def is_missing(value: object) -> bool:
    """Whether a value stands for missing data: None, NaN, or pandas' NaT or NA."""
    if value is None or type(value).__name__ == "NAType":
        return True
    try:
        return bool(value != value)  # noqa: PLR0124 - true for NaN and NaT only
    except Exception:  # noqa: BLE001 - arrays and other types define their own comparison
        return False


def is_hashable(value: object) -> TypeGuard[Hashable]:
    """Whether a value can be a dictionary key. A tuple that contains a list cannot."""
    try:
        hash(value)
    except TypeError:
        return False
    return True
