"""What multimodal inputs are made of, and what callers may write for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from voyage_rag.core import media
from voyage_rag.core.media import Media
from voyage_rag.errors import InvalidInputError
from voyage_rag.types import Image, Video

Way = Literal["url", "base64"]

SEGMENTS: dict[str, tuple[media.Kind, Way] | None] = {
    "text": None,
    "image_url": ("image", "url"),
    "image_base64": ("image", "base64"),
    "video_url": ("video", "url"),
    "video_base64": ("video", "base64"),
}
"""The API's types of segments: what they hold, and how."""


@dataclass(frozen=True, slots=True)
class Text:
    """A segment of words, and their tokens."""

    text: str
    estimated_tokens: float


@dataclass(frozen=True, slots=True)
class Link:
    """A segment that the service fetches."""

    kind: media.Kind
    url: str


Segment = Text | Link | Media


@dataclass(frozen=True, slots=True)
class Content:
    """One input: its position in the caller's list, its segments, and their tokens together."""

    position: int
    segments: tuple[Segment, ...]
    estimated_tokens: float

    @property
    def way(self) -> Way | None:
        """How its media go: as URLs or in base64; None without media."""
        for segment in self.segments:
            if not isinstance(segment, Text):
                return "url" if isinstance(segment, Link) else "base64"
        return None

    @property
    def size(self) -> int:
        """Bytes it will take in a request, about."""
        return sum(_bulk(segment) for segment in self.segments)


@dataclass(frozen=True, slots=True)
class Words:
    """Text, whatever it looks like."""

    text: str


def listed(inputs: object) -> Iterable[object]:
    """The inputs, if they can be gone through one by one."""
    if isinstance(inputs, (str, bytes, bytearray, Mapping)) or not isinstance(inputs, Iterable):
        raise InvalidInputError(
            "inputs must be a list of inputs, each a list of texts, images and videos, not "
            f"{type(inputs).__name__}"
        )
    return inputs


def items_of(position: int, given: object) -> list[tuple[str, object]]:
    """The segments of one input, each with what it is called."""
    if isinstance(given, Mapping):
        content = given.get("content")
        if set(given) != {"content"} or not isinstance(content, (list, tuple)):
            raise InvalidInputError(
                f"inputs[{position}] must be a dictionary with a list 'content' alone, not "
                f"{sorted(map(str, given))}",
                indices=(position,),
            )
        name, items = "['content']", list(content)
        if not all(isinstance(item, Mapping) for item in items):
            raise InvalidInputError(
                f"inputs[{position}]['content'] must hold dictionaries", indices=(position,)
            )
        items = [dict(item) for item in items]
    elif isinstance(given, (list, tuple)):
        name, items = "", list(given)
    else:
        return [("", given)]
    if not items:
        raise InvalidInputError(f"inputs[{position}] is empty: leave it out", indices=(position,))
    return [(f"{name}[{number}]", item) for number, item in enumerate(items)]


def from_dictionary(name: str, position: int, item: dict[str, Any]) -> object:
    """A segment as the API writes it."""
    kind = item.get("type")
    if kind not in SEGMENTS:
        raise InvalidInputError(
            f"{name} must have a 'type' among {', '.join(SEGMENTS)}, not {kind!r}",
            indices=(position,),
        )
    value = item.get(kind)
    if set(item) != {"type", kind} or not isinstance(value, str):
        raise InvalidInputError(
            f"{name} must hold 'type' and a string under {kind!r}, and nothing else",
            indices=(position,),
        )
    held = SEGMENTS[kind]
    if held is None:
        return Words(value)
    if is_link(value) != (held[1] == "url") or (held[1] == "base64" and not _is_data(value)):
        due = (
            "an http(s) URL" if held[1] == "url" else f"a data URL (data:{held[0]}/...;base64,...)"
        )
        raise InvalidInputError(f"{name} must hold {due}", indices=(position,))
    return Image(value) if held[0] == "image" else Video(value)


def in_words(text: str) -> Words | Image | Video:
    """The image or video that a string stands for, else text."""
    if _is_data(text) and text.startswith(("data:image/", "data:video/")):
        return Image(text) if text.startswith("data:image/") else Video(text)
    if is_link(text) and not any(map(str.isspace, text)):
        kind = media.kind_of_url(text)
        if kind is not None:
            return Image(text) if kind == "image" else Video(text)
    return Words(text)


def is_link(text: str) -> bool:
    """Whether the service can fetch it."""
    return text[:8].lower().startswith(("http://", "https://"))


def _is_data(text: str) -> bool:
    return text.startswith("data:") and ";base64," in text[:200]


def _bulk(segment: Segment) -> int:
    if isinstance(segment, Text):
        return len(segment.text)
    if isinstance(segment, Link):
        return len(segment.url)
    # Encoded anew, an image takes less than a byte per pixel as a rule.
    size = segment.size if segment.size is not None else segment.pixels or 0
    return size * 4 // 3
