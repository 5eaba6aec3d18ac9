"""Formats, sizes and prices of images and videos, read from their first bytes.

Sizes are read from headers, so media that are sent unchanged are not decoded. Limits and prices are
those of docs.voyageai.com, "Multimodal Embeddings".
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from voyage_rag.errors import InvalidInputError
from voyage_rag.models import Model

MediaKind: TypeAlias = Literal["image", "video"]

HEADER_BYTES = 262_144
"""Bytes of a file that contain the size of almost every image, after EXIF data and previews."""
TAIL_BYTES = 65_536
"""Bytes of a file that contain the end of almost every image."""
MAX_BYTES = 20_000_000
MAX_PIXELS = 16_000_000
MIN_BILLED_PIXELS, MAX_BILLED_PIXELS = 50_000, 2_000_000
"""Minimum and maximum of the billed pixels of an image or a frame."""
PIXELS_PER_TOKEN: dict[MediaKind, int] = {"image": 560, "video": 1_120}

ACCEPTED_FORMATS = ("image/png", "image/jpeg", "image/webp", "image/gif", "video/mp4")
"""MIME types that the service accepts."""

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif")
OTHER_IMAGE_SUFFIXES = (".avif", ".bmp", ".heic", ".jp2", ".tif", ".tiff")
VIDEO_SUFFIXES = (".mp4",)
MAX_PATH_LENGTH = 1_024
MAX_WORDS_OF_NAME = 3
"""A text with more words that ends like a file name is a sentence, unless it begins like a path."""

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
JPEG_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
JPEG_MARKERS_WITHOUT_LENGTH = frozenset({0x01, 0xFF, *range(0xD0, 0xD8)})
"""Fill bytes and restarts."""


@dataclass(frozen=True, slots=True)
class Media:
    """An image or a video whose header has been read.

    Attributes:
        kind: Image or video.
        format: MIME type; empty if the service does not accept it.
        source: The source of its bytes, for the `MediaReader`.
        size: Size in bytes; None if it is known only after encoding.
        pixels: Pixels of the image or of one frame; None if the header lacks them.
        frames: Number of frames, 1 for an image; None if the header lacks it.
    """

    kind: MediaKind
    format: str
    source: object
    size: int | None
    pixels: int | None
    frames: int | None = 1

    @property
    def billed_pixels(self) -> int | None:
        """Billed pixels; None if the header lacks them."""
        if self.pixels is None or self.frames is None:
            return None
        return self.frames * min(max(self.pixels, MIN_BILLED_PIXELS), MAX_BILLED_PIXELS)

    @property
    def billed_tokens(self) -> int:
        """Billed tokens; 0 if the header lacks the size."""
        return (self.billed_pixels or 0) // PIXELS_PER_TOKEN[self.kind]


@dataclass(frozen=True, slots=True)
class MediaReader:
    """Reads images and videos. Both functions may block.

    Attributes:
        inspect: Reads the header of a source, which must have the given kind, if any.
        load: Returns the MIME type and bytes to send. An image is encoded again if the service
            does not accept its format or if it has more pixels than the limit given.
    """

    inspect: Callable[[object, MediaKind | None], Media]
    load: Callable[[Media, int | None], tuple[str, bytes]]


def tokens_of(media: Media, context: int) -> float:
    """Return the tokens of the context that media use; the maximum if their size is unknown."""
    if media.billed_pixels is not None:
        return media.billed_pixels / PIXELS_PER_TOKEN[media.kind]
    return context if media.kind == "video" else MAX_BILLED_PIXELS / PIXELS_PER_TOKEN["image"]


def needs_downscale(media: Media, max_pixels: int | None) -> bool:
    """Return whether an image has more pixels than the limit, if there is one."""
    return bool(max_pixels and media.kind == "image" and media.pixels and media.pixels > max_pixels)


def check_limits(media: Media, row: Model, max_pixels: int | None) -> None:
    """Raise an `InvalidInputError` for media that the service would reject."""
    if media.kind == "video":
        check_supports_video(row)
    if needs_downscale(media, max_pixels):
        return
    if media.kind == "image" and (media.pixels or 0) > MAX_PIXELS:
        raise InvalidInputError(
            f"the image has {media.pixels:,} pixels, more than the {MAX_PIXELS:,} that the service "
            "accepts: pass downscale=True, or a smaller image"
        )
    if media.format:
        check_size(media.kind, media.size or 0)


def check_size(kind: MediaKind, size: int) -> None:
    """Raise an `InvalidInputError` for more bytes than the service accepts."""
    if size > MAX_BYTES:
        remedy = "downscale=True, or a smaller image" if kind == "image" else "a smaller video"
        raise InvalidInputError(
            f"the {kind} has {size:,} bytes, more than the {MAX_BYTES:,} that the service accepts: "
            f"pass {remedy}"
        )


def check_supports_video(row: Model) -> None:
    """Raise an `InvalidInputError` if the model is known not to support video."""
    if not row.video:
        raise InvalidInputError(f"{row.name!r} does not support video: use voyage-multimodal-3.5")


BASE64_OF_IMAGES = ("iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR")
"""The first bytes of PNG, JPEG, GIF and WEBP."""
BASE64_LINE = re.compile(r"[\w+/-]{60}")


def is_media_name(text: str) -> bool:
    """Return whether a text is probably the path, URL or base64 of media, passed by mistake."""
    if text.startswith(BASE64_OF_IMAGES) and BASE64_LINE.match(text):
        return True
    if len(text) > MAX_PATH_LENGTH or not text.partition("?")[0].lower().endswith(
        IMAGE_SUFFIXES + OTHER_IMAGE_SUFFIXES + VIDEO_SUFFIXES
    ):
        return False
    words = text.split()
    return len(words) == 1 or (
        text.startswith(("/", "./", "../", "~/", "file:"))
        or (len(words) <= MAX_WORDS_OF_NAME and "://" not in text)
    )


def format_of(head: bytes) -> str:
    """Return the MIME type of a file from its first bytes; empty if it is not accepted."""
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


HEIF = {b"heic", b"heim", b"heis", b"heix", b"hevc", b"hevm", b"hevs", b"hevx", b"mif1", b"msf1"}
NOT_VIDEO = HEIF | {b"avif", b"avis", b"crx ", b"M4A ", b"M4B "}
"""Brands of images and audio in the same container as MP4."""


def is_heif(head: bytes) -> bool:
    """Return whether a file is an image in HEIF, such as the HEIC photos of phones."""
    return head[4:8] == b"ftyp" and head[8:12] in HEIF


def pixels_of(head: bytes) -> int | None:
    """Return the pixels of an image of an accepted format; None if the header is incomplete."""
    try:
        match format_of(head):
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


def lacks_end(head: bytes, size: int, read_from: Callable[[int], bytes]) -> bool:
    """Return whether an image is cut short, as by an interrupted download.

    Some cameras append other data to an image.

    Args:
        head: The first bytes, which contain the size of the image.
        size: Size of the file in bytes.
        read_from: Reads the file from a position to its end.
    """
    match format_of(head):
        case "image/png":
            start, mark = len(PNG), b"IEND"
        case "image/jpeg":
            start, mark = _jpeg_frame(head), b"\xff\xd9"
        case "image/webp":
            (length,) = struct.unpack_from("<I", head, 4)
            return bool(size < length + 8)
        case _:
            return False
    return mark not in read_from(max(start, size - TAIL_BYTES)) and mark not in read_from(start)


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
    height, width = struct.unpack_from(">HH", head, _jpeg_frame(head) + 5)
    return width, height


def _jpeg_frame(head: bytes) -> int:
    """Return the position of the header with the size, which follows previews."""
    at = 2
    while True:
        if head[at] != 0xFF:  # noqa: PLR2004 - the first byte of every marker
            raise IndexError("not at a marker")
        marker = head[at + 1]
        if marker in JPEG_MARKERS_WITHOUT_LENGTH:
            at += 1 if marker == 0xFF else 2  # noqa: PLR2004 - a fill byte
            continue
        (length,) = struct.unpack_from(">H", head, at + 2)
        if marker in JPEG_FRAME_HEADERS:
            return at
        at += 2 + length


def video_size(data: bytes) -> tuple[int, int] | None:
    """Return the pixels per frame and the even number of frames of an MP4, or None."""
    try:
        for moov in _boxes(memoryview(data), b"moov"):
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


def _frames(track: memoryview) -> int:
    """Return the sum of the counts in the track's table of sample times."""
    inner = track
    for name in (b"mdia", b"minf", b"stbl", b"stts"):
        inner = next(_boxes(inner, name))
    (entries,) = struct.unpack_from(">I", inner, 4)
    table = inner[8 : 8 + 8 * entries]
    if len(table) < 8 * entries:
        raise struct.error("the table is cut short")
    if not entries:
        raise struct.error("the video is fragmented: its frames are listed elsewhere")
    return sum(count for count, _ in struct.iter_unpack(">II", table))


def _boxes(data: memoryview, name: bytes) -> Iterator[memoryview]:
    """Yield the contents of the boxes with a name, one level deep."""
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
