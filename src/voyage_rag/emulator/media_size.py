"""Sizes of images and videos, read from their headers."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG_SIZE_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class MediaSize(NamedTuple):
    """Pixels across and down, and the number of frames."""

    width: int
    height: int
    frames: int = 1


def measure_image(data: bytes) -> MediaSize:
    """Return the size of a PNG, GIF, WEBP or JPEG, or raise a `ValueError`."""
    try:
        if data.startswith(_PNG):
            return MediaSize(*struct.unpack_from(">II", data, 16))
        if data[:6] in (b"GIF87a", b"GIF89a"):
            return MediaSize(*struct.unpack_from("<HH", data, 6))
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _measure_webp(data)
        if data.startswith(b"\xff\xd8"):
            return _measure_jpeg(data)
    except (struct.error, IndexError):
        raise ValueError("a truncated image") from None
    raise ValueError("not a PNG, JPEG, WEBP or GIF image")


def _measure_webp(data: bytes) -> MediaSize:
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return MediaSize(width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return MediaSize((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    less_one = (data[24:27], data[27:30])
    width, height = (int.from_bytes(number, "little") + 1 for number in less_one)
    return MediaSize(width, height)


def _measure_jpeg(data: bytes) -> MediaSize:
    at = 2
    while True:
        marker, length = struct.unpack_from(">xBH", data, at)
        if marker in _JPEG_SIZE_MARKERS:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return MediaSize(width, height)
        at += 2 + length


def measure_video(data: bytes) -> MediaSize:
    """Return the size of an MP4's first video track, with an even number of frames.

    A `ValueError` means that there is none.
    """
    try:
        for moov in _boxes(data, b"moov"):
            for track in _boxes(moov, b"trak"):
                header = next(_boxes(track, b"tkhd"))
                width, height = struct.unpack(">II", header[-8:])  # in 16.16 fixed point
                if width and height:
                    frames = _count_samples(track)
                    return MediaSize(width >> 16, height >> 16, frames - frames % 2)
    except (struct.error, StopIteration):
        pass
    raise ValueError("not an MP4 video")


def _count_samples(track: bytes) -> int:
    """Add up the table of sample times, one sample for each frame."""
    inner = track
    for name in (b"mdia", b"minf", b"stbl", b"stts"):
        inner = next(_boxes(inner, name))
    (entries,) = struct.unpack_from(">I", inner, 4)
    counts = struct.unpack_from(f">{2 * entries}I", inner, 8)[::2]
    return int(sum(counts))


def _boxes(data: bytes, name: bytes) -> Iterator[bytes]:
    """Yield the contents of the boxes of that name directly inside `data`."""
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1:  # the length follows, in eight bytes
            (length,) = struct.unpack_from(">Q", data, at + head)
            head = 16
        end = at + length if length else len(data)
        if end < at + head:
            return
        if kind == name:
            yield data[at + head : end]
        at = end
