"""Things that go wrong on demand.

    Emulator(faults=[status(503), None, DROPPED])   # one for each request in turn
    Emulator(faults=Chance(0.1, seed=7))            # one request in ten, the same ones every time

Three kinds, by what they touch:

- `Instead`: the request is not looked at and this is answered: `status(...)`, `redirect(...)`.
- `Spoiled`: the answer is proper HTTP and JSON with wrong contents: `REORDERED`, `MISSING`,
  `DUPLICATED`, `NAN`, `SHORT_VECTOR`, `WRONG_DTYPE`. Only a 200 can be spoiled.
- `Broken`: the answer is right and its delivery is not: `DROPPED`, `CUT_OFF`, `CLOSED`,
  `WRONG_LENGTH`, `SHORT_LENGTH`, `TRUNCATED`, `SILENT`, `STALLED`, `trickled(...)`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import chain, repeat
from random import Random
from typing import Literal, TypeAlias

import numpy as np
import orjson

from voyage_rag.emulator.answers import PAYMENT, Answer, retry_after, write
from voyage_rag.emulator.work import Payload


@dataclass(frozen=True, slots=True)
class Instead:
    """Answer with this."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    retry_after: int | None = None
    """Seconds, sent as Retry-After."""
    retry_after_as_date: bool = False

    @property
    def name(self) -> str:
        """What it is, for a count of faults."""
        kind = self.content_type.partition(";")[0].partition("/")[2] if self.body else "empty"
        form = "date" if self.retry_after_as_date else "seconds"
        waits = "" if self.retry_after is None else f", Retry-After in {form}"
        return f"{self.status} {kind}{waits}"

    def answer(self) -> Answer:
        """Return the answer, dated now."""
        headers = dict(self.headers)
        if self.retry_after is not None:
            headers |= retry_after(self.retry_after, as_date=self.retry_after_as_date)
        return write(self.status, self.body, headers, self.content_type)


@dataclass(frozen=True, slots=True)
class Spoiled:
    """Answer with contents that are wrong."""

    name: str
    spoil: Callable[[list[Payload]], None]
    """Change the items of `data` in place (of the first document, for contextualized ones)."""


@dataclass(frozen=True, slots=True)
class Broken:
    """Deliver the right answer wrongly."""

    manner: Literal[
        "dropped",
        "cut_off",
        "closed",
        "wrong_length",
        "short_length",
        "truncated",
        "silent",
        "stalled",
        "trickled",
    ]
    pieces: int = 1
    pause: float = 0.0
    """Seconds before each piece."""

    @property
    def name(self) -> str:
        """What it is, for a count of faults."""
        return self.manner


Fault: TypeAlias = Instead | Spoiled | Broken


def status(
    code: int,
    form: Literal["json", "html", "empty"] = "json",
    *,
    retry_after: int | None = None,
    as_date: bool = False,
) -> Instead:
    """Return a fault that answers with an error.

    Args:
        code: HTTP status. A 429 speaks of the missing payment method, as the service does.
        form: `json` as the API itself answers, `html` as a gateway before it, or no body.
        retry_after: Seconds to name in a Retry-After header; None for no header.
        as_date: Name the date instead of the seconds.
    """
    phrase = _PHRASES.get(code) or HTTPStatus(code).phrase
    detail = PAYMENT if code == HTTPStatus.TOO_MANY_REQUESTS else phrase
    body, content_type = {
        "json": (orjson.dumps({"detail": detail}), "application/json"),
        "html": (
            f"<html><head><title>{code} {phrase}</title></head>"
            f"<body><h1>{phrase}</h1></body></html>".encode(),
            "text/html; charset=utf-8",
        ),
        "empty": (b"", "text/plain"),
    }[form]
    return Instead(code, body, content_type, retry_after=retry_after, retry_after_as_date=as_date)


_PHRASES = {529: "Site is overloaded"}  # not registered, used by some gateways


def redirect(url: str, code: int = 307) -> Instead:
    """Return a fault that sends the client elsewhere; a key must not follow it to another host."""
    return Instead(code, headers=(("location", url),))


def _repeat_first(items: list[Payload]) -> None:
    items[-1:] = [dict(items[0])]


def _lose_a_number(items: list[Payload]) -> None:
    if "relevance_score" in items[0]:
        items[0]["relevance_score"] = float("nan")
    elif items[0]["embedding"].dtype.kind == "f":
        items[0]["embedding"] = items[0]["embedding"].copy()
        items[0]["embedding"][0] = np.nan


def _shorten(items: list[Payload]) -> None:
    if "embedding" in items[0]:
        items[0]["embedding"] = items[0]["embedding"][:-1]


def _retype(items: list[Payload]) -> None:
    for item in items:
        if "embedding" in item:
            wrong = np.int8 if item["embedding"].dtype.kind == "f" else np.float32
            item["embedding"] = (item["embedding"] * 100).astype(wrong)


REORDERED = Spoiled("reordered", list.reverse)
"""Items in reverse order, each with its right index."""
MISSING = Spoiled(
    "missing", lambda items: items.clear() if len(items) == 1 else items.__delitem__(-1)
)
"""The last item is not there."""
DUPLICATED = Spoiled("duplicated", _repeat_first)
"""The last item is the first one again."""
NAN = Spoiled("nan", _lose_a_number)
"""The first number is not one: NaN among base64 bytes, null among JSON numbers."""
SHORT_VECTOR = Spoiled("short_vector", _shorten)
"""The first vector lacks its last number."""
WRONG_DTYPE = Spoiled("wrong_dtype", _retype)
"""Integers where floats were asked for, floats where integers were."""

DROPPED = Broken("dropped")
"""The connection closes before an answer."""
CUT_OFF = Broken("cut_off")
"""The connection closes in the middle of the body."""
CLOSED = Broken("closed")
"""The connection closes after the whole answer, which did not say so."""
WRONG_LENGTH = Broken("wrong_length")
"""Content-Length names ten bytes more than come before the connection closes."""
SHORT_LENGTH = Broken("short_length")
"""Content-Length names ten bytes fewer than come before the connection closes."""
TRUNCATED = Broken("truncated")
"""A whole HTTP answer whose JSON stops half way."""
SILENT = Broken("silent")
"""Nothing is answered, and the connection stays open."""
STALLED = Broken("stalled")
"""Half the body comes, and the connection stays open."""


def trickled(seconds: float, pieces: int = 10) -> Broken:
    """Return a fault that spreads the body over so many seconds."""
    return Broken("trickled", pieces, seconds / pieces)


NAMED: dict[str, Fault] = {
    **{str(code): status(code) for code in (429, 500, 502, 503, 504, 529)},
    **{fault.name: fault for fault in (REORDERED, MISSING, DUPLICATED, NAN)},
    **{fault.name: fault for fault in (SHORT_VECTOR, WRONG_DTYPE)},
    **{fault.manner: fault for fault in (DROPPED, CUT_OFF, CLOSED, WRONG_LENGTH, SHORT_LENGTH)},
    **{fault.manner: fault for fault in (TRUNCATED, SILENT, STALLED, trickled(5.0))},
    "redirect": redirect("https://another-host.invalid/v1/embeddings"),
}
"""Every kind by a name, for a command line."""

PASSING = (status(429), status(500), status(502, "html"), status(503, "empty"), DROPPED, CUT_OFF)
"""Faults that a second try is likely to get past."""


@dataclass(frozen=True, slots=True)
class Chance:
    """A fault now and then."""

    rate: float
    """Share of requests that meet one, 0 to 1."""
    seed: int = 0
    """The same seed makes the same requests fail, in order of their arrival."""
    among: Sequence[Fault] = PASSING


def draw(faults: Sequence[Fault | None] | Chance) -> Iterator[Fault | None]:
    """Yield what goes wrong with each request, without end."""
    if not isinstance(faults, Chance):
        yield from chain(faults, repeat(None))
        return
    random = Random(faults.seed)  # noqa: S311  (repeatable on purpose)
    while True:
        fault = random.choice(faults.among)
        yield fault if random.random() < faults.rate else None
