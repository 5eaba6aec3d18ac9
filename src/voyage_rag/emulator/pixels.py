"""The pixels of a picture, where they can be read."""

import struct
import zlib
from collections.abc import Callable
from importlib import import_module
from io import BytesIO
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
"""Shape (height, width, 3): red, green, blue."""

_Guess: TypeAlias = Callable[[int, int, int], int]

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 2: 3, 6: 4}  # by colour type: grey, colours, colours with transparency
_PLAIN_DEPTH = 8  # bits of a channel
_LARGEST_SIDE = 128  # pixels kept, across and down


def read_pixels(data: bytes) -> Pixels | None:
    """Return pixels of a picture, transparent ones white; None where they cannot be read.

    Of a large picture every second, third or so, at most 128 across and down.

    Pillow reads any of the four formats where it is installed. Without it, only plain PNGs are
    read: eight bits a channel, no palette, not interlaced.
    """
    try:
        pillow = import_module("PIL.Image")
    except ImportError:
        return _flatten(_read_png(data))
    try:
        with pillow.open(BytesIO(data)) as picture:
            return _flatten(np.asarray(picture.convert("RGBA")))
    except (OSError, SyntaxError, ValueError):  # SyntaxError: Pillow's for a broken PNG
        return None


def _flatten(channels: Pixels | None) -> Pixels | None:
    """Return three channels for one, three or four, on white paper; large pictures thinned out."""
    if channels is None or not channels.size:
        return None
    step = -(-max(channels.shape[:2]) // _LARGEST_SIDE)
    channels = channels[::step, ::step]
    colours, opacity = channels[:, :, :3], channels[:, :, 3:] / 255
    if colours.shape[2] == 1:
        return colours.repeat(3, axis=2)
    if not opacity.size:
        return colours
    flat: Pixels = (colours * opacity + 255 * (1 - opacity)).astype(np.uint8)
    return flat


def _read_png(data: bytes) -> Pixels | None:
    """Return the channels of a plain PNG, shape (height, width, 1, 3 or 4)."""
    if not data.startswith(_PNG):
        return None
    width, height, depth, kind, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    if depth != _PLAIN_DEPTH or kind not in _PNG_CHANNELS or interlaced:
        return None
    channels, parts, at = _PNG_CHANNELS[kind], list[bytes](), len(_PNG)
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        if name == b"IDAT":
            parts.append(data[at + 8 : at + 8 + length])
        at += 12 + length
    try:
        raw = np.frombuffer(zlib.decompress(b"".join(parts)), np.uint8)
        lines = raw.reshape(height, 1 + width * channels)
    except (zlib.error, ValueError):
        return None
    return _unfilter(lines, channels).reshape(height, width, channels)


def _unfilter(lines: Pixels, channels: int) -> Pixels:
    """Undo the PNG filters, each named by the first byte of its line. Shape (height, bytes)."""
    above = np.zeros(channels + lines.shape[1] - 1, np.uint8)  # with room for the pixel to the left
    rows = []
    for line in lines:
        row = np.concatenate([np.zeros(channels, np.uint8), line[1:]])
        if line[0] == _UP:
            row = row + above
        elif line[0]:
            _unfilter_sideways(row, above, channels, _GUESSES[line[0]])
        rows.append(row[channels:])
        above = row
    return np.stack(rows)


def _unfilter_sideways(row: Pixels, above: Pixels, channels: int, guess: _Guess) -> None:
    """Add to each byte, in place, what is guessed from those to the left, above and between."""
    values, over = row.tolist(), above.tolist()
    for at in range(channels, len(values)):
        guessed = guess(values[at - channels], over[at], over[at - channels])
        values[at] = (values[at] + guessed) & 255
    row[:] = values


def _paeth(left: int, up: int, corner: int) -> int:
    """Return whichever of the three is nearest to left + up - corner."""
    base = left + up - corner
    return min(left, up, corner, key=lambda value: abs(base - value))


_UP = 2
_GUESSES: dict[int, _Guess] = {
    1: lambda left, _up, _corner: left,
    3: lambda left, up, _corner: (left + up) // 2,
    4: _paeth,
}
