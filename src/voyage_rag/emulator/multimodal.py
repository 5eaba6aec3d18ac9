"""POST /v1/multimodalembeddings. Source: "Multimodal embeddings" in Voyage's API reference.

The vector of an image is that of a caption of its colours and shape; the vector of an image or
video at a URL is that of its file name, because nothing is ever fetched. All share one space.
"""

import base64
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from voyage_rag.emulator import arguments as args
from voyage_rag.emulator import model_limits, vectors
from voyage_rag.emulator.embeddings import embedding_item, make_vectors
from voyage_rag.emulator.images import TooManyPixelsError, describe, read_image
from voyage_rag.emulator.model_limits import MULTIMODAL_MODELS
from voyage_rag.emulator.responses import Payload
from voyage_rag.emulator.tokens import EmulatedTokenizer
from voyage_rag.emulator.video_size import measure_video

IMAGE_PIXELS_PER_TOKEN, VIDEO_PIXELS_PER_TOKEN = 560, 1120
MIN_PIXELS, MAX_PIXELS = 50_000, 2_000_000
"""Range to which the pixels of an image or a frame are clamped before they are counted."""

_MAX_FILE_BYTES = 20_000_000
_REMOTE_VIDEO_FRAMES = 2  # assumed for a video behind a URL
_IMAGE_URL = re.compile(r"data:image/(?:png|jpeg|webp|gif);base64,", re.IGNORECASE)
_VIDEO_URL = re.compile(r"data:video/mp4;base64,", re.IGNORECASE)


class Segment(NamedTuple):
    """One text, image or video of an input."""

    words: str
    """Its text, caption or file name, from which the vector is computed."""
    text_tokens: int = 0
    image_pixels: int = 0
    video_pixels: int = 0

    @property
    def tokens(self) -> int:
        """Number of tokens of the model's context that it uses."""
        images = self.image_pixels // IMAGE_PIXELS_PER_TOKEN
        return self.text_tokens + images + self.video_pixels // VIDEO_PIXELS_PER_TOKEN


def _check_inputs(value: Any) -> str | None:
    """Accept objects with a list of segments each, every segment with the value of its type."""
    if not isinstance(value, list) or not value:
        return args.EMPTY if value == [] else _WRONG_INPUTS
    segments: list[Any] = []
    for item in value:
        if not isinstance(item, dict) or not isinstance(item.get("content"), list):
            return _WRONG_INPUTS
        if not item["content"]:
            return args.EMPTY
        segments += item["content"]
    clauses = (_check_segment(segment) for segment in segments)
    if clause := next(filter(None, clauses), None):
        return clause
    if {"url", "base64"} <= {segment["type"].partition("_")[2] for segment in segments}:
        return "Error for argument '{}': Value error, URLs and base64 cannot be mixed in a request"
    return None


_WRONG_INPUTS = "Error for argument '{}': Input should be a list of objects with a list `content`"
_TYPES = ("text", "image_url", "image_base64", "video_url", "video_base64")


def _check_segment(segment: Any) -> str | None:
    kind = segment.get("type") if isinstance(segment, dict) else None
    if kind not in _TYPES:
        return f"Error for argument '{{}}': Value error, A segment's type must be one of {_TYPES}"
    if set(segment) != {"type", kind} or not isinstance(segment[kind], str):
        return f"Error for argument '{{}}': Value error, A {kind} segment must contain only {kind}"
    return None if segment[kind] else args.EMPTY


def _read(
    content: list[dict[str, str]], index: int, model: str, tokens: EmulatedTokenizer
) -> Iterator[Segment]:
    for place, segment in enumerate(content):
        try:
            yield _read_segment(segment, tokens)
        except TooManyPixelsError:
            model_limits.reject(
                model,
                "The image resolution is not within the permitted range: [base64 image at input "
                f"{index}, index {place}] - For more information on input limitations, please see "
                "the documentation: https://docs.voyageai.com/reference/multimodal-embeddings-api",
            )


def _read_segment(segment: dict[str, str], tokens: EmulatedTokenizer) -> Segment:
    kind = segment["type"]
    value = segment[kind]
    try:
        match kind:
            case "text":
                return Segment(value, text_tokens=tokens.count(value))
            case "image_url":
                return Segment(_file_name(value), image_pixels=MIN_PIXELS)
            case "video_url":
                return Segment(_file_name(value), video_pixels=_REMOTE_VIDEO_FRAMES * MIN_PIXELS)
            case "image_base64":
                image = read_image(_decode(value, _IMAGE_URL))
                return Segment(describe(image.pixels), image_pixels=_clamp(image.pixel_count))
            case _:
                size = measure_video(_decode(value, _VIDEO_URL))
                pixels = size.frames * _clamp(size.width * size.height)
                return Segment("film", video_pixels=pixels)
    except ValueError as error:
        args.reject_arguments([f"Error for argument 'inputs': Value error, {error}"])


def _file_name(url: str) -> str:
    return PurePosixPath(unquote(urlsplit(url).path)).stem


def _decode(url: str, prefix: re.Pattern[str]) -> bytes:
    start = prefix.match(url)
    if start is None:
        raise ValueError(f"a data URL must begin with {prefix.pattern}")
    data = base64.b64decode(url[start.end() :], validate=True)
    if len(data) > _MAX_FILE_BYTES:
        raise ValueError(f"a file of more than {_MAX_FILE_BYTES} bytes")
    return data


def _clamp(pixels: int) -> int:
    return min(max(pixels, MIN_PIXELS), MAX_PIXELS)


def _fit(
    segments: Iterable[Segment],
    index: int,
    model: str,
    tokens: EmulatedTokenizer,
    *,
    truncation: bool,
) -> list[Segment]:
    """Return the segments that fit the context: text is cut, an image is whole or omitted."""
    kept: list[Segment] = []
    context = limit = MULTIMODAL_MODELS[model].context
    for segment in segments:
        if segment.tokens <= limit:
            kept.append(segment)
            limit -= segment.tokens
            continue
        if not truncation:
            model_limits.reject_length(model, index, context)
        if segment.text_tokens and limit:
            words = tokens.cut(segment.words, limit)
            kept.append(Segment(words, text_tokens=tokens.count(words)))
        break
    return kept


def _accept(arguments: args.ArgumentValues, tokens: EmulatedTokenizer) -> args.AcceptedRequest:
    name, truncation = arguments["model"], arguments["truncation"]
    model = model_limits.find_model(name, MULTIMODAL_MODELS)
    model_limits.check_output(arguments, model)
    model_limits.check_input_count(name, len(arguments["inputs"]))
    contents = [item["content"] for item in arguments["inputs"]]
    if not model.is_flexible and any(
        segment["type"].startswith("video") for content in contents for segment in content
    ):
        model_limits.reject(name, "The model does not support video inputs.")
    inputs = [
        _fit(
            _read(content, index, name, tokens),
            index,
            name,
            tokens,
            truncation=truncation,
        )
        for index, content in enumerate(contents)
    ]
    usage = _add_up(inputs, arguments["input_type"])
    model_limits.check_request_tokens(name, usage["total_tokens"], model.batch)
    as_base64 = (arguments["encoding_format"] or arguments["output_encoding"]) is not None

    def compute() -> Payload:
        texts = ["\n".join(segment.words for segment in segments) for segments in inputs]
        sketches = vectors.sketch(texts)
        if model.is_flexible:
            rows = make_vectors(sketches, texts, arguments, model, as_base64=as_base64)
        else:
            # As recorded: the numbers of the older model are bfloat16, so the length of a vector is
            # not exactly 1, and JSON numbers have up to twelve decimals.
            rows = vectors.to_bfloat16(
                make_vectors(sketches, texts, arguments, model, as_base64=True)
            )
        return {
            "object": "list",
            "data": [embedding_item(index, row) for index, row in enumerate(rows)],
            "model": name,
            "usage": usage,
        }

    return args.AcceptedRequest(name, usage["total_tokens"], as_base64, compute)


def _add_up(inputs: Sequence[Sequence[Segment]], input_type: str | None) -> dict[str, int]:
    """Return the usage of all inputs, in the documented order."""
    text = sum(
        max(0, sum(segment.text_tokens for segment in segments) - (input_type is not None))
        for segments in inputs
    )
    all_segments = list(chain(*inputs))
    media = sum(segment.tokens - segment.text_tokens for segment in all_segments)
    return {
        "text_tokens": text,
        "image_pixels": sum(segment.image_pixels for segment in all_segments),
        "video_pixels": sum(segment.video_pixels for segment in all_segments),
        "total_tokens": text + media,
    }


ENDPOINT = args.EmulatedEndpoint(
    "/v1/multimodalembeddings",
    (
        args.Argument("inputs", _check_inputs, required=True),
        args.Argument("model", args.text, required=True),
        args.INPUT_TYPE,
        args.TRUNCATION,
        args.OUTPUT_DIMENSION,
        args.OUTPUT_DTYPE,
        args.ENCODING_FORMAT,  # what the vendor's clients send
        args.ENCODING_FORMAT._replace(name="output_encoding"),  # what its documentation names
    ),
    _accept,
)
