"""What requests may say on /v1/multimodalembeddings, and what pictures become."""

import base64
import contextlib
import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voyage_rag.emulator.images import TooManyPixelsError, describe, read_image
from voyage_rag.emulator.video_size import VideoSize, measure_video

PATH = "multimodalembeddings"
RED, BLUE, GREEN, WHITE = (220, 20, 30), (20, 60, 220), (20, 160, 60), (255, 255, 255)


def draw(shape: str, colour: tuple[int, int, int], size: int = 80) -> np.ndarray:
    """Return a shape on white paper, (size, size, 3)."""
    down, across = np.mgrid[:size, :size] - size / 2 + 0.5
    reach = size * 0.35
    inside = {
        "circle": down**2 + across**2 < reach**2,
        "square": (abs(down) < reach) & (abs(across) < reach),
        "rectangle": (abs(down) < reach / 2) & (abs(across) < reach),
        "triangle": (abs(down) < reach) & (abs(across) < (down + reach) / 2),
        "ellipse": (2 * down) ** 2 + across**2 < reach**2,
    }[shape]
    return np.where(inside[:, :, None], colour, WHITE).astype(np.uint8)


def png(pixels: np.ndarray) -> bytes:
    """Return pixels as a PNG."""
    height, width, channels = pixels.shape
    kind = {1: 0, 3: 2, 4: 6}[channels]
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def box(name: bytes, contents: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(contents), name) + contents


def mp4(width: int, height: int, frames: int) -> bytes:
    """Return just enough of a film to be measured: a sound track, then a moving picture."""

    def track(width: int, height: int, samples: int) -> bytes:
        times = box(b"stts", struct.pack(">IIII", 0, 1, samples, 100))
        media = box(b"mdia", box(b"minf", box(b"stbl", times)))
        size = struct.pack(">II", width << 16, height << 16)
        return box(b"trak", box(b"tkhd", bytes(76) + size) + media)

    tracks = track(0, 0, 999) + track(width, height, frames)
    return box(b"ftyp", b"isom") + box(b"mdat", bytes(10)) + box(b"moov", tracks)


def data_url(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def image(data: bytes, kind: str = "image/png") -> dict[str, str]:
    return {"type": "image_base64", "image_base64": data_url(data, kind)}


def film(data: bytes) -> dict[str, str]:
    return {"type": "video_base64", "video_base64": data_url(data, "video/mp4")}


def body(*inputs: list[dict[str, str]], **options: Any) -> dict[str, Any]:
    contents = [{"content": list(segments)} for segments in inputs]
    return {"inputs": contents, "model": "voyage-multimodal-3.5"} | options


def vectors(answer: Any) -> np.ndarray:
    return np.array([item["embedding"] for item in answer.json()["data"]])


def test_words_find_the_picture_they_describe(ask) -> None:
    """Text and pictures share one space."""
    drawn = [(shape, name) for name in ("red", "blue") for shape in ("circle", "square")]
    pictures = [png(draw(shape, {"red": RED, "blue": BLUE}[name])) for shape, name in drawn]
    found = vectors(ask(PATH, body(*([image(data)] for data in pictures), input_type="document")))
    words = body(*([text(f"a {name} {shape}")] for shape, name in drawn), input_type="query")
    assert (vectors(ask(PATH, words)) @ found.T).argmax(axis=1).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("shape", ["circle", "square", "rectangle", "triangle", "ellipse"])
def test_drawn_shapes_are_named(shape: str) -> None:
    """With their colour first and their background below."""
    assert describe(draw(shape, GREEN)) == f"green {shape}\nwhite background"


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        ((0, 0, 0), "black"),
        ((128, 128, 128), "grey"),
        ((255, 140, 0), "orange"),
        ((120, 70, 20), "brown"),
        ((250, 220, 30), "yellow"),
        ((20, 200, 200), "cyan"),
        ((130, 40, 200), "purple"),
        ((255, 105, 180), "pink"),
    ],
)
def test_colours_are_named(colour: tuple[int, int, int], name: str) -> None:
    """By hue, and by how dark and how pale they are."""
    assert describe(draw("square", colour)).startswith(f"{name} square")


def test_pictures_without_a_subject_are_plain() -> None:
    """One colour, or one that could not be read."""
    assert describe(np.full((5, 5, 3), 255, np.uint8)) == "plain white picture"
    assert describe(None) == "picture"


def test_usage_counts_pixels(ask) -> None:
    """Clamped for each picture, 560 to a token, in the documented order of keys."""
    small, large = png(draw("circle", RED, 20)), png(np.zeros((1600, 1600, 3), np.uint8))
    answer = ask(PATH, body([text("two words"), image(small)], [image(large)])).json()
    assert list(answer) == ["object", "data", "model", "usage"]
    assert [list(item) for item in answer["data"]] == [["object", "embedding", "index", "text"]] * 2
    assert list(answer["usage"].items()) == [
        ("text_tokens", 2),
        ("image_pixels", 2_050_000),
        ("video_pixels", 0),
        ("total_tokens", 2 + 50_000 // 560 + 2_000_000 // 560),
    ]


def test_pixels_become_tokens_image_by_image(ask) -> None:
    """Two of 160,000 pixels cost 570 tokens, not the 571 of their sum."""
    picture = image(png(np.zeros((400, 400, 3), np.uint8)))
    for inputs in ([[picture, picture]], [[picture], [picture]]):
        assert ask(PATH, body(*inputs)).json()["usage"]["total_tokens"] == 570


@pytest.mark.parametrize("side", [65_535, 8_000])
def test_a_damaged_gif_may_be_larger_than_it_says(ask, side: int) -> None:
    """Its first frame has billions of pixels, its header a few hundred."""
    pillow = pytest.importorskip("PIL.Image", reason="needs Pillow to write the picture")
    written = io.BytesIO()
    pillow.new("P", (30, 20)).save(written, "GIF")
    data = written.getvalue()
    frame = data.index(b"," + bytes(4) + struct.pack("<HH", 30, 20))
    damaged = data[: frame + 5] + struct.pack("<HH", side, side) + data[frame + 9 :]
    detail = ask.detail(PATH, body([image(damaged, "image/gif")]))
    assert "The image resolution is not within the permitted range" in detail


@given(st.data())
def test_no_damaged_image_is_an_internal_error(drawn_images: list[bytes], data: Any) -> None:
    """Whatever byte is wrong, the result is an image, an image without pixels, or a known error."""
    whole = data.draw(st.sampled_from(drawn_images))
    at = data.draw(st.integers(0, len(whole) - 1))
    damage = data.draw(st.binary(min_size=1, max_size=8))
    with contextlib.suppress(ValueError, TooManyPixelsError):
        read_image(whole[:at] + damage + whole[at + len(damage) :])


@pytest.fixture(scope="module")
def drawn_images() -> list[bytes]:
    """One of each format."""
    pillow = pytest.importorskip("PIL.Image", reason="needs Pillow to write the pictures")
    images = []
    for kind in ("PNG", "JPEG", "GIF", "WEBP"):
        written = io.BytesIO()
        pillow.fromarray(draw("circle", RED)).save(written, kind)
        images.append(written.getvalue())
    return images


def test_recorded_usage(ask) -> None:
    """One tiny picture costs 89 tokens; two words with 230,400 pixels cost 413."""
    tiny = ask(PATH, body([image(png(draw("circle", RED, 8)))])).json()["usage"]
    assert (tiny["image_pixels"], tiny["total_tokens"]) == (50_000, 89)
    wide = png(np.zeros((480, 480, 3), np.uint8))
    usage = ask(PATH, body([text("two words"), image(wide)])).json()["usage"]
    assert (usage["image_pixels"], usage["total_tokens"]) == (230_400, 413)


def test_videos_count_every_frame(ask) -> None:
    """An even number of them, 1,120 pixels to a token; the older model takes none."""
    request = body([film(mp4(1280, 720, 17))])
    usage = ask(PATH, request).json()["usage"]
    assert usage["video_pixels"] == 16 * 921_600
    assert usage["total_tokens"] == 16 * 921_600 // 1120
    assert "video" in ask.detail(PATH, request | {"model": "voyage-multimodal-3"})


def test_an_input_type_makes_text_cheaper_and_pictures_not(ask) -> None:
    """One token for each input that has text."""
    picture = image(png(draw("circle", RED)))
    usage = ask(PATH, body([text("one"), picture], [picture], input_type="query")).json()["usage"]
    assert usage["text_tokens"] == 0


def test_nothing_is_fetched(ask) -> None:
    """A URL is known by its file's name alone."""
    url = "http://nowhere.test/shelf/red%20bicycle.jpg?size=2"
    urls = [{"type": "image_url", "image_url": url}], [{"type": "video_url", "video_url": url}]
    answer = ask(PATH, body(*urls, [text("a red bicycle")], [text("a green boat")]))
    still, moving, right, wrong = vectors(answer)
    assert still @ right > 0.8 > still @ wrong
    assert np.array_equal(still, moving)
    usage = answer.json()["usage"]
    assert (usage["image_pixels"], usage["video_pixels"]) == (50_000, 100_000)


def test_either_name_asks_for_base64(ask) -> None:
    """The documentation's and the one the vendor's clients send."""
    plain = vectors(ask(PATH, body([text("x")])))[0]
    for name in ("encoding_format", "output_encoding"):
        encoded = ask(PATH, body([text("x")], **{name: "base64"})).json()["data"][0]["embedding"]
        decoded = np.frombuffer(base64.b64decode(encoded), "<f4")
        assert decoded == pytest.approx(plain, abs=1e-8)


def test_the_older_model_answers_bfloat16(ask) -> None:
    """So its vectors are of length 1 only nearly, as recorded."""
    answer = ask(PATH, body([text("hello there")], model="voyage-multimodal-3"))
    (vector,) = vectors(answer).astype(np.float32)
    assert np.all(vector.view(np.uint32) % 2**16 == 0)
    assert 0.9978 < np.linalg.norm(vector) < 1.0016
    assert "output_dimension" in ask.detail(
        PATH, body([text("x")], model="voyage-multimodal-3", output_dimension=256)
    )


@pytest.mark.parametrize(
    "segment",
    [
        {"type": "text"},
        {"type": "text", "text": ""},
        {"type": "text", "text": "x", "more": 1},
        {"type": "sound", "sound": "x"},
        {"type": "text", "image_url": "x"},
        {"type": "image_url", "image_url": "http://[nowhere"},
        {"type": "image_base64", "image_base64": "not a data URL"},
        {"type": "image_base64", "image_base64": "data:image/tiff;base64,AAAA"},
        {"type": "image_base64", "image_base64": "data:image/png;base64,???"},
        image(b"not a picture"),
        image(b"\x89PNG\r\n\x1a\n"),
        film(b"not a film"),
        "text",
    ],
)
def test_segments_must_be_what_they_say(ask, segment: Any) -> None:
    """Their type's value alone, and readable."""
    assert "Error for argument 'inputs'" in ask.detail(PATH, body([segment]))


def test_no_picture_has_more_than_16_million_pixels(ask) -> None:
    """It is named by the positions of its input and of its segment, as the service does."""
    pillow = pytest.importorskip("PIL.Image", reason="needs Pillow to write the picture")
    written = io.BytesIO()
    pillow.new("1", (4_001, 4_000)).save(written, "PNG")
    large = image(written.getvalue())
    detail = ask.detail(PATH, body([text("a")], [text("a"), large]))
    assert "The image resolution is not within the permitted range: " in detail
    assert "[base64 image at input 1, index 1]" in detail


@pytest.mark.parametrize("inputs", [[], [{}], [{"content": []}], [{"content": "x"}], "x", ["x"]])
def test_inputs_hold_content(ask, inputs: Any) -> None:
    """One or more objects, each with segments."""
    assert "Error for argument 'inputs'" in ask.detail(PATH, body() | {"inputs": inputs})


def test_urls_and_base64_do_not_mix(ask) -> None:
    """Not even in different inputs."""
    url = {"type": "image_url", "image_url": "http://nowhere.test/x.png"}
    assert "cannot be mixed" in ask.detail(PATH, body([url], [image(png(draw("circle", RED)))]))


def test_what_does_not_fit_is_cut_or_refused(ask) -> None:
    """Text in the middle, a picture whole."""
    picture = image(png(draw("circle", RED)))
    long = body([text("word " * 31_950), picture])
    usage = ask(PATH, long).json()["usage"]
    assert (usage["text_tokens"], usage["image_pixels"]) == (31_950, 0)
    assert (
        ask(PATH, body([picture, text("word " * 40_000)])).json()["usage"]["total_tokens"] == 32_000
    )
    assert "The example at index 0" in ask.detail(PATH, long | {"truncation": False})


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_sizes_are_read_from_headers(kind: str) -> None:
    """Of each format that Pillow can write."""
    pillow = pytest.importorskip("PIL.Image", reason="needs Pillow to write the pictures")
    for options in ({}, {"lossless": True}) if kind == "WEBP" else ({},):
        written = io.BytesIO()
        pillow.new("RGB", (123, 45), RED).save(written, kind, **options)
        count, pixels = read_image(written.getvalue())
        assert count == 123 * 45
        assert pixels is not None
        assert describe(pixels) == "plain red picture"


def test_transparent_pixels_are_white() -> None:
    """In proportion to their opacity."""
    drawn = np.zeros((10, 7, 4), np.uint8)
    drawn[:, :, 3] = 51
    assert np.array_equal(read_image(png(drawn)).pixels, np.full((10, 7, 3), 204))


def test_broken_pictures_are_measured_but_not_read() -> None:
    """A header is enough to count pixels."""
    data = png(draw("circle", RED))[:60]
    assert read_image(data) == (80 * 80, None)


def test_videos_are_measured() -> None:
    """By the first track that has sides, and its table of times."""
    assert measure_video(mp4(640, 480, 25)) == VideoSize(640, 480, 24)
    with pytest.raises(ValueError, match="not an MP4"):
        measure_video(mp4(0, 0, 25))
