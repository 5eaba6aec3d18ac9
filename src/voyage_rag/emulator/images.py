"""Describe images in words: the colours and the shape of an object on a plain background.

NOT A MODEL THAT SEES. It distinguishes a red circle from a blue square, so that "a red circle"
finds the right one of a few drawn images. For a photograph, it only names colours.
"""

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

MAX_IMAGE_PIXELS = 16_000_000

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 2: 3, 6: 4}  # by colour type: grey, colours, colours with transparency
_PNG_DEPTH_BITS = 8  # of a channel, in the PNGs read without Pillow
_MAX_SIDE_PIXELS = 128  # that are looked at

_LEAST_FOREGROUND = 0.005  # share of the image
_LEAST_COLOUR = 0.15  # share of the foreground, from which a colour is named
_MAX_COLOURS = 3

_HUES = np.array(["red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink", "red"])
_HUE_BOUNDS_DEGREES = (15, 42, 70, 165, 200, 258, 290, 345)
_BLACK_BELOW, _WHITE_ABOVE = 0.2, 0.85  # value
_GREY_BELOW = 0.15  # saturation
_BROWN_BELOW = 0.65  # value of orange

# Share of its bounding box that a filled shape covers: all of it, pi / 4, a half.
_BOX, _ROUND, _HALF = (0.92, 1.0), (0.72, 0.86), (0.42, 0.6)
_EQUAL_SIDES = 0.9  # of the longer side that the shorter one has in a square or circle


def read_pixels(data: bytes) -> Pixels | None:
    """Return the pixels of an image, transparent ones as white; None if they cannot be read.

    Of a large image, every n-th pixel is taken, so that at most 128 remain across and down.

    Pillow reads any of the four formats where it is installed. Without it, only plain PNGs are
    read: eight bits a channel, no palette, not interlaced.

    Raises:
        ValueError: It has more than 16 million pixels.
    """
    try:
        pillow = import_module("PIL.Image")
    except ImportError:
        return _flatten(_read_png(data))
    too_large = pillow.DecompressionBombError, pillow.DecompressionBombWarning
    try:
        with pillow.open(BytesIO(data), formats=_FORMATS) as image:
            # A damaged GIF may be larger than its header says.
            if image.width * image.height <= MAX_IMAGE_PIXELS:
                return _flatten(np.asarray(image.convert("RGBA")))
    except too_large:
        pass
    except Exception:  # noqa: BLE001  (Pillow raises many kinds for a broken image)
        return None
    raise ValueError(f"an image of more than {MAX_IMAGE_PIXELS} pixels")


def describe(pixels: Pixels | None) -> str:
    """Return a caption of two lines: the foreground, and the background."""
    if pixels is None:
        return "picture"
    colours = _name_colours(pixels)
    edge = np.concatenate([colours[0], colours[-1], colours[:, 0], colours[:, -1]])
    background = _most_frequent(edge)[0][0]
    foreground = colours[colours != background]
    if foreground.size < _LEAST_FOREGROUND * colours.size:
        return f"plain {background} picture"
    ranked = _most_frequent(foreground)
    named = [name for name, share in ranked[:_MAX_COLOURS] if share >= _LEAST_COLOUR]
    shape = _name_shape(colours == ranked[0][0])
    return f"{' '.join(named)} {shape}\n{background} background"


def _most_frequent(names: NDArray[np.str_]) -> list[tuple[str, float]]:
    found, counts = np.unique(names, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return [(str(found[at]), counts[at] / names.size) for at in order]


def _name_colours(pixels: Pixels) -> NDArray[np.str_]:
    """Return the name of each pixel's colour, shape (height, width)."""
    red, green, blue = np.moveaxis(pixels / 255, 2, 0)
    value = np.maximum(np.maximum(red, green), blue)
    spread = value - np.minimum(np.minimum(red, green), blue)
    per_spread = 60 / np.where(spread > 0, spread, 1.0)
    hue = np.select(
        [value == red, value == green],
        [(green - blue) * per_spread % 360, (blue - red) * per_spread + 120],
        (red - green) * per_spread + 240,
    )
    names: NDArray[np.str_] = _HUES[np.digitize(hue, _HUE_BOUNDS_DEGREES)]
    names[(names == "orange") & (value < _BROWN_BELOW)] = "brown"
    is_grey = spread < _GREY_BELOW * value
    names[is_grey] = "grey"
    names[is_grey & (value > _WHITE_ABOVE)] = "white"
    names[value < _BLACK_BELOW] = "black"
    return names


def _name_shape(mask: NDArray[np.bool_]) -> str:
    """Name a filled shape by how much of its bounding box it covers, and by the box's sides."""
    down, across = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = down[-1] - down[0] + 1, across[-1] - across[0] + 1
    covered = mask.sum() / (height * width)
    has_equal_sides = min(height, width) >= _EQUAL_SIDES * max(height, width)
    if _BOX[0] < covered <= _BOX[1]:
        return "square" if has_equal_sides else "rectangle"
    if _ROUND[0] < covered < _ROUND[1]:
        return "circle" if has_equal_sides else "ellipse"
    return "triangle" if _HALF[0] < covered < _HALF[1] else "picture"


def _flatten(channels: Pixels | None) -> Pixels | None:
    """Return three channels for one, three or four, on white; large images thinned out."""
    if channels is None or not channels.size:
        return None
    step = -(-max(channels.shape[:2]) // _MAX_SIDE_PIXELS)
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
    if not data.startswith(_PNG_SIGNATURE):
        return None
    width, height, depth, kind, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    if depth != _PNG_DEPTH_BITS or kind not in _PNG_CHANNELS or interlaced:
        return None
    channels, parts, at = _PNG_CHANNELS[kind], list[bytes](), len(_PNG_SIGNATURE)
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        if name == b"IDAT":
            parts.append(data[at + 8 : at + 8 + length])
        at += 12 + length
    try:
        size = height * (1 + width * channels)
        raw = np.frombuffer(zlib.decompressobj().decompress(b"".join(parts), size), np.uint8)
        lines = raw.reshape(height, 1 + width * channels)
        return _unfilter(lines, channels).reshape(height, width, channels)
    except (zlib.error, ValueError, KeyError):  # KeyError: a filter that PNG does not define
        return None


def _unfilter(lines: Pixels, channels: int) -> Pixels:
    """Undo the PNG filters, each named by the first byte of its line. Shape (height, bytes)."""
    above = np.zeros(channels + lines.shape[1] - 1, np.uint8)  # begins with a pixel of zeros
    rows = []
    for line in lines:
        row = np.concatenate([np.zeros(channels, np.uint8), line[1:]])
        if line[0] == _UP_FILTER:
            row = row + above
        elif line[0]:
            _unfilter_sideways(row, above, channels, _PREDICTORS[line[0]])
        rows.append(row[channels:])
        above = row
    return np.stack(rows)


def _unfilter_sideways(row: Pixels, above: Pixels, channels: int, predict: "_Predictor") -> None:
    """Add to each byte, in place, its prediction from the left, upper and upper left bytes."""
    values, upper = row.tolist(), above.tolist()
    for at in range(channels, len(values)):
        predicted = predict(values[at - channels], upper[at], upper[at - channels])
        values[at] = (values[at] + predicted) & 255
    row[:] = values


def _paeth(left: int, up: int, corner: int) -> int:
    """Return whichever of the three is nearest to left + up - corner."""
    base = left + up - corner
    return min(left, up, corner, key=lambda value: abs(base - value))


_Predictor: TypeAlias = Callable[[int, int, int], int]
_UP_FILTER = 2
_PREDICTORS: dict[int, _Predictor] = {
    1: lambda left, _up, _corner: left,
    3: lambda left, up, _corner: (left + up) // 2,
    4: _paeth,
}
