"""Pictures and videos for tests, made without Pillow, of any size in bytes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from types import MappingProxyType

Colour = tuple[int, int, int]

COLOURS: Mapping[str, Colour] = MappingProxyType(
    {"red": (220, 20, 20), "green": (20, 160, 20), "blue": (20, 20, 220)}
)


def png(colour: Colour | str = "red", width: int = 64, height: int = 64) -> bytes:
    """A picture of one colour."""
    pixel = bytes(COLOURS[colour] if isinstance(colour, str) else colour)
    lines = (b"\0" + pixel * width) * height

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def png_header(width: int, height: int) -> bytes:
    """The header and the end of a picture of any size."""
    header = struct.pack(">I4sII", 13, b"IHDR", width, height)
    return b"\x89PNG\r\n\x1a\n" + header + b"\0\0\0\0IEND\xaeB`\x82"


def jpeg(width: int = 100, height: int = 80, size: int = 0, before: bytes = b"") -> bytes:
    """A picture with only valid headers, padded to a size in bytes.

    Args:
        width: Pixels across.
        height: Pixels down.
        size: Bytes in all.
        before: Segments that come before the size, as cameras write them.
    """
    frame = struct.pack(">BBHBHHB", 0xFF, 0xC0, 11, 8, height, width, 1) + b"\1\x11\0"
    scan = b"\xff\xda\0\x08\1\1\0\0\x3f\0"
    head = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0" + before + frame + scan
    return head + bytes(max(0, size - len(head) - 2)) + b"\xff\xd9"


def exif(size: int) -> bytes:
    """Segments of metadata, of at least this total length."""
    segments = -(-size // 60_000)
    return b"".join(
        b"\xff\xe1" + struct.pack(">H", 60_002) + b"e" * 60_000 for _ in range(segments)
    )


def gif(width: int = 30, height: int = 20) -> bytes:
    """A picture with only valid headers."""
    frame = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\2\0"
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0\0\0" + frame + b";"


def webp(kind: bytes = b"VP8 ", width: int = 300, height: int = 200) -> bytes:
    """A picture with only a valid header, in one of the three variants of the format."""
    if kind == b"VP8 ":
        data = b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height)
    elif kind == b"VP8L":
        data = b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14)
    else:
        data = b"\0\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunk = kind + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def mp4(width: int = 320, height: int = 240, frames: int = 10, size: int = 0) -> bytes:
    """A video with only a valid header, whose index comes last, as cameras write it."""

    def box(name: bytes, *content: bytes) -> bytes:
        data = b"".join(content)
        return struct.pack(">I4s", 8 + len(data), name) + data

    times = box(b"stts", struct.pack(">IIII", 0, 1, frames, 100))
    table = box(b"mdia", box(b"minf", box(b"stbl", times)))
    header = box(b"tkhd", bytes(76), struct.pack(">II", width << 16, height << 16))
    sound = box(b"trak", box(b"tkhd", bytes(84)))
    index = box(b"moov", sound, box(b"trak", header, table))
    start = box(b"ftyp", b"isom\0\0\2\0isomiso2mp41")
    return start + box(b"mdat", bytes(max(0, size - len(start) - len(index) - 8))) + index
