"""Files that are hostile, huge or no files: refused in words, and in little memory."""

from __future__ import annotations

import base64
import io
import os
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image as Pillow

from pictures import jpeg, mp4, png
from voyage_rag.errors import InvalidInputError
from voyage_rag.io.media import MAX_BUFFERED_BYTES, READER

MEBIBYTE = 2**20
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"


def sparse(path: Path, head: bytes, size: int) -> Path:
    """A file of any size that takes no space on disk."""
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size)
    return path


def bmp(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, width, height, 1, 24, *[0] * 6)


def tiff(tag_bytes: int) -> bytes:
    """Return a TIFF with one tag that declares a value of this length."""
    return b"II*\0" + struct.pack("<IHHHIII", 8, 1, 270, 2, tag_bytes, 26, 0)


def ico(width: int, height: int) -> bytes:
    picture = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height)
    return b"\0\0\1\0\1\0" + struct.pack("<BBBBHHII", 9, 9, 0, 0, 1, 32, len(picture), 22) + picture


HOSTILE: dict[str, Callable[[Path], Any]] = {
    "JPEG of 2 GiB": lambda p: sparse(p, b"\xff\xd8\xff", 2**31),
    "JPEG of 2 GiB with a size": lambda p: sparse(p, jpeg(3_000, 2_000), 2**31),
    "JPEG of 2 GiB of fill bytes": lambda p: sparse(p, b"\xff" * 10, 2**31),
    "PNG of 2 GiB": lambda p: sparse(p, png(), 2**31),
    "MP4 of 2 GiB": lambda p: sparse(p, mp4(), 2**31),
    "zeros of 2 GiB": lambda p: sparse(p, b"", 2**31),
    "TIFF with a tag of 1 GiB": lambda p: sparse(p, tiff(2**30), 2**31),
    "AVIF of 2 GiB": lambda p: sparse(p, b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miaf", 2**31),
    "BMP of 100,000 x 100,000": lambda p: sparse(p, bmp(100_000, 100_000), 2**20),
    "BMP of 5,000 x 5,000": lambda p: sparse(p, bmp(5_000, 5_000), 2**20),
    "ICO of 30,000 x 30,000": lambda p: sparse(p, ico(30_000, 30_000), 2**20),
    "EPS": lambda p: sparse(p, EPS, len(EPS)),
}


def refused(source: object) -> str:
    """Return the message with which a source is refused."""
    from voyage_rag.core.media import check_limits
    from voyage_rag.models import MODELS

    row = MODELS["voyage-multimodal-3.5"]
    with pytest.raises((InvalidInputError, OSError)) as caught:
        check_limits(READER.inspect(source, None), row, None)
    return str(caught.value)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused(tmp_path: Path, name: str) -> None:
    assert len(refused(HOSTILE[name](tmp_path / "file"))) > 10


def test_a_refusal_takes_little_memory(tmp_path: Path) -> None:
    """At most 64 MiB for all of them, measured in a separate process."""
    for number, make in enumerate(HOSTILE.values()):
        make(tmp_path / str(number))
    program = f"""
import resource, sys
from pathlib import Path
sys.path[:0] = {sys.path!r}
from PIL import Image
from voyage_rag.errors import InvalidInputError
from voyage_rag.io.media import READER
Image.init()
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
for path in Path({str(tmp_path)!r}).iterdir():
    try:
        READER.inspect(path, None)
    except (InvalidInputError, OSError):
        pass
print(peak() - before)
"""
    kibibytes = int(subprocess.check_output([sys.executable, "-c", program], text=True))
    assert kibibytes <= 64 * 1_024


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    """A pipe without a writer would block forever, and a device has no end."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero"), "/dev/null"):
        assert "not a regular file" in refused(path)
    (tmp_path / "link").symlink_to(tmp_path / "picture")
    (tmp_path / "picture").write_bytes(png())
    assert READER.inspect(tmp_path / "link", None).format == "image/png"


def test_a_path_that_cannot_be_one_is_refused() -> None:
    assert "null" in refused(Path("a\0b.png"))
    assert "not a regular file" in refused("")


class Endless(io.RawIOBase):
    def __init__(self) -> None:
        self.given = 0

    def read(self, size: int = -1) -> bytes:
        assert size > 0
        self.given += size
        return b"\xff\xd8\xff" + bytes(size - 3)


@pytest.mark.parametrize(
    "source",
    [Endless(), bytearray(MAX_BUFFERED_BYTES + 1), "data:image/png;base64," + "A" * 80_000_000],
    ids=["stream", "bytearray", "data URL"],
)
def test_what_is_no_file_is_held_up_to_a_limit(source: object) -> None:
    assert "more than 48,000,000 bytes" in refused(source)


def test_a_stream_that_gives_little_at_a_time_is_read_to_its_end() -> None:
    class Slow(io.RawIOBase):
        rest = png()

        def read(self, size: int = -1) -> bytes:
            part, Slow.rest = Slow.rest[:7], Slow.rest[7:]
            return part

    media = READER.inspect(Slow(), None)
    assert READER.load(media, None) == ("image/png", png())


def test_a_file_opened_as_text_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a", "utf-8")
    with (tmp_path / "a.txt").open(encoding="utf-8") as file:
        assert "mode 'rb'" in refused(file)
    assert "mode 'rb'" in refused(io.StringIO(""))


def test_a_file_that_grows_before_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png())
    media = READER.inspect(path, None)
    sparse(path, png(), 2**31)
    with pytest.raises(InvalidInputError, match="bytes, more than"):
        READER.load(media, None)


def test_a_postscript_image_is_not_read_by_another_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even if the caller has opened it, which reads only its header."""
    from PIL import EpsImagePlugin

    def run(*args: Any) -> None:
        raise AssertionError("Ghostscript was started")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", run)
    (tmp_path / "a.eps").write_bytes(EPS)
    for source in (tmp_path / "a.eps", EPS):
        assert "not a readable image" in refused(source)
    with Pillow.open(tmp_path / "a.eps") as image:
        assert "load()" in refused(image)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_an_image_whose_file_is_closed_is_refused_at_once(tmp_path: Path, file_format: str) -> None:
    """Instead of when it is read, after other images were sent; a decoded image needs no file."""
    path = tmp_path / "a"
    Pillow.new("RGB", (9, 9)).save(path, file_format)
    with Pillow.open(path) as left:
        pass
    with path.open("rb") as file:
        closed_file = Pillow.open(file)
    (closed := Pillow.open(path)).close()
    (new := Pillow.new("RGB", (9, 9))).close()
    for image in (left, closed_file, closed, new):
        assert "is closed: pass its path, or call load()" in refused(image)

    with Pillow.open(path) as decoded:
        decoded.load()
    assert READER.inspect(decoded, None).pixels == 81


def test_an_image_that_claims_too_many_pixels_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's errors are converted to ours, and its warnings have no effect."""
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 100)
    big = io.BytesIO()
    Pillow.new("RGB", (50, 50)).save(big, "BMP")
    assert "DecompressionBomb" in refused(big)


def test_damaged_images_fail_with_our_errors(tmp_path: Path) -> None:
    """Whatever Pillow raises when it decodes them."""
    good = io.BytesIO()
    Pillow.effect_noise((300, 300), 80).save(good, "TIFF", compression="tiff_lzw")
    data = good.getvalue()
    for end in range(0, len(data), 997):
        with pytest.raises(InvalidInputError):
            READER.load(READER.inspect(data[:end], None), 1_000)
    header = struct.pack(">IIBBBBB", 2_000, 2_000, 8, 2, 0, 0, 0)
    chunk = (
        struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    )
    media = READER.inspect(b"\x89PNG\r\n\x1a\n" + chunk + b"rubbish, IEND", None)
    with pytest.raises(InvalidInputError, match="not a readable image"):
        READER.load(media, 1_000)


GRADIENT = np.linspace(0, 1, 256 * 16).reshape(16, 256)


@pytest.mark.parametrize(
    "values",
    [
        GRADIENT.astype("float32"),
        (GRADIENT * 65_535).astype("int32"),
        (-GRADIENT).astype("float32"),
    ],
    ids=["floats from 0 to 1", "16-bit integers", "negative floats"],
)
def test_an_image_that_would_become_black_or_white_is_refused(values: Any, tmp_path: Path) -> None:
    """Pillow clips 32-bit values to 8 bits. An array is refused at once, a file when it is read."""
    image = Pillow.fromarray(values)
    image.save(tmp_path / "x.tiff")
    assert "scale them to 0 to 255" in refused(image)
    with pytest.raises(InvalidInputError, match="scale them to 0 to 255"):
        READER.load(READER.inspect(tmp_path / "x.tiff", None), None)


@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
def test_an_image_of_16_bits_keeps_its_values(dtype: str) -> None:
    values = (GRADIENT * 65_535).astype(dtype)
    _, sent = READER.load(READER.inspect(Pillow.fromarray(values), None), None)
    with Pillow.open(io.BytesIO(sent)) as arrived:
        assert np.array_equal(np.asarray(arrived), values)


def test_an_image_of_32_bits_keeps_the_values_of_8() -> None:
    values = (GRADIENT * 255).round().astype("float32")
    _, sent = READER.load(READER.inspect(Pillow.fromarray(values), None), None)
    with Pillow.open(io.BytesIO(sent)) as arrived:
        assert np.array_equal(np.asarray(arrived.convert("L")), values)


def test_an_image_of_pillows_without_pixels_is_refused() -> None:
    assert "without pixels" in refused(Pillow.new("RGB", (0, 5)))


def test_an_opened_image_can_be_used_after_it_was_inspected(tmp_path: Path) -> None:
    for format_ in ("PNG", "JPEG", "WEBP", "GIF", "TIFF"):
        path = tmp_path / format_
        Pillow.effect_noise((64, 64), 80).save(path, format_)
        with Pillow.open(path) as image:
            media = READER.inspect(image, None)
            assert media.pixels == 64 * 64
            assert image.convert("L").size == (64, 64)
            mime, data = READER.load(media, None)
            with Pillow.open(io.BytesIO(data)) as sent:
                assert (sent.size, mime) == ((64, 64), Pillow.MIME[sent.format or ""])


def test_a_path_may_begin_with_the_home_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "a.png").write_bytes(png("red", 2, 3))
    for source in ("~/a.png", Path("~/a.png")):
        assert READER.inspect(source, "image").pixels == 6


def closed() -> io.BytesIO:
    file = io.BufferedReader(io.BytesIO(png()))  # type: ignore[arg-type]
    file.close()
    return file  # type: ignore[return-value]


def read_to_its_end() -> io.BufferedReader:
    file = io.BufferedReader(io.BytesIO(png()))  # type: ignore[arg-type]
    file.read()
    return file


class Upload:
    """A file of a web framework."""

    async def read(self, size: int = -1) -> bytes:
        return png()[:size]


def test_a_path_in_an_archive_is_read() -> None:
    with zipfile.ZipFile(io.BytesIO(), "w") as archive:
        archive.writestr("a.png", png("red", 2, 3))
        assert READER.inspect(zipfile.Path(archive, "a.png"), "image").pixels == 6


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("s3://bucket/a.png", "is neither a path nor an http"),
        ("ftp://example.com/a.png", "is neither a path nor an http"),
        (base64.b64encode(png() * 100).decode(), "decode base64 first"),
        ("data:image/svg+xml,%3Csvg/%3E", "is a data URL without base64"),
        (np.zeros((2, 2, 3), np.uint8), "not ndarray: convert an array with PIL.Image.fromarray"),
        (b"%PDF-1.7\n", "is a PDF file: pass each of its pages as an image"),
        (b"\0\0\0\x14ftypqt  \0\0\2\0qt  ", "is not an MP4 video"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "pip install pillow-heif, and call"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\1", "is not an MP4 video"),
        (b"RIFF\n\n\n\nAVI LIST", "is not an MP4 video"),
        (closed(), "cannot be read: read of closed file"),
        (httpx.Response(200, content=png()), r"cannot be read: .*pass its content as bytes"),
        (Upload(), "await its content"),
        (read_to_its_end(), r"is empty; .* needs seek\(0\)"),
    ],
)
def test_what_is_no_image_is_refused_with_the_way_to_one(source: object, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said) as caught:
        READER.inspect(source, "image")
    assert len(str(caught.value)) < 300
