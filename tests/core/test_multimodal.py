"""Texts, images and videos: what callers may write, how it is planned, and what is refused."""

from __future__ import annotations

import base64
import gc
import json
import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import voyage_rag.client.multimodal
from fakes import FakeClock, FakeService, base64_of, failed, ok, voyage_over
from pictures import gif, jpeg, mp4, png, png_header, webp
from voyage_rag import Image, Video
from voyage_rag.core.media import MediaReader
from voyage_rag.core.multimodal import MAX_BODY_BYTES, EncodedInput
from voyage_rag.errors import InvalidInputError, InvalidRequestError, ServerError
from voyage_rag.hosts.messages import Response
from voyage_rag.io.media import READER

MODEL = "voyage-multimodal-of-tests"
TOO_MANY = "Please lower the number of tokens in the batch."


def vector_of(content: Any) -> list[float]:
    """Return numbers that identify an input."""
    written = json.dumps(content, sort_keys=True)
    return [float(hash(written) % 65_521), float(len(written) % 65_521)]


def served(body: bytes) -> Response:
    """Return the response of a healthy service."""
    inputs = json.loads(body)["inputs"]
    data = [
        {"index": index, "embedding": base64_of(vector_of(item))}
        for index, item in enumerate(inputs)
    ]
    usage = {"text_tokens": 1, "image_pixels": 1_120, "video_pixels": 0, "total_tokens": 3}
    return ok({"data": data, "usage": usage})


def data_url(data: bytes, mime: str = "image/png") -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def sent(service: FakeService) -> list[Any]:
    """The segments of every input, over all requests."""
    return [item["content"] for body in service.bodies for item in body["inputs"]]


def embed(inputs: Any, model: str = MODEL, **options: Any) -> FakeService:
    service = FakeService(always=served)
    voyage_over(service, concurrency=1).multimodal_embed(inputs, model, **options)
    return service


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture without an ending"
    path.write_bytes(png())
    return path


class VideoOfTheVendors:
    """As far as `voyageai.video_utils.Video` is concerned here."""

    def to_bytes(self) -> bytes:
        return mp4()


PNG = ("image_base64", data_url(png()))
MP4 = ("video_base64", data_url(mp4(), "video/mp4"))
JPG_URL = "https://example.com/a.jpg?size=3"

WAYS: list[tuple[Callable[[Path], Any], tuple[str, str]]] = [
    (lambda _: "a text", ("text", "a text")),
    (lambda _: "see https://example.com/a.jpg", ("text", "see https://example.com/a.jpg")),
    (lambda _: "https://example.com/page", ("text", "https://example.com/page")),
    (lambda _: "picture.png", ("text", "picture.png")),
    (lambda _: "data:image/png is a URL", ("text", "data:image/png is a URL")),
    (lambda path: path, PNG),
    (Image, PNG),
    (lambda path: Image(str(path)), PNG),
    (lambda path: Image(path.as_uri()), PNG),
    (lambda _: png(), PNG),
    (lambda _: bytearray(png()), PNG),
    (lambda _: memoryview(png()), PNG),
    (lambda _: BytesIO(png()), PNG),
    (lambda path: path.open("rb"), PNG),
    (lambda _: PNG[1], PNG),
    (lambda _: Image(PNG[1]), PNG),
    (lambda _: PNG[1].replace("data:image/png", "DATA:Image/PNG"), PNG),
    (lambda _: JPG_URL, ("text", JPG_URL)),
    (lambda _: Image(JPG_URL), ("image_url", JPG_URL)),
    (lambda _: Image("https://example.com/picture"), ("image_url", "https://example.com/picture")),
    (lambda _: gif(), ("image_base64", data_url(gif(), "image/gif"))),
    (lambda _: webp(), ("image_base64", data_url(webp(), "image/webp"))),
    (lambda _: jpeg(), ("image_base64", data_url(jpeg(), "image/jpeg"))),
    (lambda _: mp4(), MP4),
    (lambda _: Video(mp4()), MP4),
    (lambda _: VideoOfTheVendors(), MP4),
    (lambda _: MP4[1], MP4),
    (lambda _: Video("https://example.com/a.mp4"), ("video_url", "https://example.com/a.mp4")),
    (lambda _: Video("https://example.com/f"), ("video_url", "https://example.com/f")),
    (lambda _: {"type": "text", "text": JPG_URL}, ("text", JPG_URL)),
    (lambda _: {"type": "image_url", "image_url": JPG_URL}, ("image_url", JPG_URL)),
    (lambda _: {"type": "image_base64", "image_base64": PNG[1]}, PNG),
    (lambda _: {"type": "video_base64", "video_base64": MP4[1]}, MP4),
]


@pytest.mark.parametrize(("item", "segment"), WAYS)
@pytest.mark.parametrize("alone", [True, False])
def test_an_input_may_be_written_in_many_ways(
    runner, picture: Path, item: Any, segment: tuple[str, str], alone: bool
) -> None:
    """Each is sent as what it is, at its own bytes."""
    given = item(picture)
    service = FakeService(always=served)
    if alone and isinstance(given, dict):
        given = {"content": [given]}

    runner.call(voyage_over(service), "multimodal_embed", [given if alone else [given]], MODEL)

    kind, value = segment
    assert sent(service) == [[{"type": kind, kind: value}]]
    if hasattr(given, "close"):
        given.close()


@pytest.mark.parametrize("verb", ["multimodal_embed", "embed"])
@pytest.mark.parametrize("text", ["img/red.png", JPG_URL, "/my pictures/film.mp4"])
def test_a_text_that_names_a_file_is_embedded_with_a_warning(
    runner, verb: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Once per call: only what was declared as a file or URL is read or fetched."""
    service = FakeService(always=served)
    runner.call(voyage_over(service), verb, ["words", text, text], MODEL)
    assert sent(service)[1] == [{"type": "text", "text": text}]
    [record] = caplog.records
    assert text in record.getMessage()
    assert "voyage_rag.Image(" in record.getMessage()


def test_every_input_that_cannot_be_embedded_is_named(runner, picture: Path) -> None:
    """So that a folder with damaged files needs one more attempt, and not one per file."""
    service = FakeService()
    inputs = ["a", picture.with_name("none.png"), [picture, b"GIF"], picture, b""]
    with pytest.raises(
        InvalidInputError, match=r"inputs\[1\]: .*; 2 other inputs cannot be .* `indices`"
    ) as caught:
        runner.call(voyage_over(service), "multimodal_embed", inputs, MODEL)
    assert caught.value.indices == (1, 2, 4)
    assert service.attempts == []


@pytest.mark.parametrize("truncation", [True, False])
def test_images_beyond_the_context_are_reported(
    runner, caplog: pytest.LogCaptureFixture, truncation: bool
) -> None:
    """2 million pixels are 3,571 tokens, so the context of 32,000 holds eight of these."""
    page = jpeg(2_000, 1_000)
    inputs = [[page] * 8, [page] * 9, "a", [page] * 10]
    runner.call(
        voyage_over(FakeService(always=served)),
        "multimodal_embed",
        inputs,
        MODEL,
        truncation=truncation,
    )
    said = [record.getMessage() for record in caplog.records]
    assert [message[:22] for message in said] == ["inputs[1], inputs[3] h"] * truncation


def test_segments_keep_their_order(picture: Path) -> None:
    service = embed([["first", picture, "between", gif(), png("blue"), "last"]])
    [segments] = sent(service)
    assert [next(iter(s.values())) for s in segments] == [
        *("text", "image_base64", "text", "image_base64", "image_base64", "text")
    ]
    assert [segment.get("text") for segment in segments[::2]] == ["first", "between", None]


def test_the_request_is_the_vendors() -> None:
    service = embed(["a"], input_type="query", output_dimension=2)
    assert service.attempts[0].request.path == "/multimodalembeddings"
    assert service.bodies == [
        {
            "inputs": [{"content": [{"type": "text", "text": "a"}]}],
            "model": MODEL,
            "input_type": "query",
            "truncation": True,
            "output_dimension": 2,
            "encoding_format": "base64",
        }
    ]


def test_text_survives_json() -> None:
    text = 'say "ä€😀"\n\\ \x07'
    assert sent(embed([text])) == [[{"type": "text", "text": text}]]


def test_a_file_like_object_is_read_once_and_looked_at_twice() -> None:
    """Its position does not matter where its bytes are all in memory."""
    buffer = BytesIO(png())
    buffer.read()
    assert sent(embed([[buffer, buffer]])) == [
        [{"type": "image_base64", "image_base64": PNG[1]}] * 2
    ]


def test_equal_inputs_are_sent_once(runner, picture: Path) -> None:
    """Each has its own vector. The same Pillow image is recognised; pixels are not compared."""
    image = pytest.importorskip("PIL.Image").new("RGB", (30, 20))
    inputs = ["a", ["a"], png("red"), "b", picture, [png("red")], Path(picture), image, image]
    service = FakeService(always=served)
    found = runner.call(
        voyage_over(service), "multimodal_embed", [*inputs, ["a", "b"]], MODEL
    ).vectors

    assert sum(len(body["inputs"]) for body in service.bodies) == 6
    assert found[0] == found[1] != found[3]
    assert (found[2], found[4], found[7]) == (found[5], found[6], found[8])
    found[0][0] += 1
    assert found[0] != found[1]


# ── planning ──────────────────────────────────────────────────────────────────────────────────────


def test_a_hundred_small_images_take_one_request() -> None:
    assert len(embed(numbered([jpeg(size=2_000)] * 100)).bodies) == 1


def numbered(images: list[Any]) -> list[Any]:
    """Inputs that differ, and are therefore all sent."""
    return [[image, str(number)] for number, image in enumerate(images)]


@pytest.mark.parametrize(
    ("images", "model", "requests"),
    [
        # 2 million pixels count 3,571 tokens, so 89 to a request of 320K.
        ([jpeg(2_000, 1_000)] * 100, MODEL, 2),
        # A megabyte is 1.33 in base64, so 23 to a request of 32 MB.
        ([jpeg(size=1_000_000)] * 50, MODEL, -(-50 // 23)),
        (["word"] * 2_001, MODEL, 3),
    ],
)
def test_requests_are_planned_by_size(images: list[Any], model: str, requests: int) -> None:
    """By tokens, by bytes and by number: as few as the limits allow."""
    service = FakeService(always=served)
    voyage_over(service).multimodal_embed(numbered(images), model, truncation=True)
    assert len(service.bodies) == requests
    for attempt in service.attempts:
        assert len(attempt.request.body) <= MAX_BODY_BYTES + 100_000


def test_an_input_larger_than_a_request_goes_alone() -> None:
    large = [jpeg(size=13_000_000)] * 2
    service = embed(["a", large, "b"])
    assert [len(body["inputs"]) for body in service.bodies] == [1, 1, 1]


@given(st.lists(st.sampled_from(["text", "url", "file"]), max_size=12))
def test_urls_and_files_never_share_a_request_and_every_vector_finds_its_place(
    kinds: list[str],
) -> None:
    makers: dict[str, Callable[[int], Any]] = {
        "text": lambda number: f"words {number}",
        "url": lambda number: Image(f"https://example.com/{number}.png"),
        "file": lambda number: png((number, 0, 0), 4, 4),
    }
    inputs = [makers[kind](number) for number, kind in enumerate(kinds)]
    service = FakeService(always=served)
    found = voyage_over(service, concurrency=1).multimodal_embed(inputs, MODEL)

    by_content = {}
    for body in service.bodies:
        types = {s["type"] for item in body["inputs"] for s in item["content"]}
        assert not {"image_url", "image_base64"} <= types
        for item in body["inputs"]:
            by_content[json.dumps(item)] = vector_of(item)
    assert len(service.bodies) <= 2
    assert len(service.bodies) == len({*kinds} - {"text"} or {*kinds})
    assert len(found.embeddings) == len(inputs)
    for given_, vector in zip(inputs, found.embeddings, strict=True):
        if isinstance(given_, bytes):
            kind, value = "image_base64", data_url(given_)
        elif isinstance(given_, Image):
            kind, value = "image_url", given_.source
        else:
            kind, value = "text", given_
        item = {"content": [{"type": kind, kind: value}]}
        assert vector == vector_of(item)


@given(st.integers(1, 12), st.integers(1, 12))
def test_what_is_too_much_is_halved(count: int, fits: int) -> None:
    """Too many tokens, or too many bytes (413)."""

    def always(body: bytes) -> Response:
        number = len(json.loads(body)["inputs"])
        if number > 2 * fits:
            return failed(413, "too large")
        return failed(400, TOO_MANY) if number > fits else served(body)

    inputs = [f"text {number}" for number in range(count)]
    service = FakeService(always=always)
    found = voyage_over(service, concurrency=1).multimodal_embed(inputs, MODEL)
    assert found.embeddings == [
        vector_of({"content": [{"type": "text", "text": text}]}) for text in inputs
    ]


def test_an_input_that_is_too_much_alone_is_named(runner) -> None:
    def always(body: bytes) -> Response:
        return failed(400, TOO_MANY) if b"huge" in body else served(body)

    with pytest.raises(InvalidRequestError) as caught:
        runner.call(
            voyage_over(FakeService(always=always)),
            "multimodal_embed",
            ["a", "b", "huge", "c"],
            MODEL,
        )
    assert caught.value.indices == (2,)


def test_a_picture_that_the_service_rejects_is_named_by_its_position(runner) -> None:
    """The service counts the inputs of the request, and their segments."""
    refusal = (
        "Request to model 'voyage-multimodal-3' failed. The image resolution is not within the "
        "permitted range: [base64 image at input 1, index 0] - For more information on input "
        "limitations, please see the documentation"
    )
    service = FakeService(
        always=lambda body: failed(400, refusal) if b"image_base64" in body else served(body)
    )
    with pytest.raises(InvalidRequestError, match=r"That is your input 3\.") as caught:
        runner.call(
            voyage_over(service),
            "multimodal_embed",
            [Image(JPG_URL), png("red"), Image(JPG_URL + "?2"), png("blue")],
            MODEL,
        )
    assert caught.value.indices == (3,)


def test_the_pictures_of_a_finished_request_are_freed(picture: Path) -> None:
    """A job of many would take the memory of all of them, with a third more for base64."""
    alive: list[int] = []

    def counted(body: bytes) -> Response:
        service.attempts.clear()
        gc.collect()  # of other tests
        alive.append(sum(type(each) is EncodedInput for each in gc.get_objects()))
        return served(body)

    url = Image("https://example.com/cat.png")
    service = FakeService(always=counted)
    voyage_over(service, concurrency=1).multimodal_embed([[picture], [url]], MODEL)

    assert alive[1] == alive[0]


def test_files_are_read_when_their_request_is_made(tmp_path: Path) -> None:
    """Not before, so that a folder takes the memory of what is in flight."""
    paths = []
    for number in range(3):
        paths.append(tmp_path / f"{number}.jpg")
        paths[-1].write_bytes(jpeg(size=13_000_000))
    loaded: list[int] = []
    sent_before: list[int] = []
    service = FakeService(always=served)

    def load(media: Any, max_pixels: int | None) -> tuple[str, bytes]:
        loaded.append(paths.index(media.source))
        sent_before.append(len(service.attempts))
        return READER.load(media, max_pixels)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(voyage_rag.client.multimodal, "READER", MediaReader(READER.inspect, load))
        voyage_over(service, concurrency=1).multimodal_embed(paths, MODEL)
    assert loaded == [0, 1, 2]
    assert sent_before == [0, 1, 2]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_reading_and_encoding_never_hold_up_the_event_loop(
    backend: str, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are done in other threads."""
    import anyio

    threads = set()

    def noting(do: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any) -> Any:
            threads.add(threading.get_ident())
            return do(*args)

        return noted

    reader = MediaReader(noting(READER.inspect), noting(READER.load))
    monkeypatch.setattr(voyage_rag.client.multimodal, "READER", reader)
    encoding = SimpleNamespace(b64encode=noting(base64.b64encode))
    monkeypatch.setattr("voyage_rag.core.multimodal.base64", encoding)
    loops = set()

    async def run() -> None:
        loops.add(threading.get_ident())
        voyage = voyage_over(FakeService(always=served))
        await voyage.amultimodal_embed([[picture, "a"], picture], MODEL)
        await voyage.acount_usage([picture], MODEL)

    anyio.run(run, backend=backend)
    assert threads
    assert not threads & loops


# ── cache, failures, bills ────────────────────────────────────────────────────────────────────────


def test_a_second_run_with_a_cache_pays_for_what_changed_only(
    runner, tmp_path: Path, picture: Path
) -> None:
    """By content, not by name."""
    options = {"cache": tmp_path / "cache.sqlite"}
    inputs = [[picture, "a"], [picture, "b"], png()]
    first = runner.call(
        voyage_over(FakeService(always=served), **options), "multimodal_embed", inputs, MODEL
    )
    picture.write_bytes(png("blue"))
    (tmp_path / "copy").write_bytes(png("red"))
    service = FakeService(always=served)
    second = runner.call(
        voyage_over(service, **options),
        "multimodal_embed",
        [[picture, "a"], [tmp_path / "copy", "b"], png()],
        MODEL,
    )
    blue = {"type": "image_base64", "image_base64": data_url(png("blue"))}
    assert sent(service) == [[blue, {"type": "text", "text": "a"}]]
    assert second.embeddings[1:] == first.embeddings[1:]
    assert second.embeddings[0] != first.embeddings[0]


def test_finished_inputs_survive_a_failure(runner) -> None:
    def always(body: bytes) -> Response:
        return failed(500) if b"boom" in body else served(body)

    large = jpeg(size=15_000_000)
    voyage = voyage_over(FakeService(always=always), max_retries=0, concurrency=1)
    with pytest.raises(ServerError) as caught:
        runner.call(voyage, "multimodal_embed", [large, [large, "boom"], "boom"], MODEL)
    partial = caught.value.partial
    assert (list(partial.vectors), partial.missing) == ([0], (1, 2))
    assert partial.usage == voyage.usage


def test_the_cost_includes_pixels(runner) -> None:
    service = FakeService(always=served)
    voyage = voyage_over(service, concurrency=1)
    found = runner.call(
        voyage, "multimodal_embed", ["a", Image("https://example.com/a.png")], MODEL
    )
    counted = (found.text_tokens, found.image_pixels, found.video_pixels, found.total_tokens)
    assert counted == (1, 1_120, 0, 3)
    assert voyage.usage == found.usage


def test_what_it_will_cost_is_known_before(runner, picture: Path) -> None:
    service = FakeService()
    voyage = voyage_over(service)
    inputs = [
        ["words of a text", picture],
        jpeg(3_000, 2_000),
        {"content": [{"type": "video_base64", "video_base64": MP4[1]}]},
    ]
    usage = runner.call(voyage, "count_usage", inputs, MODEL)
    assert 3 <= usage["text_tokens"] <= 8
    assert usage["image_pixels"] == 50_000 + 2_000_000
    assert usage["video_pixels"] == 10 * 320 * 240
    assert usage["total_tokens"] == (usage["text_tokens"] + 2_050_000 // 560 + 768_000 // 1_120)
    assert runner.call(voyage, "count_usage", [], MODEL)["total_tokens"] == 0
    for unknown, said in (Image(JPG_URL), "a URL"), (mp4(frames=0)[:90], "a video whose index"):
        with pytest.raises(InvalidInputError, match=rf"inputs\[1\] contains {said}"):
            runner.call(voyage, "count_usage", ["a", unknown], MODEL)
    assert service.attempts == []


def test_an_empty_input_costs_nothing(runner) -> None:
    service = FakeService()
    assert runner.call(voyage_over(service), "multimodal_embed", [], MODEL).embeddings == []
    assert service.attempts == []


# ── refusals ──────────────────────────────────────────────────────────────────────────────────────

REFUSED: list[tuple[Any, str]] = [
    ("a", "inputs must be a list of inputs"),
    (b"a", "inputs must be a list of inputs"),
    ({"content": []}, "inputs must be a list of inputs"),
    (7, "inputs must be a list of inputs"),
    ([[]], "inputs[0] is empty"),
    (["a", ""], "inputs[1] is empty"),
    ([["a", ""]], "inputs[0][1] is empty"),
    ([["a", "\ud83d"]], "inputs[0][1] contains a lone surrogate"),
    ([["a", 5]], "inputs[0][1]: must be a text, or an image or video"),
    ([None], "inputs[0]: must be a text"),
    ([[Path("/nowhere/at/all.png")]], "inputs[0][0]: [Errno 2] No such file"),
    ([[Path("/")]], "inputs[0][0]: '/' is not a regular file"),
    ([b""], "inputs[0]: is empty"),
    ([b"no image at all"], "inputs[0]: is not a readable image"),
    ([Image(b"no image at all")], "inputs[0]: is not a readable image"),
    ([Video(png())], "inputs[0]: is not an MP4 video"),
    ([Image(mp4())], "inputs[0]: is a video where an image is expected"),
    ([png()[:20]], "inputs[0]: the image (image/png) is damaged or incomplete"),
    ([Image("data:image/png;base64,%%%")], "inputs[0]: is not a data URL with valid base64"),
    ([png_header(4_001, 4_000)], "inputs[0]: the image has 16,004,000 pixels"),
    ([["a", jpeg(size=20_000_001)]], "inputs[0][1]: the image has 20,000,001 bytes"),
    ([mp4(size=20_000_100)], "the video has 20,000,1"),
    ([[Image(JPG_URL), png()]], "inputs[0] mixes URLs with files"),
    (BytesIO(b"a\nb"), "inputs must be a list of inputs"),
    ([{"content": []}], "inputs[0] is empty"),
    ([{"text": "a"}], "inputs[0] must be a dictionary with only the key 'content'"),
    ([{"content": "a"}], "inputs[0] must be a dictionary with only the key 'content'"),
    ([{"content": ["a"]}], "inputs[0]['content'] must contain dictionaries"),
    (
        [{"content": [{"type": "sound", "sound": "a"}]}],
        "inputs[0]['content'][0] must have one of the types",
    ),
    (
        [{"content": [{"type": "text", "image_url": "a"}]}],
        "must contain only 'type' and a string under",
    ),
    ([{"content": [{"type": "text", "text": "a", "x": 1}]}], "must contain only"),
    ([{"content": [{"type": "text", "text": ""}]}], "inputs[0]['content'][0] is empty"),
    ([{"content": [{"type": "image_url", "image_url": "a.png"}]}], "must contain an http(s) URL"),
    ([{"content": [{"type": "image_base64", "image_base64": "aaaa"}]}], "must contain a data URL"),
    ([{"content": [{"type": "video_base64", "video_base64": JPG_URL}]}], "must contain a data URL"),
]


@pytest.mark.parametrize(("inputs", "said"), REFUSED)
def test_what_cannot_be_embedded_is_named_before_anything_is_sent(
    runner, inputs: Any, said: str
) -> None:
    service = FakeService()
    with pytest.raises(InvalidInputError) as caught:
        runner.call(voyage_over(service), "multimodal_embed", inputs, MODEL)
    assert said in str(caught.value)
    assert service.attempts == []


@pytest.mark.parametrize(
    "item", ["b\ud83d", ["b\ud83d"], {"content": [{"type": "text", "text": "b\ud83d"}]}]
)
def test_half_a_character_of_an_input_may_be_replaced(runner, item: Any) -> None:
    """As of a text, however the input is written."""
    service = FakeService(always=served)
    voyage = voyage_over(service)

    with pytest.raises(InvalidInputError, match="invalid_text='replace'"):
        runner.call(voyage, "multimodal_embed", [item], MODEL)
    runner.call(voyage, "multimodal_embed", [item], MODEL, invalid_text="replace")

    assert sent(service) == [[{"type": "text", "text": "b\ufffd"}]]


@pytest.mark.parametrize("item", [mp4(), Video("https://a.b/c")])
def test_a_model_without_video_is_not_sent_any(runner, item: Any) -> None:
    service = FakeService()
    with pytest.raises(
        InvalidInputError, match=r"inputs\[1\]: 'voyage-multimodal-3' does not support vid"
    ):
        runner.call(voyage_over(service), "multimodal_embed", ["a", item], "voyage-multimodal-3")
    assert service.attempts == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": "voyage-4"}, "'voyage-4' is a model for embed, not for multimodal_embed"),
        ({"input_type": "image"}, "input_type must be one of"),
        ({"truncation": None}, "truncation must be True or False"),
        ({"downscale": 2_000_000}, "downscale must be True or False"),
        ({"invalid_text": "drop"}, "invalid_text must be one of 'error', 'replace'"),
        ({"model": "voyage-multimodal-3", "output_dimension": 512}, "output_dimension=512"),
        ({"model": "voyage-multimodal-3", "output_dtype": "int8"}, "output_dtype='int8'"),
    ],
)
def test_options_are_checked(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        voyage_over(FakeService()).multimodal_embed(["a"], **{"model": MODEL} | options)
    assert said in str(caught.value)


def test_a_file_that_is_gone_when_its_turn_comes_is_named(runner, picture: Path) -> None:
    """Looked at before, read later."""

    def load(media: Any, max_pixels: int | None) -> tuple[str, bytes]:
        picture.unlink(missing_ok=True)
        return READER.load(media, max_pixels)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(voyage_rag.client.multimodal, "READER", MediaReader(READER.inspect, load))
        with pytest.raises(InvalidInputError, match=r"inputs\[1\]\[1\]: .*No such file") as caught:
            runner.call(
                voyage_over(FakeService(always=served)),
                "multimodal_embed",
                ["a", ["b", picture]],
                MODEL,
            )
    assert caught.value.indices == (1,)


def test_requests_in_flight_together_are_paced_and_retried_as_for_texts(runner) -> None:
    """A rate limit is waited out, a failure repeated, and every input keeps its place."""
    clock = FakeClock()
    service = FakeService(failed(429), failed(503), always=served)
    voyage = voyage_over(service, clock, concurrency=4)
    texts = [f"{number} " * 150_000 for number in range(8)]

    found = runner.call(voyage, "multimodal_embed", texts, MODEL)

    assert found.embeddings == [
        vector_of({"content": [{"type": "text", "text": text}]}) for text in texts
    ]
    assert len(service.attempts) == found.usage.requests + 2 > 4
    assert sum(clock.sleeps) > 0.3
