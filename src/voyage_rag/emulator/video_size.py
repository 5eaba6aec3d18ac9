"""The size of videos, read from their headers."""

import struct
from collections.abc import Iterator
from typing import NamedTuple


class VideoSize(NamedTuple):
    """Pixels across and down, and the number of frames."""

    width: int
    height: int
    frames: int


def measure_video(data: bytes) -> VideoSize:
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
                    return VideoSize(width >> 16, height >> 16, frames - frames % 2)
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
