"""The ids of a batch job's inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from voyage_rag.batch.state import IdType
from voyage_rag.core import validation
from voyage_rag.errors import InvalidInputError

MAX_ID_CHARS = 512


class CustomIds:
    """The ids of inputs: the given ones, or the positions of the inputs in digits."""

    def __init__(self, given: Iterable[str | int] | None) -> None:
        self._given: Iterator[str | int] | None = None if given is None else iter(given)
        self._used: dict[str, int] = {}
        self._all_integers = True
        self._smallest = self._largest = 0

    @property
    def type(self) -> IdType:
        """The type of the ids so far: 64-bit integers or strings."""
        if not self._all_integers:
            return "string"
        if self._smallest >= -(2**63) and self._largest < 2**63:
            return "int64"
        return "uint64" if self._smallest == 0 and self._largest < 2**64 else "string"

    def next(self, index: int) -> str:
        """Return the id of the next input, whose position is `index`."""
        if self._given is None:
            return str(index)
        place = f"custom_ids[{index}]"
        try:
            given = next(self._given)
        except StopIteration:
            raise InvalidInputError(
                f"inputs[{index}] has no custom_id: pass one per input", indices=(index,)
            ) from None
        if self._all_integers and type(given) is int:
            self._smallest = min(self._smallest, given)
            self._largest = max(self._largest, given)
            given = str(given)
        else:
            self._all_integers = False
        name = validation.check_text(place, given, index)
        if not name or len(name) > MAX_ID_CHARS:
            raise InvalidInputError(
                f"{place} must have 1 to {MAX_ID_CHARS} characters, not {len(name)}",
                indices=(index,),
            )
        first = self._used.setdefault(name, index)
        if first != index:
            raise InvalidInputError(
                f"custom_ids[{first}] and {place} are both {name!r}: ids must be unique",
                indices=(index,),
            )
        return name

    def check_end(self) -> None:
        """Raise an error for ids without an input."""
        if self._given is not None and next(self._given, None) is not None:
            raise InvalidInputError("there are more custom_ids than inputs: pass one per input")
