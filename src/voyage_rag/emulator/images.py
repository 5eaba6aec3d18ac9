"""Describe images in words: the colours and the shape of an object on a plain background.

NOT A VISION MODEL. It distinguishes a red circle from a blue square, so that "a red circle" finds
the right one of a few drawn images. For a photograph, it only names colours.
"""

from io import BytesIO
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
"""Shape (height, width, 3): red, green, blue."""

MAX_IMAGE_PIXELS = 16_000_000

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
_MAX_SIDE_PIXELS = 128  # a larger image is sampled

_MIN_FOREGROUND = 0.005  # share of the image
_MIN_COLOUR = 0.15  # share of the foreground, from which a colour is named
_MAX_COLOURS = 3

_HUES = np.array(["red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink", "red"])
_HUE_BOUNDS_DEGREES = (15, 42, 70, 165, 200, 258, 290, 345)
_BLACK_BELOW, _WHITE_ABOVE = 0.2, 0.85  # value
_GREY_BELOW = 0.15  # saturation
_BROWN_BELOW = 0.65  # value of orange

# Share of its bounding box that a filled shape covers: all of it, pi / 4, a half.
_BOX, _ROUND, _HALF = (0.92, 1.0), (0.72, 0.86), (0.42, 0.6)
_EQUAL_SIDES = 0.9  # minimum ratio of the sides of a square or circle


class TooManyPixelsError(Exception):
    """An image has more than 16 million pixels."""


class ReadImage(NamedTuple):
    """The number of pixels of an image, and a sample of them."""

    pixel_count: int
    pixels: Pixels | None


def read_image(data: bytes) -> ReadImage:
    """Read an image with its transparent pixels as white; `pixels` is None if it is damaged.

    A large image is sampled to at most 128 x 128 pixels.

    Raises:
        ValueError: It is not an image.
        TooManyPixelsError: It has more than 16 million pixels.
    """
    from PIL import Image  # noqa: PLC0415 - most emulators receive texts only

    size: int | None = None
    try:
        with Image.open(BytesIO(data), formats=_FORMATS) as image:
            # A damaged GIF may be larger than its header states.
            size = image.width * image.height
            if size <= MAX_IMAGE_PIXELS:
                return ReadImage(size, _flatten(np.asarray(image.convert("RGBA"))))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise TooManyPixelsError from None
    except Exception:  # noqa: BLE001 - Pillow raises many kinds for a broken image
        if size is None:
            raise ValueError(f"not an image of {', '.join(_FORMATS)}") from None
        return ReadImage(size, None)
    raise TooManyPixelsError


def describe(pixels: Pixels | None) -> str:
    """Return a caption of two lines: the foreground, and the background."""
    if pixels is None:
        return "picture"
    colours = _name_colours(pixels)
    edge = np.concatenate([colours[0], colours[-1], colours[:, 0], colours[:, -1]])
    background = _most_frequent(edge)[0][0]
    foreground = colours[colours != background]
    if foreground.size < _MIN_FOREGROUND * colours.size:
        return f"plain {background} picture"
    ranked = _most_frequent(foreground)
    named = [name for name, share in ranked[:_MAX_COLOURS] if share >= _MIN_COLOUR]
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
    """Name a filled shape by its share of the bounding box, and by the sides of the box."""
    down, across = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = down[-1] - down[0] + 1, across[-1] - across[0] + 1
    covered = mask.sum() / (height * width)
    has_equal_sides = min(height, width) >= _EQUAL_SIDES * max(height, width)
    if _BOX[0] < covered <= _BOX[1]:
        return "square" if has_equal_sides else "rectangle"
    if _ROUND[0] < covered < _ROUND[1]:
        return "circle" if has_equal_sides else "ellipse"
    return "triangle" if _HALF[0] < covered < _HALF[1] else "picture"


def _flatten(channels: NDArray[np.uint8]) -> Pixels | None:
    """Sample a large image, and blend its four channels onto white."""
    if not channels.size:
        return None
    step = -(-max(channels.shape[:2]) // _MAX_SIDE_PIXELS)
    channels = channels[::step, ::step]
    colours, opacity = channels[:, :, :3], channels[:, :, 3:] / 255
    flat: Pixels = (colours * opacity + 255 * (1 - opacity)).astype(np.uint8)
    return flat
