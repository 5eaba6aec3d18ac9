"""Embedding texts, images and videos, interleaved: check, look, plan by size, load, ask, join.

Media are looked at before anything is sent, and read when their request is made, so that a folder
of pictures takes the memory of the requests in flight. URLs and files cannot share a request, so
inputs of either are planned apart.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from voyage_rag.core import media, validation, wire
from voyage_rag.core.cache_keys import CacheKeys, from_bytes, to_bytes
from voyage_rag.core.call import EndpointCall, PartialResults, sliced
from voyage_rag.core.contents import (
    Content,
    ContentParser,
    Delivery,
    Segment,
    TextSegment,
    UrlSegment,
    naming,
)
from voyage_rag.core.flow import Flow, Operation, offload
from voyage_rag.core.media import Media, MediaReader
from voyage_rag.core.planning import Limits, pack
from voyage_rag.core.token_estimate import estimate_tokens
from voyage_rag.errors import InvalidInputError
from voyage_rag.hosts.messages import Request
from voyage_rag.types import (
    MultimodalEmbeddingsObject,
    PartialEmbeddings,
    Usage,
    Vectors,
)

if TYPE_CHECKING:
    from voyage_rag.core.context import CallContext
    from voyage_rag.core.wire import Embedded
    from voyage_rag.models import OutputDtype
    from voyage_rag.types import InputType, Vector

PATH = "/multimodalembeddings"

MOST_BODY_BYTES = 32_000_000
"""Bytes of one request, media in base64. The service names no limit; a single input, which may hold
an image of 20 MB, is sent whatever it comes to."""

DIGEST_BYTES = 20

T = TypeVar("T")
Found = list[tuple["Loaded", "Vector"]]


@dataclass(frozen=True, slots=True)
class Loaded:
    """An input as it is sent.

    Attributes:
        position: In the caller's list.
        weight: Its tokens.
        body: Its part of the request.
        digest: Of the body, for the cache; empty without one.
    """

    position: int
    estimated_tokens: float
    body: bytes
    digest: bytes

    @property
    def key_of(self) -> int:
        """Its position."""
        return self.position


@dataclass(frozen=True, slots=True)
class Multimodal(EndpointCall[Loaded, "Vector"]):
    """One call: what holds for all its slices.

    Attributes:
        keys: Of the cache.
        parser: Of its inputs.
    """

    keys: CacheKeys
    parser: ContentParser

    def limits(self, count: int | None) -> Limits:  # noqa: ARG002 - large inputs are not spread
        """As much as a request may hold."""
        tokens = self.row.request_tokens
        if per_minute := self.budget.limiter.limits.tokens_per_minute:
            tokens = min(tokens, int(per_minute))
        size = min(MOST_BODY_BYTES, self.context.host.request_bytes or MOST_BODY_BYTES)
        return Limits(self.row.request_inputs, tokens, size)

    def tokens(self, estimated_tokens: float) -> int:
        """What was weighed is tokens already: those of media are known, not learnt."""
        return max(1, round(estimated_tokens))

    def learn(self, items: Sequence[Loaded], answer: Embedded[Vector]) -> None:
        """Nothing."""

    def request(self, items: Sequence[Loaded]) -> Request:
        """What asks for these inputs."""
        contents = [item.body for item in items]
        return wire.multimodal_request(self.context.host, contents, self.options)

    def read(self, body: wire.Body, items: Sequence[Loaded]) -> Embedded[Vector]:
        """One vector per input."""
        return wire.multimodal_answer(body, len(items), self.options)

    def key(self, item: Loaded) -> bytes:
        """Of all its content; what is behind a URL counts as its address."""
        return self.keys.of_content(item.digest)

    def to_bytes(self, value: Vector) -> bytes:
        """Its numbers."""
        return to_bytes(value)

    def from_bytes(self, stored: bytes) -> Vector:
        """The vector of these numbers."""
        return from_bytes(stored, self.options.dtype)

    # ── requests ──────────────────────────────────────────────────────────────────────────────────

    def flows(
        self, contents: Sequence[Content], partial_results: PartialResults[Vector]
    ) -> Iterator[Flow[Found]]:
        """One flow per request, each as full as the limits allow."""
        groups: dict[Delivery, list[Content]] = {"url": [], "base64": []}
        default: Delivery = "url" if {c.delivery for c in contents} <= {"url", None} else "base64"
        for content in contents:
            groups[content.delivery or default].append(content)
        slices = (
            pack(
                ((content, content.estimated_tokens) for content in group),
                partial(self.limits, None),
                lambda content: content.size,
            )
            for group in groups.values()
        )
        for slice_ in chain.from_iterable(slices):
            yield self._embedding([content for content, _ in slice_], partial_results)

    def _embedding(
        self, contents: Sequence[Content], partial_results: PartialResults[Vector]
    ) -> Flow[Found]:
        loaded = yield from offload(partial(self._loaded, contents))
        return (yield from sliced(self, loaded, partial_results))

    def _loaded(self, contents: Sequence[Content]) -> list[Loaded]:
        """Read and encode the media of a request. Takes a while."""
        loaded = []
        for content in contents:
            body = wire.multimodal_content(
                [
                    self._written(segment, content.position, number)
                    for number, segment in enumerate(content.segments)
                ]
            )
            digest = b""
            if self.context.caching:
                digest = hashlib.blake2b(body, digest_size=DIGEST_BYTES).digest()
            loaded.append(Loaded(content.position, content.estimated_tokens, body, digest))
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
    model: str,
    input_type: InputType | None,
    output_dtype: OutputDtype | None,
    output_dimension: int | None,
    reader: MediaReader,
    *,
    truncation: bool,
    downscale: bool,
) -> Multimodal:
    """Check everything about a call but the inputs.

    Raises:
        InvalidInputError: An argument cannot work.
    """
    row = validation.check_model(model, "multimodal")
    validation.check_input_type(input_type)
    validation.check_flag("truncation", truncation)
    validation.check_flag("downscale", downscale)
    options = wire.EmbedOptions(
        model=row.name,
        input_type=input_type,
        truncation=truncation,
        output_dimension=output_dimension,
        output_dtype=validation.check_output(row, output_dimension, output_dtype),
        expected_dimension=output_dimension or row.default_dimension,
    )
    context.host.require(PATH, options.fields)
    budget = context.budget(model)
    keys = CacheKeys(context.host.cache_scope, options, "content")
    max_pixels = media.MAX_BILLED_PIXELS if downscale else None
    parser = ContentParser(
        row, reader, max_pixels, context.count_tokens or estimate_tokens, context.media_named
    )
    return Multimodal(context, options, row, budget, budget.ratio, keys, parser)


def embed(call: Multimodal, inputs: object) -> Operation[Found, MultimodalEmbeddingsObject]:
    """Vectors of inputs, in their order. Looks at every medium, which may take a while.

    Raises:
        InvalidInputError: An input cannot be embedded; nothing was sent.
    """
    contents = call.parser.parse(inputs)
    partial_results: PartialResults[Vector] = PartialResults(
        len(contents), sum(c.estimated_tokens for c in contents)
    )

    def join(parts: Sequence[Found]) -> MultimodalEmbeddingsObject:
        found = {loaded.position: vector for part in parts for loaded, vector in part}
        rows = [found[position] for position in range(len(contents))]
        vectors = Vectors(rows, call.options.dtype)
        return MultimodalEmbeddingsObject(vectors, partial_results.usage, call.row.name)

    def rescue() -> PartialEmbeddings:
        places = range(len(contents))
        found = {i: partial_results.values[i] for i in places if i in partial_results.values}
        missing = tuple(i for i in places if i not in found)
        return PartialEmbeddings(found, missing, partial_results.usage, call.row.name)

    info = call.info("multimodal_embed", len(contents))
    return Operation(call.flows(contents, partial_results), join, rescue, info)


def count(call: Multimodal, inputs: object) -> Usage:
    """What inputs will cost: pixels exactly, text at an estimate that errs high.

    Raises:
        InvalidInputError: An input cannot be embedded, or its size is not known before.
    """
    text, media_tokens, pixels = 0.0, 0, {"image": 0, "video": 0}
    for content in call.parser.parse(inputs):
        for segment in content.segments:
            if isinstance(segment, TextSegment):
                text += segment.estimated_tokens
                continue
            counted = segment.billed_pixels if isinstance(segment, Media) else None
            if counted is None:
                raise InvalidInputError(
                    f"inputs[{content.position}] holds media of a size that is not "
                    "known before it is sent",
                    indices=(content.position,),
                )
            if isinstance(segment, Media):
                pixels[segment.kind] += counted
                media_tokens += counted // media.PIXELS_PER_TOKEN[segment.kind]
    ratio = 1.0 if call.context.count_tokens else call.ratio.tokens(text) / max(text, 1.0)
    text_tokens = round(text * ratio) if text else 0
    return Usage(text_tokens + media_tokens, 0, text_tokens, pixels["image"], pixels["video"])
