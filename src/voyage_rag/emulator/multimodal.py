"""POST /v1/multimodalembeddings. Source: "Multimodal embeddings" in Voyage's API reference.

Text goes into a vector as it is, a picture as a caption of its colours and shape, a picture behind
a URL and any film as the words of its file's name: nothing is ever fetched. All share one space.
"""

import base64
import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from voyage_rag.emulator import lexical, rules, tokens
from voyage_rag.emulator.captions import describe
from voyage_rag.emulator.embeddings import check_output, embedding_item, shape_vectors
from voyage_rag.emulator.limits import LONGEST_BATCH, MULTIMODAL_MODELS, EmbeddingModel
from voyage_rag.emulator.pictures import Size, measure_film, measure_picture
from voyage_rag.emulator.pixels import read_pixels
from voyage_rag.emulator.rules import Argument, Arguments
from voyage_rag.emulator.vectors import to_bfloat16
from voyage_rag.emulator.work import Endpoint, Payload, Work

PIXELS_PER_TOKEN = {"image": 560, "video": 1120}
FEWEST_PIXELS, MOST_PIXELS = 50_000, 2_000_000
"""What a picture or a frame counts as at least and at most."""

_LARGEST_PICTURE = 16_000_000  # pixels
_LARGEST_FILE = 20_000_000  # bytes
_FRAMES_UNSEEN = 2  # of a film behind a URL
_PICTURE_URL = re.compile(r"data:image/(?:png|jpeg|webp|gif);base64,", re.IGNORECASE)
_FILM_URL = re.compile(r"data:video/mp4;base64,", re.IGNORECASE)


class Segment(NamedTuple):
    """One piece of an input."""

    words: str
    """What it adds to the vector."""
    text_tokens: int = 0
    image_pixels: int = 0
    video_pixels: int = 0

    @property
    def tokens(self) -> int:
        """What it takes of the context."""
        images = self.image_pixels // PIXELS_PER_TOKEN["image"]
        return self.text_tokens + images + self.video_pixels // PIXELS_PER_TOKEN["video"]


def _check_inputs(value: Any) -> str | None:
    """Objects with a list of segments each, every segment with the value its type names."""
    if not isinstance(value, list) or not value:
        return rules.EMPTY if value == [] else _NEITHER
    segments: list[Any] = []
    for item in value:
        if not isinstance(item, dict) or not isinstance(item.get("content"), list):
            return _NEITHER
        if not item["content"]:
            return rules.EMPTY
        segments += item["content"]
    clauses = (_check_segment(segment) for segment in segments)
    return next(filter(None, clauses), None) or _check_kinds(segments)


_NEITHER = "Error for argument '{}': Input should be a list of objects with a list `content`"
_TYPES = ("text", "image_url", "image_base64", "video_url", "video_base64")


def _check_segment(segment: Any) -> str | None:
    kind = segment.get("type") if isinstance(segment, dict) else None
    if kind not in _TYPES:
        return f"Error for argument '{{}}': Value error, A segment's type must be one of {_TYPES}"
    if set(segment) != {"type", kind} or not isinstance(segment[kind], str):
        return f"Error for argument '{{}}': Value error, A {kind} segment must hold {kind} alone"
    return None if segment[kind] else rules.EMPTY


def _check_kinds(segments: Iterable[dict[str, str]]) -> str | None:
    endings = {segment["type"].partition("_")[2] for segment in segments}
    if {"url", "base64"} <= endings:
        return "Error for argument '{}': Value error, URLs and base64 cannot be mixed in a request"
    return None


def _read_segment(segment: dict[str, str]) -> Segment:
    kind = segment["type"]
    value = segment[kind]
    try:
        match kind:
            case "text":
                return Segment(value, text_tokens=tokens.count(value))
            case "image_url":
                return Segment(_name_file(value), image_pixels=FEWEST_PIXELS)
            case "video_url":
                return Segment(_name_file(value), video_pixels=_FRAMES_UNSEEN * FEWEST_PIXELS)
            case "image_base64":
                return _read_picture(value)
            case _:
                return _read_film(value)
    except ValueError as error:
        rules.refuse_arguments([f"Error for argument 'inputs': Value error, {error}"])


def _read_picture(url: str) -> Segment:
    data = _decode(url, _PICTURE_URL)
    size = measure_picture(data)
    if size.width * size.height > _LARGEST_PICTURE:
        raise ValueError(f"a picture of more than {_LARGEST_PICTURE} pixels")
    return Segment(describe(read_pixels(data)), image_pixels=_count_pixels(size))


def _read_film(url: str) -> Segment:
    return Segment("film", video_pixels=_count_pixels(measure_film(_decode(url, _FILM_URL))))


def _name_file(url: str) -> str:
    return PurePosixPath(unquote(urlsplit(url).path)).stem


def _decode(url: str, form: re.Pattern[str]) -> bytes:
    start = form.match(url)
    if start is None:
        raise ValueError(f"a data URL must begin with {form.pattern}")
    data = base64.b64decode(url[start.end() :], validate=True)
    if len(data) > _LARGEST_FILE:
        raise ValueError(f"a file of more than {_LARGEST_FILE} bytes")
    return data


def _count_pixels(size: Size) -> int:
    return size.frames * min(max(size.width * size.height, FEWEST_PIXELS), MOST_PIXELS)


def _fit(
    segments: Iterable[Segment], index: int, model: str, room: int, *, cut: bool
) -> list[Segment]:
    """Return what the context holds: text is cut, a picture kept whole or left out."""
    kept: list[Segment] = []
    for segment in segments:
        if segment.tokens <= room:
            kept.append(segment)
            room -= segment.tokens
            continue
        if not cut:
            rules.refuse_length(model, index, MULTIMODAL_MODELS[model].context)
        if segment.text_tokens and room:
            words = tokens.cut(segment.words, room)
            kept.append(Segment(words, text_tokens=tokens.count(words)))
        break
    return kept


def _prepare(arguments: Arguments) -> Work:
    name = arguments["model"]
    model = rules.find_model(name, MULTIMODAL_MODELS, list(MULTIMODAL_MODELS))
    check_output(arguments, model)
    rules.check_batch_size(name, len(arguments["inputs"]), LONGEST_BATCH)
    contents = [item["content"] for item in arguments["inputs"]]
    if not model.flexible and any(
        segment["type"].startswith("video") for content in contents for segment in content
    ):
        rules.refuse(name, "The model does not support video inputs.")
    inputs = [
        _fit(map(_read_segment, content), index, name, model.context, cut=arguments["truncation"])
        for index, content in enumerate(contents)
    ]
    usage = _add_up(inputs, arguments["input_type"])
    rules.check_batch_tokens(name, usage["total_tokens"], model.batch)
    as_base64 = (arguments["encoding_format"] or arguments["output_encoding"]) is not None

    def produce() -> Payload:
        texts = ["\n".join(segment.words for segment in segments) for segments in inputs]
        vectors = _shape(texts, arguments, model, as_base64=as_base64)
        return {
            "object": "list",
            "data": [embedding_item(index, vector) for index, vector in enumerate(vectors)],
            "model": name,
            "usage": usage,
        }

    return Work(name, usage["total_tokens"], as_base64, produce)


def _add_up(inputs: Iterable[Iterable[Segment]], input_type: str | None) -> dict[str, int]:
    """Return the usage of all inputs, in the documented order."""
    text = images = videos = 0
    for segments in map(list, inputs):
        words = sum(segment.text_tokens for segment in segments)
        text += max(0, words - (input_type is not None))
        images += sum(segment.image_pixels for segment in segments)
        videos += sum(segment.video_pixels for segment in segments)
    total = text + images // PIXELS_PER_TOKEN["image"] + videos // PIXELS_PER_TOKEN["video"]
    return {
        "text_tokens": text,
        "image_pixels": images,
        "video_pixels": videos,
        "total_tokens": total,
    }


def _shape(
    texts: list[str], arguments: Arguments, model: EmbeddingModel, *, as_base64: bool
) -> Any:
    rows = lexical.sketch(texts)
    if model.flexible:
        return shape_vectors(rows, arguments, model, as_base64=as_base64)
    # As recorded: the older model's numbers are bfloat16, so its vectors are not quite of length 1,
    # and they are written as they are, with up to twelve decimals.
    return to_bfloat16(shape_vectors(rows, arguments, model, as_base64=True))


ENDPOINT = Endpoint(
    "/v1/multimodalembeddings",
    (
        Argument("inputs", _check_inputs, required=True),
        Argument("model", rules.text, required=True),
        rules.INPUT_TYPE,
        rules.TRUNCATION,
        rules.OUTPUT_DIMENSION,
        rules.OUTPUT_DTYPE,
        rules.ENCODING_FORMAT,  # what the vendor's clients send
        rules.ENCODING_FORMAT._replace(name="output_encoding"),  # what its documentation names
    ),
    _prepare,
)
