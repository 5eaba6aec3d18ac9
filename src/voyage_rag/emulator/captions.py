"""A picture in words: the colours and the shape of what stands before a plain background.

NOT A MODEL THAT SEES. It tells a red circle from a blue square, so that "a red circle" finds the
right one of a few drawn pictures; of a photograph it names colours.
"""

import numpy as np
from numpy.typing import NDArray

from voyage_rag.emulator.pixels import Pixels

_LEAST_SHARE = 0.005  # of the picture, below which nothing stands out
_COLOUR_SHARE = 0.15  # of what stands out, from which a colour is named
_MOST_COLOURS = 3

_HUES = np.array(["red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink", "red"])
_HUE_BOUNDS = (15, 42, 70, 165, 200, 258, 290, 345)  # degrees, where one ends and the next begins
_DARK, _LIGHT = 0.2, 0.85  # values below which all is black, and above which pale is white
_PALE = 0.15  # saturation below which nothing has a hue
_BROWN = 0.65  # value below which orange is brown

# Share of its bounding box that a filled shape covers: all of it, pi / 4, a half.
_BOX, _ROUND, _HALF = (0.92, 1.0), (0.72, 0.86), (0.42, 0.6)
_EVEN = 0.9  # of the longer side that the shorter one has in a square or circle


def describe(pixels: Pixels | None) -> str:
    """Return a caption of two lines: what stands out, and what behind it.

    Args:
        pixels: Shape (height, width, 3), or None for a picture that cannot be read.
    """
    if pixels is None:
        return "picture"
    colours = _name_colours(pixels)
    edge = np.concatenate([colours[0], colours[-1], colours[:, 0], colours[:, -1]])
    behind = _most_frequent(edge)[0][0]
    in_front = colours[colours != behind]
    if in_front.size < _LEAST_SHARE * colours.size:
        return f"plain {behind} picture"
    ranked = _most_frequent(in_front)
    named = [name for name, share in ranked[:_MOST_COLOURS] if share >= _COLOUR_SHARE]
    shape = _name_shape(colours == ranked[0][0])
    return f"{' '.join(named)} {shape}\n{behind} background"


def _most_frequent(names: NDArray[np.str_]) -> list[tuple[str, float]]:
    """Return each name and its share, the greatest first."""
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
    names: NDArray[np.str_] = _HUES[np.digitize(hue, _HUE_BOUNDS)]
    names[(names == "orange") & (value < _BROWN)] = "brown"
    pale = spread < _PALE * value
    names[pale] = "grey"
    names[pale & (value > _LIGHT)] = "white"
    names[value < _DARK] = "black"
    return names


def _name_shape(mask: NDArray[np.bool_]) -> str:
    """Name a filled shape by how much of its bounding box it covers, and by the box's sides."""
    down, across = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = down[-1] - down[0] + 1, across[-1] - across[0] + 1
    covered = mask.sum() / (height * width)
    even = min(height, width) >= _EVEN * max(height, width)
    if _BOX[0] < covered <= _BOX[1]:
        return "square" if even else "rectangle"
    if _ROUND[0] < covered < _ROUND[1]:
        return "circle" if even else "ellipse"
    return "triangle" if _HALF[0] < covered < _HALF[1] else "picture"
