"""Check the inputs of multimodal models, and convert them to segments."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

from voyage_rag.checks import elements
from voyage_rag.core import media, validation
from voyage_rag.core.context import TokenEstimator
from voyage_rag.core.media import Media, MediaKind, MediaReader
from voyage_rag.errors import InvalidInputError, VoyageError
from voyage_rag.media import Image, Video
from voyage_rag.models import Model
from voyage_rag.types import InvalidText

Delivery: TypeAlias = Literal["url", "base64"]
"""How media are delivered: the service fetches a URL, or the request contains them."""

SEGMENT_TYPES: dict[str, tuple[MediaKind, Delivery] | None] = {
    "text": None,
    "image_url": ("image", "url"),
    "image_base64": ("image", "base64"),
    "video_url": ("video", "url"),
    "video_base64": ("video", "base64"),
}
"""The API's types of segments."""

MAX_FAILURES = 1_000
"""Maximum number of inputs that an error names."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TextSegment:
    """A text and an estimate of its tokens."""

    text: str
    estimated_tokens: float


@dataclass(frozen=True, slots=True)
class UrlSegment:
    """An image or a video that the service fetches."""

    kind: MediaKind
    url: str


Segment: TypeAlias = TextSegment | UrlSegment | Media


@dataclass(frozen=True, slots=True)
class Content:
    """One input: its position in the caller's list, its segments, and the sum of their tokens."""

    position: int
    segments: tuple[Segment, ...]
    estimated_tokens: float

    @property
    def delivery(self) -> Delivery | None:
        """How its media are delivered; None without media."""
        for segment in self.segments:
            if not isinstance(segment, TextSegment):
                return "url" if isinstance(segment, UrlSegment) else "base64"
        return None

    @property
    def media_tokens(self) -> int:
        """The tokens of its media whose size is known."""
        return sum(s.billed_tokens for s in self.segments if isinstance(s, Media))

    @property
    def size(self) -> int:
        """Approximate size in a request, in bytes."""
        return sum(map(_size_in_request, self.segments))

    @property
    def key(self) -> Hashable:
        """A value that equal inputs share. Pillow images are equal only to themselves."""
        return tuple(map(_key_of, self.segments))


@dataclass(frozen=True, slots=True)
class ContentParser:
    """Checks the inputs of a call and reads the headers of their media.

    Attributes:
        max_pixels: Number of pixels to which larger images are scaled down; None keeps their size.
        report_media_name: Called with the first text that is probably the path or URL of a file.
    """

    row: Model
    reader: MediaReader
    max_pixels: int | None
    estimate_tokens: TokenEstimator
    report_media_name: Callable[[str], None]
    invalid_text: InvalidText = "error"

    def parse(self, inputs: object) -> list[Content]:
        """Return the segments of each input.

        Raises:
            InvalidInputError: Some inputs cannot be embedded. The error has the positions of all,
                so that a folder with damaged files needs one more attempt, not one per file.
        """
        expected = "a list of inputs, each a list of texts, images and videos"
        if hasattr(inputs, "read"):  # iteration would divide a file into lines
            raise InvalidInputError(f"inputs must be {expected}, not a file: pass [file]")
        listed = elements("inputs", inputs, expected)
        contents: list[Content] = []
        failures: list[InvalidInputError] = []
        for position, given in enumerate(listed):
            try:
                contents.append(self._content(position, given))
            except InvalidInputError as error:
                failures.append(error)
                if len(failures) == MAX_FAILURES:
                    break
        if failures:
            raise _first_of(failures)
        _refuse_moving_images(contents)
        texts = (s.text for c in contents for s in c.segments if isinstance(s, TextSegment))
        if (name := next(filter(media.is_media_name, texts), None)) is not None:
            self.report_media_name(name)
        return contents

    def _content(self, position: int, given: object) -> Content:
        segments = tuple(
            self._segment(f"inputs[{position}]{name}", position, item)
            for name, item in _items_of(position, given)
        )
        content = Content(position, segments, sum(map(self._tokens_of, segments)))
        media_types = {type(s) for s in segments if not isinstance(s, TextSegment)}
        if len(media_types) > 1:
            raise InvalidInputError(
                f"inputs[{position}] mixes URLs with files, which the service does not accept in "
                "one request: pass all its media as URLs or all as files",
                indices=(position,),
            )
        return content

    def _segment(self, name: str, position: int, item: object) -> Segment:
        if isinstance(item, Mapping):
            item = _from_api(name, position, item)
        elif isinstance(item, str):
            item = _image_or_video(item) or TextSegment(item, 0)
        if isinstance(item, TextSegment):
            return self._text(name, position, item.text)
        kind: MediaKind | None = None
        while isinstance(item, (Image, Video)):
            kind = "image" if isinstance(item, Image) else "video"
            item = item.source
        if isinstance(item, str) and _is_http(item):
            item = validation.check_text(name, item, position)
            kind = kind or "image"
            if kind == "video":
                naming(name, position, partial(media.check_supports_video, self.row))
            return UrlSegment(kind, item)
        found = naming(name, position, partial(self.reader.inspect, item, kind))
        naming(name, position, partial(media.check_limits, found, self.row, self.max_pixels))
        return found

    def _text(self, name: str, position: int, text: str) -> TextSegment:
        text = validation.check_text(name, text, position, invalid_text=self.invalid_text)
        if not text:
            raise InvalidInputError(
                f"{name} is empty: leave it out, because the service rejects empty text",
                indices=(position,),
            )
        return TextSegment(text, self.estimate_tokens(text))

    def _tokens_of(self, segment: Segment) -> float:
        if isinstance(segment, TextSegment):
            return segment.estimated_tokens
        if isinstance(segment, UrlSegment):
            segment = Media(segment.kind, "", None, None, None, None)
        return media.tokens_of(segment, self.row.context)


def naming(name: str, position: int, do: Callable[[], T]) -> T:
    """Call a function, and name the input in its `OSError` or `InvalidInputError`."""
    try:
        return do()
    except (OSError, InvalidInputError) as error:
        reason = error.message if isinstance(error, VoyageError) else str(error)
        raise InvalidInputError(f"{name}: {reason}", indices=(position,)) from error


def _first_of(failures: Sequence[InvalidInputError]) -> InvalidInputError:
    """Return the first failure, with the positions of all."""
    first, *others = failures
    first.indices = tuple(index for failure in failures for index in failure.indices)
    if others:
        first.message += (
            f"; {len(others)} other input{'s' * (len(others) > 1)} cannot be embedded either: "
            "`indices` of this error has the positions"
        )
    return first


def _refuse_moving_images(contents: Sequence[Content]) -> None:
    """Raise an `InvalidInputError` if an animated Pillow image occurs in several places.

    Pillow's iterators yield one image several times, and move it to the next frame each time. Each
    place would have the vector of the last frame.
    """
    first: dict[int, int] = {}
    for content in contents:
        for source in (s.source for s in content.segments if isinstance(s, Media)):
            earlier = first.setdefault(id(source), content.position)
            if earlier != content.position and getattr(source, "is_animated", False):
                raise InvalidInputError(
                    f"inputs[{content.position}] has the same animated image as inputs[{earlier}], "
                    "with the same current frame: pass a copy of each frame, as in "
                    "PIL.ImageSequence.all_frames(image)",
                    indices=(content.position,),
                )


def _items_of(position: int, given: object) -> list[tuple[str, object]]:
    """Return the items of one input, each with its index for error messages."""
    if isinstance(given, Mapping):
        content = given.get("content")
        if set(given) != {"content"} or not isinstance(content, (list, tuple)):
            raise InvalidInputError(
                f"inputs[{position}] must be a dictionary with only the key 'content', a list, not "
                f"{sorted(map(str, given))}",
                indices=(position,),
            )
        if not all(isinstance(item, Mapping) for item in content):
            raise InvalidInputError(
                f"inputs[{position}]['content'] must contain dictionaries", indices=(position,)
            )
        name, items = "['content']", list(content)
    elif isinstance(given, (list, tuple)):
        name, items = "", list(given)
    else:
        return [("", given)]
    if not items:
        raise InvalidInputError(f"inputs[{position}] is empty: leave it out", indices=(position,))
    return [(f"{name}[{number}]", item) for number, item in enumerate(items)]


def _from_api(name: str, position: int, item: Mapping[Any, Any]) -> TextSegment | Image | Video:
    kind = item.get("type")
    if not isinstance(kind, str) or kind not in SEGMENT_TYPES:
        raise InvalidInputError(
            f"{name} must have one of the types {', '.join(SEGMENT_TYPES)}, not {kind!r}",
            indices=(position,),
        )
    value = item.get(kind)
    if set(item) != {"type", kind} or not isinstance(value, str):
        raise InvalidInputError(
            f"{name} must contain only 'type' and a string under {kind!r}",
            indices=(position,),
        )
    segment_type = SEGMENT_TYPES[kind]
    if segment_type is None:
        return TextSegment(value, 0)
    media_kind, delivery = segment_type
    if not (_is_http(value) if delivery == "url" else _is_data_url(value)):
        expected = (
            "an http(s) URL"
            if delivery == "url"
            else f"a data URL (data:{media_kind}/...;base64,...)"
        )
        raise InvalidInputError(f"{name} must contain {expected}", indices=(position,))
    return Image(value) if media_kind == "image" else Video(value)


def _image_or_video(text: str) -> Image | Video | None:
    """Return the image or video of a data URL; None for a text.

    Other URLs are texts, so that URLs in documents are never fetched.
    """
    if not _is_data_url(text):
        return None
    kind = text[:11].lower()
    return Image(text) if kind == "data:image/" else Video(text) if kind == "data:video/" else None


def _is_http(text: str) -> bool:
    return text[:8].lower().startswith(("http://", "https://"))


def _is_data_url(text: str) -> bool:
    return text[:5].lower() == "data:" and ";base64," in text[:200]


def _key_of(segment: Segment) -> Hashable:
    if isinstance(segment, TextSegment):
        return segment.text
    if isinstance(segment, UrlSegment):
        return segment.kind, segment.url
    source = segment.source
    return segment.kind, source if isinstance(source, (bytes, Path)) else id(source)


def _size_in_request(segment: Segment) -> int:
    if isinstance(segment, TextSegment):
        return len(segment.text)
    if isinstance(segment, UrlSegment):
        return len(segment.url)
    # An image that is encoded again usually takes less than a byte per pixel.
    size = segment.size if segment.size is not None else segment.pixels or 0
    return size * 4 // 3
