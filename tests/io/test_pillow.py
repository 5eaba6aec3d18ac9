"""Images that Pillow encodes: they stay legible, complete and the caller's own."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageColor, ImageSequence

from voyage_rag.errors import InvalidInputError
from voyage_rag.io.media import READER


def test_an_image_of_the_caller_keeps_its_size_and_stays_undecoded(tmp_path: Path) -> None:
    """Pillow can open a JPEG at a smaller size, which would change the caller's image."""
    size = 3_000, 2_000
    Pillow.new("RGB", size, "red").save(tmp_path / "x.jpg")
    with Pillow.open(tmp_path / "x.jpg") as image:
        _, sent = READER.load(READER.inspect(image, None), 500_000)
        assert image.size == size
        with Pillow.open(io.BytesIO(sent)) as arrived:
            assert 480_000 < arrived.width * arrived.height <= 500_000
        fresh = READER.load(READER.inspect(image, None), None)[1]
        assert fresh == (tmp_path / "x.jpg").read_bytes()  # its pixels were not read


def test_the_lines_of_a_bilevel_scan_are_blended_when_it_is_reduced(tmp_path: Path) -> None:
    lines = np.zeros((900, 900), bool)
    lines[::3] = True
    Pillow.fromarray(lines).save(tmp_path / "fax.tif", compression="group4")
    with Pillow.open(tmp_path / "fax.tif") as opened:
        for source in (tmp_path / "fax.tif", opened):
            _, sent = READER.load(READER.inspect(source, None), 90_000)
            with Pillow.open(io.BytesIO(sent)) as arrived:
                values = np.asarray(arrived.convert("L"))
            assert 60 < values.mean() < 110
            assert values[10:-10].min() > 0
            assert values[10:-10].max() < 255


def test_a_tiff_of_several_pages_is_refused(tmp_path: Path) -> None:
    """Instead of embedding the first page for all of them. Pillow images are single pages."""
    pages = [Pillow.new("RGB", (9, 9), colour) for colour in ("red", "blue")]
    pages[0].save(tmp_path / "x.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(InvalidInputError, match=r"several pages.*ImageSequence"):
        READER.inspect(tmp_path / "x.tif", None)
    with Pillow.open(tmp_path / "x.tif") as image:
        for page, colour in zip(ImageSequence.Iterator(image), ("red", "blue"), strict=True):
            _, sent = READER.load(READER.inspect(page, None), None)
            with Pillow.open(io.BytesIO(sent)) as arrived:
                assert arrived.getpixel((0, 0)) == ImageColor.getrgb(colour)


def test_a_tiff_with_a_preview_is_one_page(tmp_path: Path) -> None:
    """Its second image has the type of a smaller version of the first."""
    saved = io.BytesIO()
    pages = [Pillow.new("RGB", (9, 9), "red"), Pillow.new("RGB", (3, 3), "red")]
    pages[0].save(saved, "TIFF", save_all=True, append_images=pages[1:], tiffinfo={254: 0})
    first, kind, second = saved.getvalue().rpartition(struct.pack("<HHI", 254, 4, 1))
    path = tmp_path / "x.tif"
    path.write_bytes(first + kind + struct.pack("<I", 1) + second[4:])
    assert READER.inspect(path, None).pixels == 81


def photo_of(file_format: str) -> bytes:
    """A photo of 300 KB. A JPEG has a preview before it, which has an end of its own."""
    preview, photo = io.BytesIO(), io.BytesIO()
    Pillow.effect_noise((90, 90), 80).save(preview, "JPEG")
    Pillow.effect_noise((700, 700), 80).convert("RGB").save(photo, file_format)
    whole, inner = photo.getvalue(), preview.getvalue()
    if file_format == "JPEG":
        return whole[:2] + b"\xff\xe1" + struct.pack(">H", len(inner) + 2) + inner + whole[2:]
    return whole


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
def test_an_image_that_is_cut_short_is_refused_before_anything_is_sent(file_format: str) -> None:
    """As by an interrupted download. Phones append videos to photos."""
    photo = photo_of(file_format)
    assert len(photo) > 150_000
    for whole in (photo, photo + bytes(500_000)):
        assert READER.load(READER.inspect(whole, None), None)[1] == whole
    for part in (photo[: len(photo) // 2], photo[:-20]):
        with pytest.raises(InvalidInputError, match="damaged or incomplete"):
            READER.inspect(part, None)
        if file_format != "WEBP":  # which Pillow does not open
            with pytest.raises(InvalidInputError, match="damaged or incomplete"):
                READER.inspect(Pillow.open(io.BytesIO(part)), None)
