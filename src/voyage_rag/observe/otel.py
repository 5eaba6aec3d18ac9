"""OpenTelemetry: a span and two metrics per call, with the GenAI semantic conventions.

    from voyage_rag.observe.otel import instrument

    instrument()          # every client of this process, with the global providers

The names are those of OpenTelemetry's "Semantic conventions for generative AI" as of 2026: spans
`embeddings {model}` and `rerank {model}`, histograms `gen_ai.client.token.usage` and
`gen_ai.client.operation.duration`. The conventions define no operation for rerankers; `rerank` is
the common term. Retries, splits and waits are events of the span. Texts are never recorded, because
observers do not receive them.

Requires `pip install 'voyage-rag[otel]'`, and an SDK of your choice.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias

try:
    from opentelemetry import metrics, trace
except ImportError as error:
    raise ImportError(
        "voyage_rag.observe.otel needs opentelemetry-api: pip install 'voyage-rag[otel]'"
    ) from error

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import Span, TracerProvider

from voyage_rag._version import __version__
from voyage_rag.events import (
    BatchSplit,
    Call,
    CallDone,
    CallFailed,
    CallStarted,
    Event,
    RetryScheduled,
    Throttled,
)
from voyage_rag.observe.observers import add_observer, remove_observer

Attribute: TypeAlias = "str | int | float | tuple[str, ...]"

PROVIDER = "voyageai"

TOKEN_BOUNDARIES = [4.0**power for power in range(14)]
"""Bucket boundaries of the token histogram, from the conventions."""

SECOND_BOUNDARIES = [0.01 * 2**power for power in range(14)]
"""Bucket boundaries of the duration histogram, from the conventions."""


SPAN_EVENTS: dict[type[Event], tuple[str, tuple[str, ...]]] = {
    BatchSplit: ("voyage_rag.split", ("inputs", "parts", "status")),
    Throttled: ("voyage_rag.throttled", ("seconds",)),
    RetryScheduled: (
        "voyage_rag.retry",
        ("attempt", "delay", "reason", "error", "status", "request_id"),
    ),
}
"""Events of a span and their attributes."""


class OpenTelemetryObserver:
    """An observer that creates spans and metrics, for one client or (with `instrument`) for all.

    Calls that return a complete result run within their span, so spans of an instrumented httpx are
    its children. Calls of `embed_iter` do not, because the consumer's code runs during them.

    Args:
        tracer_provider: The provider of spans. Default: the global provider.
        meter_provider: The provider of metrics. Default: the global provider.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        self._tracer = trace.get_tracer("voyage_rag", __version__, tracer_provider)
        meter = metrics.get_meter("voyage_rag", __version__, meter_provider)
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=TOKEN_BOUNDARIES,
        )
        self._seconds = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="GenAI operation duration.",
            explicit_bucket_boundaries_advisory=SECOND_BOUNDARIES,
        )
        self._spans: dict[int, Span] = {}

    def __call__(self, event: Event) -> None:
        """Record an event, except those of files and batches, which have no convention."""
        if event.call.verb == "request":
            return
        match event:
            case CallStarted():
                self._start(event.call)
            case CallDone() | CallFailed():
                self._end(event)
            case RetryScheduled() | Throttled() | BatchSplit():
                if span := self._spans.get(event.call.number):
                    span.add_event(*_span_event(event))
            case _:
                pass

    def within(self, call: Call) -> AbstractContextManager[object]:
        """Make the call's span the current one."""
        span = self._spans.get(call.number)
        if span is None:
            return nullcontext()
        return trace.use_span(span, record_exception=False, set_status_on_exception=False)

    def _start(self, call: Call) -> None:
        attributes = _shared(call)
        if call.verb != "rerank":
            attributes["gen_ai.request.encoding_formats"] = ("base64",)
        if call.dimension is not None:
            attributes["gen_ai.embeddings.dimension.count"] = call.dimension
        if call.inputs is not None:
            attributes["voyage_rag.inputs"] = call.inputs
        self._spans[call.number] = self._tracer.start_span(
            f"{_operation(call)} {call.model}".strip(),
            kind=trace.SpanKind.CLIENT,
            attributes=attributes,
        )

    def _end(self, event: CallDone | CallFailed) -> None:
        shared = _shared(event.call)
        span = self._spans.pop(event.call.number, None)
        if span is not None:
            span.set_attribute("gen_ai.usage.input_tokens", event.usage.total_tokens)
            span.set_attribute("voyage_rag.requests", event.usage.requests)
            if event.usage.dollars is not None:
                span.set_attribute("voyage_rag.dollars", event.usage.dollars)
        if isinstance(event, CallFailed):
            shared["error.type"] = event.error
            if span is not None:
                span.set_attributes(_failure(event))
                span.set_status(trace.Status(trace.StatusCode.ERROR, event.error))
        if span is not None:
            span.end()
        self._seconds.record(event.seconds, shared)
        if event.usage.requests:
            shared["gen_ai.token.type"] = "input"
            self._tokens.record(event.usage.total_tokens, shared)


_instrumenting: list[OpenTelemetryObserver] = []


def instrument(
    tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
) -> None:
    """Observe every client of this process. A further call replaces the providers.

    Args:
        tracer_provider: The provider of spans. Default: the global provider.
        meter_provider: The provider of metrics. Default: the global provider.
    """
    uninstrument()
    _instrumenting.append(OpenTelemetryObserver(tracer_provider, meter_provider))
    add_observer(_instrumenting[0])


def uninstrument() -> None:
    """Stop observing."""
    while _instrumenting:
        remove_observer(_instrumenting.pop())


def _operation(call: Call) -> str:
    return "rerank" if call.verb == "rerank" else "embeddings"


def _shared(call: Call) -> dict[str, Attribute]:
    """Return the attributes that spans and metrics share."""
    return {
        "gen_ai.operation.name": _operation(call),
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.request.model": call.model,
        "server.address": call.host,
        "server.port": call.port,
    }


def _failure(event: CallFailed) -> dict[str, Attribute]:
    attributes: dict[str, Attribute] = {"error.type": event.error}
    if event.status is not None:
        attributes["http.response.status_code"] = event.status
    if event.request_id is not None:
        attributes["voyage_rag.request_id"] = event.request_id
    return attributes


def _span_event(event: Event) -> tuple[str, dict[str, Attribute]]:
    name, about = SPAN_EVENTS[type(event)]
    attributes = {f"voyage_rag.{fact}": getattr(event, fact) for fact in about}
    return name, {key: value for key, value in attributes.items() if value is not None}
