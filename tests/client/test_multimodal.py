"""Images over the emulator, with Pillow and without: at their own bytes, or encoded where asked."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import sys
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow
from PIL import ImageSequence

import voyage_rag
from fakes import HTTPService, ok
from pictures import gif, jpeg, mp4, png
from voyage_rag import Image, InvalidInputError, Voyage
from voyage_rag.emulator import Emulator
from voyage_rag.hosts.messages import Response

KEY = "pa-of-nobody"
MODEL = "voyage-multimodal-3.5"


@pytest.fixture(scope="module")
def _emulator() -> Iterator[Emulator]:
    emulator = Emulator()
    with emulator:
        yield emulator


@pytest.fixture
def emulator(_emulator: Emulator) -> Emulator:
    _emulator.requests.clear()
    return _emulator


@pytest.fixture
def voyage(emulator: Emulator) -> Iterator[Voyage]:
    with Voyage(KEY, base_url=emulator.url) as voyage:
        yield voyage


@pytest.fixture
def no_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide Pillow, as if it were not installed."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "PIL"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "PIL", None)


def photo(width: int = 60, height: int = 40, mode: str = "RGB", **options: Any) -> Any:
    return Pillow.effect_noise((width, height), 80).convert(mode, **options)


def file_of(image: Any, format_: str, **options: Any) -> bytes:
    out = BytesIO()
    image.save(out, format_, **options)
    return out.getvalue()


def files_sent(emulator: Emulator) -> list[tuple[str, bytes]]:
    """MIME type and bytes of every image and video that arrived."""
    return files_in(item for request in emulator.requests for item in request.body["inputs"])


def files_in(inputs: Iterable[Any]) -> list[tuple[str, bytes]]:
    """MIME type and bytes of every image and video of a request's inputs."""
    found = []
    for item in inputs:
        for segment in item["content"]:
            if segment["type"].endswith("_base64"):
                head, _, data = segment[segment["type"]].partition(";base64,")
                found.append((head.removeprefix("data:"), base64.b64decode(data)))
    return found


def cosine(one: Any, other: Any) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_words_find_the_picture(runner, voyage: Voyage, tmp_path: Path) -> None:
    """In a folder of pictures, some with words beside them."""
    colours = ("red", "green", "blue")
    for colour in colours:
        (tmp_path / f"{colour}.png").write_bytes(png(colour))
    paths = sorted(tmp_path.iterdir())

    found = runner.call(voyage, "multimodal_embed", paths, MODEL, "document")

    for query in colours:
        [vector] = runner.call(voyage, "multimodal_embed", [query], MODEL, "query").embeddings
        scores = [cosine(vector, other) for other in found.embeddings]
        assert paths[scores.index(max(scores))].stem == query
    assert (found.text_tokens, found.image_pixels) == (0, 150_000)
    assert found.total_tokens == 150_000 // 560


def test_a_ten_megabyte_jpeg_is_sent_at_its_own_size(
    runner, voyage: Voyage, emulator: Emulator, tmp_path: Path
) -> None:
    """Base64 and a few bytes around it."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg(3_000, 2_000, size=10_000_000))

    found = runner.call(voyage, "multimodal_embed", [path], MODEL)

    assert files_sent(emulator) == [("image/jpeg", path.read_bytes())]
    assert int(emulator.requests[0].headers["content-length"]) < 10_000_000 * 4 / 3 + 1_000
    assert found.image_pixels == 2_000_000


def test_dimension_and_dtype_are_honoured(runner, voyage: Voyage) -> None:
    for dimension, dtype, length in (
        (256, "float", 256),
        (2048, "int8", 2048),
        (512, "binary", 64),
    ):
        found = runner.call(
            voyage, "multimodal_embed", [[png(), "a"]], MODEL, "document", True, dtype, dimension
        )
        assert [len(vector) for vector in found.embeddings] == [length]
        assert type(found.embeddings[0][0]) is (float if dtype == "float" else int)


def test_the_prompt_and_truncation_are_sent(runner, voyage: Voyage, emulator: Emulator) -> None:
    runner.call(voyage, "multimodal_embed", ["a"], MODEL, "query", truncation=False)
    body = emulator.requests[0].body
    assert (body["input_type"], body["truncation"]) == ("query", False)


def test_plain_texts_go_to_the_right_endpoint(
    runner, voyage: Voyage, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """By `embed`, as with any other model, even if a text is the URL of an image."""
    texts = ["a text", "https://example.com/a.png"]
    found = runner.call(voyage, "embed", texts, MODEL, "document", output_dimension=512)
    assert emulator.requests[0].path == "/v1/multimodalembeddings"
    assert emulator.requests[0].body["inputs"] == [
        {"content": [{"type": "text", "text": text}]} for text in texts
    ]
    assert [len(vector) for vector in found.embeddings] == [512, 512]
    assert "embedded as a text" in caplog.text


def test_a_video_is_sent_and_billed_by_its_frames(
    runner, voyage: Voyage, emulator: Emulator
) -> None:
    found = runner.call(voyage, "multimodal_embed", [["a film", mp4(320, 240, 10)]], MODEL)
    assert files_sent(emulator) == [("video/mp4", mp4(320, 240, 10))]
    assert found.video_pixels == 768_000
    assert found.total_tokens == found.text_tokens + 768_000 // 1_120


def test_what_is_counted_before_is_what_is_billed(runner, voyage: Voyage, tmp_path: Path) -> None:
    inputs = [png(width=600, height=500), [gif(1_000, 900), jpeg(5_000, 3_000)], mp4(frames=7)]
    counted = runner.call(voyage, "count_usage", inputs, MODEL)
    found = runner.call(voyage, "multimodal_embed", inputs, MODEL)
    assert counted == {
        "text_tokens": found.text_tokens,
        "image_pixels": found.image_pixels,
        "video_pixels": found.video_pixels,
        "total_tokens": found.total_tokens,
    }


# ── with Pillow ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "GIF"])
def test_an_image_that_was_only_opened_is_sent_at_its_own_bytes(
    runner, voyage: Voyage, emulator: Emulator, tmp_path: Path, format_: str
) -> None:
    """Twice, and it can be used afterwards."""
    path = tmp_path / "a"
    path.write_bytes(file_of(photo(), format_))
    with Pillow.open(path) as image:
        runner.call(voyage, "multimodal_embed", [image, ["again", image]], MODEL)
        assert image.convert("RGB").size == (60, 40)
    assert files_sent(emulator) == [(f"image/{format_.lower()}", path.read_bytes())] * 2


def test_an_image_that_was_changed_is_sent_as_it_is_now(
    runner, voyage: Voyage, emulator: Emulator
) -> None:
    image = Pillow.open(BytesIO(file_of(photo(), "PNG")))
    image.paste((220, 20, 20), (0, 0, 60, 40))
    runner.call(voyage, "multimodal_embed", [image], MODEL)
    [(mime, data)] = files_sent(emulator)
    assert mime == "image/png"
    with Pillow.open(BytesIO(data)) as arrived:
        assert arrived.getpixel((30, 20)) == (220, 20, 20)


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG"])
def test_the_chosen_frame_of_an_animation_is_sent(
    runner, voyage: Voyage, emulator: Emulator, format_: str
) -> None:
    """Pillow decodes some formats only later, so the file alone would be its first frame."""
    colours = [(220, 20, 20), (20, 220, 20), (20, 20, 220)]
    first, *others = [Pillow.new("RGB", (60, 40), colour) for colour in colours]
    file = BytesIO()
    first.save(file, format_, save_all=True, append_images=others, lossless=True)
    frames = [Pillow.open(BytesIO(file.getvalue())) for _ in colours]
    for number, frame in enumerate(frames):
        frame.seek(number)
    runner.call(voyage, "multimodal_embed", frames, MODEL)
    sent = [Pillow.open(BytesIO(data)).convert("RGB") for _, data in files_sent(emulator)]
    assert [image.getpixel((30, 20)) for image in sent] == colours


@pytest.mark.parametrize("format_", ["GIF", "TIFF"])
@pytest.mark.parametrize("collected", [list, iter], ids=["list", "iterator"])
def test_the_frames_of_one_moving_image_are_refused(
    runner, voyage: Voyage, emulator: Emulator, format_: str, collected: Any
) -> None:
    """Pillow's iterator yields one object, so that each would have the vector of the last frame."""
    frames = [Pillow.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    with Pillow.open(
        BytesIO(file_of(frames[0], format_, save_all=True, append_images=frames[1:]))
    ) as image:
        inputs = collected(ImageSequence.Iterator(image))
        with pytest.raises(InvalidInputError, match=r"inputs\[1\].*all_frames\(image\)"):
            runner.call(voyage, "multimodal_embed", inputs, MODEL)
        assert emulator.requests == []
        found = runner.call(voyage, "multimodal_embed", ImageSequence.all_frames(image), MODEL)
        assert found.embeddings[0] != found.embeddings[1]


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "PA"]
)
def test_an_image_of_any_mode_can_be_sent(
    runner, voyage: Voyage, emulator: Emulator, mode: str
) -> None:
    image = photo().convert("RGB").convert(mode) if mode != "PA" else photo(mode="P").convert("PA")
    runner.call(voyage, "multimodal_embed", [image], MODEL)
    [(mime, data)] = files_sent(emulator)
    assert mime == "image/png"
    with Pillow.open(BytesIO(data)) as arrived:
        assert arrived.size == (60, 40)


@pytest.mark.parametrize("format_", ["BMP", "TIFF", "PPM", "JPEG2000", "AVIF"])
def test_formats_the_service_does_not_take_are_encoded_anew(
    runner, voyage: Voyage, emulator: Emulator, tmp_path: Path, format_: str
) -> None:
    Pillow.init()
    if format_ not in Pillow.SAVE:  # AVIF came with Pillow 11.3
        pytest.skip("this Pillow lacks the format")
    path = tmp_path / "picture"
    path.write_bytes(file_of(photo(64, 64), format_))
    runner.call(voyage, "multimodal_embed", [path, path.read_bytes()], MODEL)
    assert [mime for mime, _ in files_sent(emulator)] == ["image/png"] * 2
    for _, data in files_sent(emulator):
        with Pillow.open(BytesIO(data)) as arrived:
            assert arrived.size == (64, 64)


@pytest.mark.parametrize(
    ("format_", "mime"), [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/png")]
)
def test_a_large_image_is_reduced_where_that_is_asked_for(
    runner, voyage: Voyage, emulator: Emulator, format_: str, mime: str
) -> None:
    """To the maximum of billed pixels, with the same proportions; small ones are unchanged."""
    large = file_of(Pillow.new("RGB", (4_000, 1_000), (220, 20, 20)), format_)
    small = file_of(photo(), format_)
    runner.call(voyage, "multimodal_embed", [large, small], MODEL, downscale=True)
    (sent_as, data), (_, as_it_is) = files_sent(emulator)
    assert sent_as == mime
    assert as_it_is == small
    with Pillow.open(BytesIO(data)) as arrived:
        width, height = arrived.size
    assert 1_990_000 < width * height <= 2_000_000
    assert width / height == pytest.approx(4, rel=0.01)


def test_an_image_of_pillows_is_reduced_too(voyage: Voyage, emulator: Emulator) -> None:
    image = Pillow.new("P", (3_000, 2_000))
    opened = Pillow.open(BytesIO(file_of(Pillow.new("RGB", (3_000, 2_000)), "PNG")))
    voyage.multimodal_embed([image, opened], MODEL, downscale=True)
    for _, data in files_sent(emulator):
        with Pillow.open(BytesIO(data)) as arrived:
            assert arrived.width * arrived.height <= 2_000_000


def test_a_rotated_photo_stays_upright_when_it_is_reduced(
    voyage: Voyage, emulator: Emulator
) -> None:
    """Cameras store the rotation as metadata, which encoding again must not lose."""
    exif = Pillow.Exif()
    exif[0x0112] = 6
    turned = file_of(Pillow.new("RGB", (3_000, 1_000)), "JPEG", exif=exif)
    voyage.multimodal_embed([turned], MODEL, downscale=True)
    [(_, data)] = files_sent(emulator)
    with Pillow.open(BytesIO(data)) as arrived:
        assert arrived.height > 2 * arrived.width
        assert 1_980_000 < arrived.width * arrived.height <= 2_000_000


def test_an_image_beyond_the_limit_can_be_reduced(
    runner, voyage: Voyage, emulator: Emulator
) -> None:
    huge = file_of(Pillow.new("L", (5_000, 4_000)), "PNG", compress_level=1)
    with pytest.raises(InvalidInputError, match=r"20,000,000 pixels.*pass downscale=True"):
        runner.call(voyage, "multimodal_embed", [huge], MODEL)
    assert emulator.requests == []
    found = runner.call(voyage, "multimodal_embed", [huge], MODEL, downscale=True)
    assert found.image_pixels <= 2_000_000


def test_threads_may_share_an_image(voyage: Voyage, tmp_path: Path, emulator: Emulator) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(file_of(photo(), "PNG"))
    with Pillow.open(path) as image:
        inputs = [[image, str(number)] for number in range(1_001)]
        found = voyage.multimodal_embed(inputs, MODEL, output_dimension=256)
    assert len(found.vectors) == 1_001
    assert {data for _, data in files_sent(emulator)} == {path.read_bytes()}
    assert len(emulator.requests) > 1


# ── without Pillow ────────────────────────────────────────────────────────────────────────────────


def test_without_pillow_paths_bytes_and_urls_work(
    runner, http_service: HTTPService, tmp_path: Path, no_pillow: None
) -> None:
    """With a service that does not read the images: the emulator needs Pillow."""
    received: list[Any] = []

    def answer(body: bytes) -> Response:
        received.append(json.loads(body)["inputs"])
        data = [{"index": index, "embedding": [1.0] * 256} for index in range(len(received[-1]))]
        return ok({"data": data, "usage": {"text_tokens": 1, "image_pixels": 1, "total_tokens": 2}})

    http_service.always = answer
    path = tmp_path / "a.png"
    path.write_bytes(png())
    inputs = [["a", path], jpeg(), gif(), Image("https://example.com/red.png")]
    voyage = Voyage(KEY, base_url=http_service.url)
    found = runner.call(voyage, "multimodal_embed", inputs, MODEL, output_dimension=256)

    assert len(found.embeddings) == 4
    assert len(received) == 2
    assert [data for _, data in files_in(itertools.chain(*received))] == [png(), jpeg(), gif()]


@pytest.mark.parametrize(
    ("item", "downscale", "said"),
    [
        (b"BM" + bytes(100), False, r"inputs\[0\]: an image that is not PNG.* needs Pillow: pip"),
        (jpeg(2_000, 2_000), True, r"inputs\[0\]\[?0?\]?: downscale=True needs Pillow"),
    ],
)
def test_what_needs_pillow_says_so(
    runner, voyage: Voyage, no_pillow: None, item: bytes, downscale: bool, said: str
) -> None:
    with pytest.raises(InvalidInputError, match=said) as caught:
        runner.call(voyage, "multimodal_embed", [item], MODEL, downscale=downscale)
    assert "voyage-rag[images]" in str(caught.value)


# ── the vendor's names ────────────────────────────────────────────────────────────────────────────


def test_the_drop_in_has_the_vendors_verbs(emulator: Emulator) -> None:
    arguments = ([["a", photo()]], MODEL, "document", True, "int8", 512)
    with voyage_rag.Client(api_key=KEY, base_url=emulator.url) as client:
        expected = client.multimodal_embed(*arguments)
        counted = client.count_usage([["a", photo()]], MODEL)

    async def run() -> Any:
        async with voyage_rag.AsyncClient(api_key=KEY, base_url=emulator.url) as client:
            assert client.count_usage([["a", photo()]], MODEL) == counted
            return await client.multimodal_embed([["a", photo()]], *arguments[1:])

    found = asyncio.run(run())
    assert len(found.embeddings[0]) == len(expected.embeddings[0]) == 512
    assert found.image_pixels == counted["image_pixels"] == 50_000
