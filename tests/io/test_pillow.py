"""Images that Pillow encodes: they stay legible, complete and the caller's own."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

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
