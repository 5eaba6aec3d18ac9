"""What images and videos are, what they cost, and what is too large, by their first bytes.

Sizes are read from headers, so nothing is decoded that is sent as it is. Limits and prices are
those of docs.voyageai.com, "Multimodal Embeddings".
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from voyage_rag.errors import InvalidInputError
from voyage_rag.models import Model

Kind: TypeAlias = Literal["image", "video"]

MOST_BYTES = 20_000_000
MOST_PIXELS = 16_000_000
FEWEST_COUNTED, MOST_COUNTED = 50_000, 2_000_000
"""What an image or a frame counts as, at least and at most. More pixels bring nothing."""
PIXELS_PER_TOKEN: dict[Kind, int] = {"image": 560, "video": 1_120}

TAKEN = ("image/png", "image/jpeg", "image/webp", "image/gif", "video/mp4")
"""Formats the service takes."""

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".gif")
VIDEO_ENDINGS = (".mp4",)

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
ALONE = frozenset({0x01, 0xFF, *range(0xD0, 0xD8)})
"""JPEG markers without a length: fill bytes and restarts."""


@dataclass(frozen=True, slots=True)
class Media:
    """An image or a video that has been looked at, and not read.

    Attributes:
        kind: Which of the two.
        format: Its MIME type, empty if it is none the service takes.
        source: Where its bytes are, for who reads it.
        size: In bytes, None where that is known only when it is encoded.
        pixels: Of the image, or of one frame; None where that cannot be told.
        frames: Of the video, 1 for an image; None where that cannot be told.
    """

    kind: Kind
    format: str
    source: object
    size: int | None
    pixels: int | None
    frames: int | None = 1

    @property
    def counted(self) -> int | None:
        """Pixels it is billed for, None where that cannot be told."""
        if self.pixels is None or self.frames is None:
            return None
        return self.frames * min(max(self.pixels, FEWEST_COUNTED), MOST_COUNTED)


@dataclass(frozen=True, slots=True)
class Reader:
    """Whoever can read media. Both may take a while.

    Attributes:
        look: Says what a source is, of the kind given, if one is.
        load: The MIME type and bytes to send: as they are, unless the format is not taken or the
            image is to have fewer pixels than it has.
    """

    look: Callable[[object, Kind | None], Media]
    load: Callable[[Media, int | None], tuple[str, bytes]]


def tokens_of(media: Media, context: int) -> float:
    """What it takes of the context; the most it can where that cannot be told."""
    if media.counted is not None:
        return media.counted / PIXELS_PER_TOKEN[media.kind]
    return context if media.kind == "video" else MOST_COUNTED / PIXELS_PER_TOKEN["image"]


def is_reduced(media: Media, most_pixels: int | None) -> bool:
    """Whether it is to lose pixels."""
    return bool(
        most_pixels and media.kind == "image" and media.pixels and media.pixels > most_pixels
    )


def check(media: Media, row: Model, most_pixels: int | None) -> None:
    """Refuse what the service would.

    Raises:
        InvalidInputError: It is too large, or a video for a model that takes none.
    """
    if media.kind == "video":
        check_takes_video(row)
    if is_reduced(media, most_pixels):
        return
    if media.kind == "image" and (media.pixels or 0) > MOST_PIXELS:
        raise InvalidInputError(
            f"the image has {media.pixels:,} pixels, the service takes {MOST_PIXELS:,}: pass "
            "downscale=True, or a smaller image"
        )
    if media.format:
        check_size(media.kind, media.size or 0)


def check_size(kind: Kind, size: int) -> None:
    """Refuse more bytes than the service takes.

    Raises:
        InvalidInputError: There are more.
    """
    if size > MOST_BYTES:
        remedy = (
            "pass downscale=True, or a smaller image" if kind == "image" else "cut or shrink it"
        )
        raise InvalidInputError(
            f"the {kind} has {size:,} bytes, the service takes {MOST_BYTES:,}: {remedy}"
        )


def check_takes_video(row: Model) -> None:
    """Refuse video for a model that takes none.

    Raises:
        InvalidInputError: It is known to take none.
    """
    if not row.video:
        raise InvalidInputError(f"{row.name!r} takes no video: use voyage-multimodal-3.5")


def kind_of_url(url: str) -> Kind | None:
    """What a URL leads to, by its ending; None if it has none that says so."""
    path = url.partition("?")[0].partition("#")[0].lower()
    if path.endswith(IMAGE_ENDINGS):
        return "image"
    return "video" if path.endswith(VIDEO_ENDINGS) else None


def sniff(head: bytes) -> str:
    """The format of a file by its first dozen bytes, empty if it is none the service takes."""
    if head.startswith(PNG):
        return "image/png"
    if head.startswith(JPEG):
        return "image/jpeg"
    if head[:6] in {b"GIF87a", b"GIF89a"}:
        return "image/gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp" and head[8:10] != b"qt" and head[8:12] not in NOT_VIDEO:
        return "video/mp4"
    return ""


NOT_VIDEO = {b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1"}
"""Images in the same container as MP4."""


def pixels_of(head: bytes) -> int | None:
    """Pixels of an image of a format the service takes, None if the header is not all there."""
    try:
        match sniff(head):
            case "image/png":
                width, height = struct.unpack_from(">II", head, 16)
            case "image/gif":
                width, height = struct.unpack_from("<HH", head, 6)
            case "image/webp":
                width, height = _webp_size(head)
            case "image/jpeg":
                width, height = _jpeg_size(head)
            case _:
                return None
    except (struct.error, IndexError):
        return None
    return width * height or None


def _webp_size(head: bytes) -> tuple[int, int]:
    kind = head[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", head, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", head, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    low, high = struct.unpack_from("<HB", head, 24), struct.unpack_from("<HB", head, 27)
    return low[0] + (low[1] << 16) + 1, high[0] + (high[1] << 16) + 1


def _jpeg_size(head: bytes) -> tuple[int, int]:
    at = 2
    while True:
        if head[at] != 0xFF:  # noqa: PLR2004 - every marker begins so
            raise IndexError("not at a marker")
        marker = head[at + 1]
        if marker in ALONE:
            at += 1 if marker == 0xFF else 2  # noqa: PLR2004 - a fill byte
            continue
        (length,) = struct.unpack_from(">H", head, at + 2)
        if marker in FRAME_HEADERS:
            height, width = struct.unpack_from(">HH", head, at + 5)
            return width, height
        at += 2 + length


def film_of(data: bytes) -> tuple[int, int] | None:
    """Pixels of a frame and number of frames, even, of an MP4; None if it does not say."""
    try:
        for moov in _boxes(data, b"moov"):
            for track in _boxes(moov, b"trak"):
                header = next(_boxes(track, b"tkhd"))
                width, height = struct.unpack(">II", header[-8:])
                pixels = (width >> 16) * (height >> 16)  # in 16.16 fixed point
                if pixels:
                    frames = _frames(track)
                    return pixels, frames - frames % 2
    except (struct.error, StopIteration):
        pass
    return None


def _frames(track: bytes) -> int:
    """What the track's table of times adds up to."""
    inner = track
    for name in (b"mdia", b"minf", b"stbl", b"stts"):
        inner = next(_boxes(inner, name))
    (entries,) = struct.unpack_from(">I", inner, 4)
    return sum(struct.unpack_from(f">{2 * entries}I", inner, 8)[::2])


def _boxes(data: bytes, name: bytes) -> Iterator[bytes]:
    """What is in the boxes of a name, one level deep."""
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1:  # the real length follows, in eight bytes
            (length,) = struct.unpack_from(">Q", data, at + head)
            head = 16
        end = at + length if length else len(data)
        if end < at + head:
            return
        if kind == name:
            yield data[at + head : end]
        at = end
