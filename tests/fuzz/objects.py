"""Create any Python object from bytes, including unlikely arguments."""

from __future__ import annotations

import array
import collections
import datetime as dt
import decimal
import enum
import fractions
import io
import math
import types
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from langchain_core.documents import Document
from llama_index.core.schema import ImageNode, NodeWithScore, QueryBundle, TextNode
from PIL import Image as Pillow
from pydantic import SecretStr

from pictures import gif, mp4, png
from voyage_rag import Image, Video

DEEPEST = 4
MOST_ITEMS = 4


class HostileError(Exception):
    """The error of a hostile object, which is the caller's own and raised unchanged."""


class Hostile:
    """An object on which every operation fails."""

    def _fail(self, *args: Any) -> Any:
        raise HostileError

    __iter__ = __len__ = __getitem__ = __bool__ = __float__ = __int__ = __index__ = _fail


class Unequal:
    """An object that can neither be compared nor hashed, nor shown."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise HostileError

    def __repr__(self) -> str:
        raise HostileError


class Liar(list):  # type: ignore[type-arg]
    """A list whose length is greater than its number of items."""

    def __len__(self) -> int:
        return 1


class Text(str):
    """A string that is not of the exact type."""

    __slots__ = ()


class Number(enum.IntEnum):
    """An integer that is not of the exact type."""

    ONE = 1


class PathLike:
    """A path-like object without a path."""

    def __fspath__(self) -> str:
        return "/nowhere/at/all.png"


def endless() -> Iterator[Any]:
    """An iterator that fails after a while, so that no test waits for its end."""
    yield from ["a"] * 3
    raise HostileError


STRINGS = [
    *("", " ", "a", "query", "document", "float", "int8", "binary", "zeros", "error", "space"),
    *("voyage-4", "voyage-of-tests", "voyage-context-4", "voyage-multimodal-3.5", "rerank-3"),
    *("\0", "a\ud800b", "\ud83d", "\udc00", "\u202e", "é" * 99, "x" * 9_999, "1", "None", "nan"),
    *(
        "a.png",
        "/nowhere/a.png",
        "https://example.com/a.png",
        "file:///a",
        "data:image/png;base64,",
    ),
    *("data:image/png;base64,AAAA", "data:text/plain,a", "http://", "source", "../..", "~"),
]
NUMBERS = [
    0,
    1,
    -1,
    2,
    3,
    256,
    1_000,
    1_024,
    2**31,
    2**63,
    -(2**63),
    10**30,
    True,
    False,
    Number.ONE,
]
FLOATS = [0.0, -0.0, 0.5, 1.0, -1.0, 1e308, math.nan, math.inf, -math.inf]

ATOMS: list[Callable[[], Any]] = [
    lambda: None,
    lambda: ...,
    lambda: NotImplemented,
    object,
    lambda: object,
    lambda: len,
    lambda: lambda *args: "x",
    lambda: types,
    lambda: HostileError("an exception"),
    lambda: 1j,
    lambda: decimal.Decimal("1.5"),
    lambda: fractions.Fraction(1, 3),
    lambda: dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    lambda: dt.timedelta(1),
    lambda: range(3),
    lambda: slice(1),
    lambda: array.array("f", [1.0]),
    lambda: collections.deque(["a"]),
    lambda: types.MappingProxyType({"a": 1}),
    lambda: memoryview(b"ab"),
    lambda: bytearray(b"ab"),
    lambda: b"",
    lambda: b"bytes",
    png,
    gif,
    mp4,
    lambda: png()[:20],
    lambda: b"%!PS-Adobe-3.0 EPSF-3.0",
    lambda: b"\xff\xd8\xff" + bytes(99),
    lambda: io.BytesIO(png()),
    lambda: io.StringIO("a"),
    io.BytesIO,
    lambda: Path("/nowhere/at/all"),
    lambda: Path("/"),
    lambda: Path("/dev/null"),
    lambda: PurePosixPath("a\0b"),
    lambda: Pillow.new("RGB", (3, 2)),
    lambda: Pillow.new("F", (1, 1)),
    lambda: np.float32(1.5),
    lambda: np.int64(3),
    lambda: np.str_("a"),
    lambda: np.array("a"),
    lambda: np.array(["a", "b"]),
    lambda: np.zeros((2, 3)),
    lambda: np.array([], dtype=object),
    lambda: Document("a", metadata={"source": "x"}),
    lambda: Document(""),
    lambda: TextNode(text="a"),
    lambda: TextNode(text=""),
    lambda: ImageNode(image_path="/nowhere.png"),
    lambda: NodeWithScore(node=TextNode(text="a"), score=0.5),
    lambda: QueryBundle("a"),
    lambda: SecretStr("pa-secret"),
    Hostile,
    Unequal,
    PathLike,
    endless,
    lambda: Text("a"),
    lambda: Liar(["a", "b"]),
    Liar,
]


class Choices:
    """Numbers below a bound, read from bytes; zeros when they are used up."""

    def __init__(self, data: bytes) -> None:
        self._data = iter(data)

    def below(self, bound: int) -> int:
        """A number from 0 up to, and not including, the bound."""
        number = next(self._data, 0)
        return (number if bound <= 256 else number << 8 | next(self._data, 0)) % bound

    def of(self, things: Any) -> Any:
        """One of several."""
        return things[self.below(len(things))]

    def anything(self, depth: int = 0) -> Any:
        """Any object."""
        kind = self.below(10 if depth < DEEPEST else 5)
        if kind < 2:
            return self.of(STRINGS)
        if kind == 2:
            return self.of(NUMBERS)
        if kind == 3:
            return self.of(FLOATS)
        if kind == 4:
            return self.of(ATOMS)()
        return self._composed(kind, depth + 1)

    def _composed(self, kind: int, depth: int) -> Any:
        if kind == 9:
            return (Image if self.below(2) else Video)(self.anything(depth))
        items = [self.anything(depth) for _ in range(self.below(MOST_ITEMS))]
        if kind == 5:
            return items
        if kind == 6:
            return self.of([tuple, iter, collections.deque])(items)
        if kind == 7:
            keys = ["content", "type", "text", "image_url", "image_base64", "source"]
            return {self.of(keys): item for item in items}
        return [self.of(STRINGS) for _ in items]
