"""What files are, by their first bytes: format, size, cost, and what is too large."""

from __future__ import annotations

import struct
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pictures import exif, gif, jpeg, mp4, png, webp
from voyage_rag.core import media
from voyage_rag.core.media import Media
from voyage_rag.errors import InvalidInputError
from voyage_rag.models import MODELS, look_up

ROW = MODELS["voyage-multimodal-3.5"]

PICTURES: list[tuple[bytes, str, int]] = [
    (png(width=7, height=5), "image/png", 35),
    (jpeg(640, 480), "image/jpeg", 640 * 480),
    (jpeg(640, 480, before=exif(100_000)), "image/jpeg", 640 * 480),
    (jpeg(640, 480, before=b"\xff\xff\xff\xdb\0\4ab\xff\x01"), "image/jpeg", 640 * 480),
    (jpeg(640, 480, before=b"\xff\xc4\0\4ab"), "image/jpeg", 640 * 480),
    (gif(30, 20), "image/gif", 600),
    (webp(b"VP8 ", 300, 200), "image/webp", 60_000),
    (webp(b"VP8L", 301, 201), "image/webp", 301 * 201),
    (webp(b"VP8X", 70_000, 3), "image/webp", 210_000),
]


@pytest.mark.parametrize(("data", "format_", "pixels"), PICTURES)
def test_format_and_size_stand_in_the_header(data: bytes, format_: str, pixels: int) -> None:
    assert (media.format_of(data), media.pixels_of(data)) == (format_, pixels)


@pytest.mark.parametrize("data", [data for data, _, _ in PICTURES] + [mp4()])
def test_a_header_that_is_cut_short_says_nothing_and_breaks_nothing(data: bytes) -> None:
    for end in range(min(len(data), 60)):
        media.format_of(data[:end])
        assert media.pixels_of(data[: min(end, 9)]) is None
        media.video_size(data[:end])


@given(st.binary(max_size=200), st.sampled_from([data[:12] for data, _, _ in PICTURES]))
def test_no_bytes_break_the_reading_of_headers(rest: bytes, start: bytes) -> None:
    pixels = media.pixels_of(start + rest)
    assert pixels is None or pixels > 0
    media.video_size(start + rest)
    media.video_size(mp4()[:24] + rest)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"%PDF-1.7",
        b"BM" + bytes(60),
        b"II*\0" + bytes(60),
        b"RIFF\0\0\0\0WAVEfmt ",
        b"\0\0\0\x20ftypqt  \0\0",
        b"\0\0\0\x20ftypavif\0\0",
        b"\0\0\0\x20ftypheic\0\0",
        b"\0\0\0\x20ftyphevc\0\0",
        b"\0\0\0\x20ftypM4A \0\0",
    ],
)
def test_other_formats_are_not_taken_for_those(data: bytes) -> None:
    assert media.format_of(data) == ""
    assert media.pixels_of(data) is None


@pytest.mark.parametrize(("frames", "even"), [(10, 10), (11, 10), (1, 0), (900, 900)])
def test_size_and_frames_of_a_video_are_read(frames: int, even: int) -> None:
    """Wherever its index stands; an even number of frames is counted."""
    film = mp4(640, 360, frames, size=5_000)
    assert media.format_of(film) == "video/mp4"
    assert media.video_size(film) == (640 * 360, even)


def test_the_frames_of_a_fragmented_video_are_unknown() -> None:
    """Its index is empty, because each fragment has its own."""
    film = mp4(frames=0).replace(struct.pack(">4sIIII", b"stts", 0, 1, 0, 100), b"stts" + bytes(16))
    assert media.video_size(film) is None


def test_a_video_with_long_boxes() -> None:
    film = mp4(640, 360, 4)
    long = struct.pack(">I4sQ", 1, b"free", 20) + b"abcd"
    assert media.video_size(long + film) == (640 * 360, 4)
    assert media.video_size(struct.pack(">I4sQ", 1, b"free", 3) + film) is None


def image(pixels: int | None = 100, size: int | None = 1_000, format_: str = "image/png") -> Media:
    return Media("image", format_, None, size, pixels)


@pytest.mark.parametrize(
    ("one", "counted", "tokens"),
    [
        (image(64), 50_000, 50_000 / 560),
        (image(50_001), 50_001, 50_001 / 560),
        (image(2_000_000), 2_000_000, 2_000_000 / 560),
        (image(9_000_000), 2_000_000, 2_000_000 / 560),
        (Media("video", "video/mp4", None, 1, 100_000, 6), 600_000, 600_000 / 1_120),
        (Media("video", "video/mp4", None, 1, 10, 6), 300_000, 300_000 / 1_120),
        (Media("video", "video/mp4", None, 1, None, None), None, 32_000),
        (Media("image", "", None, None, None), None, 2_000_000 / 560),
    ],
)
def test_pixels_are_counted_as_they_are_billed(
    one: Media, counted: int | None, tokens: float
) -> None:
    """At least 50,000 and at most 2 million each; the most there can be where nothing is known."""
    assert one.billed_pixels == counted
    assert media.tokens_of(one, 32_000) == tokens


def test_the_recorded_bills_agree() -> None:
    """230,400 pixels and two words cost 413 tokens; a tiny image 89 (recorded)."""
    assert 2 + int(media.tokens_of(image(230_400), 32_000)) == 413
    assert int(media.tokens_of(image(1), 32_000)) == 89


TOO_LARGE: list[tuple[Media, str]] = [
    (
        image(16_000_001),
        "16,000,001 pixels, more than the 16,000,000 that the service accepts: pass downscale=True",
    ),
    (image(10, 20_000_001), "20,000,001 bytes, more than the 20,000,000"),
    (Media("video", "video/mp4", None, 20_000_001, 10, 2), "the video has 20,000,001 bytes"),
]


@pytest.mark.parametrize(("one", "said"), TOO_LARGE)
def test_what_is_too_large_is_refused(one: Media, said: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        media.check_limits(one, ROW, None)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "one",
    [
        image(16_000_000, 20_000_000),
        Media("video", "video/mp4", None, 20_000_000, 10**9, 2),
        Media("image", "", None, None, 100),
    ],
)
def test_what_fits_is_taken(one: Media) -> None:
    media.check_limits(one, ROW, None)


def test_an_image_that_is_to_be_reduced_may_be_larger() -> None:
    media.check_limits(image(30_000_000, 50_000_000), ROW, 2_000_000)
    with pytest.raises(InvalidInputError):
        media.check_limits(image(1_000, 50_000_000), ROW, 2_000_000)


def test_video_is_for_the_models_that_take_it() -> None:
    film = Media("video", "video/mp4", None, 10, 10, 2)
    with pytest.raises(
        InvalidInputError, match="'voyage-multimodal-3' does not support video: use voyage"
    ):
        media.check_limits(film, MODELS["voyage-multimodal-3"], None)
    media.check_limits(film, ROW, None)
    media.check_limits(film, look_up("voyage-multimodal-9", "multimodal"), None)


@pytest.mark.parametrize(
    ("text", "is_name"),
    [
        ("img/red.png", True),
        ("red.JPG", True),
        ("red picture 2.png", True),
        ("https://x.y/a.webp?size=3", True),
        ("/home/me/my pictures/a.tiff", True),
        ("file:///a.mp4", True),
        ("see https://x.y/a.jpg", False),
        ("a picture of a.png", False),
        ("red", False),
        ("", False),
        ("a" * 2_000 + ".png", False),
        ("report.pdf", False),
        (b64encode(b"\x89PNG\r\n\x1a\n" + bytes(60)).decode(), True),
        (b64encode(b"\xff\xd8\xff\xe0" + bytes(60)).decode(), True),
        (
            "/9j/ is how base64 of a JPEG begins, and this is a sentence about it, of some length",
            False,
        ),
    ],
)
def test_the_path_of_a_picture_is_distinguished_from_a_text(text: str, is_name: bool) -> None:
    assert media.is_media_name(text) is is_name
