"""Embed texts, images and videos, interleaved: check, inspect, plan by size, load, request, join.

Media are inspected before anything is sent, and read when their request is made, so that a folder
of pictures only needs the memory of the requests in flight. URLs and files cannot share a request,
so they are planned separately.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import get_args

from voyage_rag.core import media, validation
from voyage_rag.core.cache_keys import from_bytes, to_bytes
from voyage_rag.core.call import EndpointCall, fetch
from voyage_rag.core.contents import (
    Content,
    ContentParser,
    Delivery,
    Segment,
    TextSegment,
    UrlSegment,
    naming,
)
from voyage_rag.core.context import CallContext, KnownTokens, TokenRatio, estimate_tokens
from voyage_rag.core.flow import Flow, Operation, PartialResults, distinct, offload
from voyage_rag.core.media import Media, MediaReader
from voyage_rag.core.options import EmbedOptions
from voyage_rag.core.planning import slices
from voyage_rag.core.vectors import check_lengths
from voyage_rag.core.wire import requests, responses
from voyage_rag.errors import InvalidInputError
from voyage_rag.hosts.messages import Request
from voyage_rag.models import Model, OutputDtype
from voyage_rag.partial import PartialEmbeddings
from voyage_rag.types import InputType, InvalidText, MultimodalEmbeddingsObject, Vector, Vectors
from voyage_rag.usage import Usage

MAX_BODY_BYTES = 32_000_000
"""Maximum bytes of a request, with media in base64. The service documents no limit; a single input
may be larger, for example with an image of 20 MB."""

DIGEST_BYTES = 20


@dataclass(frozen=True, slots=True)
class EncodedInput:
    """An input as a part of the request body. Its key is its position in the caller's list.

    The digest of the body is for the cache; it is empty without a cache.
    """

    key: int
    estimated_tokens: float
    body: bytes
    digest: bytes


class MultimodalCall(EndpointCall[EncodedInput, "Vector"]):
    """One call to embed texts, images and videos."""

    is_spread = False

    def __init__(
        self,
        context: CallContext,
        model: Model,
        options: EmbedOptions,
        parser: ContentParser,
    ) -> None:
        super().__init__(context, model, options, scope=("content",))
        self.parser = parser
        self.ratio: TokenRatio = KnownTokens()
        self.max_size: int = min(MAX_BODY_BYTES, context.host.request_bytes or MAX_BODY_BYTES)

    def request(self, items: Sequence[EncodedInput]) -> Request:
        """Return the request for these inputs."""
        contents = [item.body for item in items]
        return requests.multimodal_request(self.context.host, contents, self.options)

    def read(
        self, body: responses.Body, items: Sequence[EncodedInput]
    ) -> responses.Decoded[Vector]:
        """Return one vector per input."""
        answer = responses.multimodal_answer(body, len(items), self.options)
        self.warn_if_zero(answer.values)
        return answer

    def cache_key(self, item: EncodedInput) -> bytes:
        """Return the key of its content. Content behind a URL is represented by the URL."""
        return self.cache_keys.of_content(item.digest)

    def to_bytes(self, value: Vector) -> bytes:
        """Return its numbers."""
        return to_bytes(value)

    def from_bytes(self, stored: bytes) -> Vector | None:
        """Return the vector of these numbers."""
        return from_bytes(stored, self.options.dtype, self.options.expected_length)

    def content_flows(
        self, contents: Sequence[Content], results: PartialResults[Vector]
    ) -> Iterator[Flow[None]]:
        """Yield one flow per request, each as full as the limits allow."""
        groups: dict[Delivery, list[Content]] = {"url": [], "base64": []}
        default: Delivery = "url" if {c.delivery for c in contents} <= {"url", None} else "base64"
        for content in contents:
            groups[content.delivery or default].append(content)
        for group in groups.values():
            for slice_ in slices(group, partial(self.limits, None), lambda content: content.size):
                yield self._recorded(slice_, results)

    def _recorded(self, contents: Sequence[Content], results: PartialResults[Vector]) -> Flow[None]:
        loaded = yield from offload(partial(self._loaded, contents))
        yield from fetch(self, loaded, results)

    def _loaded(self, contents: Sequence[Content]) -> list[EncodedInput]:
        """Read and encode the media of a request. May take a while."""
        loaded = []
        for content in contents:
            body = requests.multimodal_content(
                [
                    self._written(segment, content.position, number)
                    for number, segment in enumerate(content.segments)
                ]
            )
            digest = b""
            if self.context.has_cache:
                digest = hashlib.blake2b(body, digest_size=DIGEST_BYTES).digest()
            loaded.append(EncodedInput(content.position, content.estimated_tokens, body, digest))
        return loaded

    def _written(self, segment: Segment, position: int, number: int) -> tuple[str, str | bytes]:
        if isinstance(segment, TextSegment):
            return "text", segment.text
        if isinstance(segment, UrlSegment):
            return f"{segment.kind}_url", segment.url

        def load() -> bytes:
            mime, data = self.parser.reader.load(segment, self.parser.max_pixels)
            media.check_size(segment.kind, len(data))
            return b"data:%b;base64,%b" % (mime.encode(), base64.b64encode(data))

        return f"{segment.kind}_base64", naming(f"inputs[{position}][{number}]", position, load)


def prepare(
    context: CallContext,
    reader: MediaReader,
    model: str,
    input_type: InputType | None = None,
    truncation: bool = True,
    output_dtype: OutputDtype | None = None,
    output_dimension: int | None = None,
    *,
    downscale: bool = False,
    invalid_text: InvalidText = "error",
) -> MultimodalCall:
    """Check a call, except its inputs, or raise an `InvalidInputError`."""
    row, options = context.options(
        "multimodal", model, input_type, truncation, output_dimension, output_dtype
    )
    validation.check_flag("downscale", downscale)
    validation.check_choice("invalid_text", invalid_text, get_args(InvalidText))
    count_tokens = context.count_tokens or estimate_tokens
    max_pixels = media.MAX_BILLED_PIXELS if downscale else None
    parser = ContentParser(
        row, reader, max_pixels, count_tokens, context.warn_media_name, invalid_text
    )
    return MultimodalCall(context, row, options, parser)


def embed(call: MultimodalCall, inputs: object) -> Operation[object, MultimodalEmbeddingsObject]:
    """Return the operation that embeds inputs, in order. Inspects all media; may take a while.

    Raises:
        InvalidInputError: An input cannot be embedded. Nothing was sent.
    """
    contents = call.parser.parse(inputs)
    count = len(contents)
    first, repeats = distinct(content.key for content in contents)
    contents = [contents[n] for n in first.values()]
    context = call.model.context
    omitted = [content.position for content in contents if content.media_tokens > context]
    if omitted and call.options.truncation:
        call.context.warn_omitted_media(omitted)
    if len(contents) < count:
        call.advance(count - len(contents))
    results: PartialResults[Vector] = PartialResults(
        len(contents), sum(content.estimated_tokens for content in contents), repeats=repeats
    )

    def join(_: object) -> MultimodalEmbeddingsObject:
        rows = [results.values[n] for n in range(count)]
        check_lengths(set(map(len, rows)))
        vectors = Vectors(rows, call.options.dtype, {*repeats, *repeats.values()})
        return MultimodalEmbeddingsObject(vectors, results.usage, call.model.name)

    def partial_result() -> PartialEmbeddings:
        found = results.values
        found = {**found, **{n: found[n][:] for n in repeats.values() if n in found}}
        return PartialEmbeddings.of(
            found, count, results.usage, call.model.name, call.options.dtype
        )

    flows = call.content_flows(contents, results)
    return Operation(flows, join, partial_result, call.info("multimodal_embed", count))


def count(call: MultimodalCall, inputs: object) -> Usage:
    """Return the usage of inputs: exact pixels, and a conservative estimate for text.

    Raises:
        InvalidInputError: An input cannot be embedded, or its size is unknown.
    """
    text, media_tokens, pixels = 0.0, 0, {"image": 0, "video": 0}
    for content in call.parser.parse(inputs):
        media_tokens += content.media_tokens
        for segment in content.segments:
            if isinstance(segment, TextSegment):
                text += segment.estimated_tokens
                continue
            counted = segment.billed_pixels if isinstance(segment, Media) else None
            if counted is None:
                problem = (
                    "a URL, whose content is not downloaded: pass a file"
                    if isinstance(segment, UrlSegment)
                    else "a video whose index is missing, incomplete or divided into fragments"
                )
                raise InvalidInputError(
                    f"inputs[{content.position}] contains {problem}; its size cannot be determined",
                    indices=(content.position,),
                )
            if isinstance(segment, Media):
                pixels[segment.kind] += counted
    ratio = 1.0 if call.context.count_tokens else call.budget.ratio.tokens(text) / max(text, 1.0)
    text_tokens = round(text * ratio) if text else 0
    return Usage(text_tokens + media_tokens, 0, text_tokens, pixels["image"], pixels["video"])
