"""Spans and measurements, as OpenTelemetry's own SDK keeps them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics
from opentelemetry.semconv.attributes import (
    error_attributes,
    http_attributes,
    server_attributes,
)

from fakes import KEY, MODEL, RERANKER, TOO_MANY_TOKENS, FakeService, failed, voyage_over
from voyage_rag import Voyage
from voyage_rag.emulator import Emulator
from voyage_rag.errors import AuthenticationError
from voyage_rag.events import AttemptSent, Event
from voyage_rag.observe.otel import OpenTelemetryObserver, instrument, uninstrument

TEXT = "a text that nobody else may read"


class Telemetry:
    """What an application's SDK is given."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader])
        self.observer = OpenTelemetryObserver(self.tracers, self.meters)

    def voyage(self, *script: Any, **options: Any) -> Voyage:
        options = {"observers": [self.observer]} | options
        return voyage_over(FakeService(*script), **options)

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    def points(self, name: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    telemetry = Telemetry()
    yield telemetry
    telemetry.meters.shutdown()
    telemetry.tracers.shutdown()


def test_a_call_is_a_span(runner, telemetry: Telemetry) -> None:
    """A client span, named after operation and model, with the attributes of the conventions."""
    runner.call(telemetry.voyage(), "embed", [TEXT, "b"], "voyage-of-tests")

    (span,) = telemetry.spans
    assert (span.name, span.kind) == (f"embeddings {MODEL}", trace.SpanKind.CLIENT)
    assert dict(span.attributes or {}) == {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "voyageai",
        "gen_ai.request.model": MODEL,
        "gen_ai.request.encoding_formats": ("base64",),
        "gen_ai.usage.input_tokens": len(TEXT) + 1,
        "server.address": "api.voyageai.com",
        "server.port": 443,
        "voyage_rag.inputs": 2,
        "voyage_rag.requests": 1,
    }
    assert span.status.is_unset
    assert span.events == ()
    assert span.instrumentation_scope
    assert span.instrumentation_scope.name == "voyage_rag"


def test_dimension_and_price_are_given_where_known(runner, telemetry: Telemetry) -> None:
    """The length of the vectors, and the list price of a ranking."""
    voyage = telemetry.voyage()
    runner.call(voyage, "embed", [TEXT], MODEL, output_dimension=2)
    runner.call(voyage, "rerank", "q", ["a" * 1_000], "rerank-3")

    embedding, ranking = telemetry.spans
    assert (embedding.attributes or {})["gen_ai.embeddings.dimension.count"] == 2
    assert ranking.name == "rerank rerank-3"
    assert (ranking.attributes or {})["voyage_rag.dollars"] == pytest.approx(5e-5)
    assert "gen_ai.request.encoding_formats" not in (ranking.attributes or {})


def test_tokens_and_seconds_are_measured(runner, telemetry: Telemetry) -> None:
    """In histograms, by operation, model, provider and server."""
    voyage = telemetry.voyage()
    runner.call(voyage, "embed", ["a", "bb"], MODEL)
    runner.call(voyage, "rerank", "q", ["abc"], RERANKER)

    tokens = {
        point.attributes["gen_ai.request.model"]: point
        for point in telemetry.points("gen_ai.client.token.usage")
    }
    assert {model: point.sum for model, point in tokens.items()} == {MODEL: 3, RERANKER: 3}
    assert tokens[RERANKER].attributes == {
        "gen_ai.operation.name": "rerank",
        "gen_ai.provider.name": "voyageai",
        "gen_ai.request.model": RERANKER,
        "gen_ai.token.type": "input",
        "server.address": "api.voyageai.com",
        "server.port": 443,
    }
    seconds = telemetry.points("gen_ai.client.operation.duration")
    assert [point.count for point in seconds] == [1, 1]
    assert tokens[MODEL].explicit_bounds[:4] == (1, 4, 16, 64)
    assert seconds[0].explicit_bounds[-1] == pytest.approx(81.92)


def test_a_failure_has_a_type(runner, telemetry: Telemetry) -> None:
    """On the span and on the duration; the message, which may hold anything, is not recorded."""
    voyage = telemetry.voyage(failed(401, f"{TEXT} {KEY}", x_request_id="req-9"))
    with pytest.raises(AuthenticationError):
        runner.call(voyage, "embed", [TEXT], MODEL)

    (span,) = telemetry.spans
    attributes = dict(span.attributes or {})
    assert attributes["error.type"] == "AuthenticationError"
    assert attributes["http.response.status_code"] == 401
    assert attributes["voyage_rag.request_id"] == "req-9"
    assert span.status.status_code is trace.StatusCode.ERROR
    (point,) = telemetry.points("gen_ai.client.operation.duration")
    assert point.attributes["error.type"] == "AuthenticationError"
    assert telemetry.points("gen_ai.client.token.usage") == []
    assert TEXT not in span.to_json()
    assert KEY not in span.to_json()


def test_retries_splits_and_waits_are_events(runner, telemetry: Telemetry) -> None:
    """Of the span, with their reasons; no text, no key."""
    script = [failed(400, TOO_MANY_TOKENS + TEXT), failed(503, f"{TEXT} {KEY}", x_request_id="r")]
    voyage = telemetry.voyage(*script, requests_per_minute=2, concurrency=1)
    runner.call(voyage, "embed", [TEXT, "b"], MODEL)

    (span,) = telemetry.spans
    reported = {event.name: dict(event.attributes or {}) for event in span.events}
    assert reported["voyage_rag.split"] == {
        "voyage_rag.inputs": 2,
        "voyage_rag.parts": 2,
        "voyage_rag.status": 400,
    }
    retry = reported["voyage_rag.retry"]
    assert retry.pop("voyage_rag.delay") > 0  # type: ignore[operator]
    assert retry == {
        "voyage_rag.attempt": 2,
        "voyage_rag.reason": "HTTP 503",
        "voyage_rag.error": "ServiceUnavailableError",
        "voyage_rag.status": 503,
        "voyage_rag.request_id": "r",
    }
    assert reported["voyage_rag.throttled"]["voyage_rag.seconds"] > 0  # type: ignore[operator]
    assert TEXT not in span.to_json()
    assert KEY not in span.to_json()


def test_spans_nest(runner, telemetry: Telemetry) -> None:
    """In the caller's span; and what happens while requests are sent, in the call's."""
    current: list[Any] = []

    def note(event: Event) -> None:
        if isinstance(event, AttemptSent):
            current.append(trace.get_current_span().get_span_context().span_id)

    voyage = telemetry.voyage(observers=[telemetry.observer, note])
    tracer = telemetry.tracers.get_tracer("application")

    async def program() -> None:
        with tracer.start_as_current_span("request") as outer:
            await runner.ask(voyage, "embed", ["a", "b", "c"], MODEL, batch_size=1)
            assert trace.get_current_span() is outer

    runner.run(program)
    call, outer = telemetry.spans
    assert call.parent
    assert outer.context
    assert call.parent.span_id == outer.context.span_id
    assert call.context
    assert current == [call.context.span_id] * 3


def test_a_stream_has_a_span_that_is_never_current(runner, telemetry: Telemetry) -> None:
    """The consumer's code runs between its steps; the span ends when the stream is closed."""
    voyage = telemetry.voyage(concurrency=1)

    async def program() -> None:
        if runner.is_sync:
            vectors: Any = voyage.embed_iter(["a", "b", "c"], MODEL, batch_size=1)
            next(vectors)
            assert not trace.get_current_span().is_recording()
            vectors.close()
            return
        stream = voyage.aembed_iter(["a", "b", "c"], MODEL, batch_size=1)
        await anext(stream)
        assert not trace.get_current_span().is_recording()
        await stream.aclose()

    runner.run(program)
    (span,) = telemetry.spans
    assert span.status.is_unset
    assert "voyage_rag.inputs" not in (span.attributes or {})


def test_the_whole_process_can_be_instrumented(runner, telemetry: Telemetry) -> None:
    """Once, however often `instrument` is called, until `uninstrument`."""
    voyage = voyage_over(FakeService())
    try:
        for _ in range(2):
            instrument(telemetry.tracers, telemetry.meters)
        runner.call(voyage, "embed", ["a"], MODEL)
    finally:
        uninstrument()
    runner.call(voyage, "embed", ["a"], MODEL)

    assert len(telemetry.spans) == 1


def test_files_and_batches_are_no_genai_operations(runner, telemetry: Telemetry) -> None:
    """An instrumented httpx has spans for them."""
    with Emulator() as url:
        voyage = Voyage(KEY, base_url=url, observers=[telemetry.observer])
        runner.call(voyage.files, "list")
        voyage.close()

    assert telemetry.spans == ()
    assert telemetry.points("gen_ai.client.operation.duration") == []


def test_names_are_those_of_the_conventions(runner, telemetry: Telemetry) -> None:
    """Every attribute is in OpenTelemetry's own list, or has our prefix."""
    voyage = telemetry.voyage(failed(503), failed(401), max_retries=1)
    with pytest.raises(AuthenticationError):
        runner.call(voyage, "embed", ["a"], MODEL, output_dimension=2)
    runner.call(voyage, "embed", ["a"], MODEL, output_dimension=2)

    modules = (gen_ai_attributes, server_attributes, error_attributes, http_attributes)
    known = {value for module in modules for value in vars(module).values() if _is_name(value)}
    points = [
        *telemetry.points("gen_ai.client.token.usage"),
        *telemetry.points("gen_ai.client.operation.duration"),
    ]
    used = {name for item in (*telemetry.spans, *points) for name in (item.attributes or {})}
    assert len(points) == 3
    assert {name for name in used if not name.startswith("voyage_rag.")} <= known
    metrics = {value for value in vars(gen_ai_metrics).values() if _is_name(value)}
    assert {"gen_ai.client.token.usage", "gen_ai.client.operation.duration"} <= metrics


def _is_name(value: object) -> bool:
    return isinstance(value, str) and "." in value and " " not in value


def test_without_the_extra_the_remedy_is_named() -> None:
    """The package itself works without it."""
    program = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "import voyage_rag.observe\n"
        "try: import voyage_rag.observe.otel\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=60, check=True, text=True
    )
    assert "pip install 'voyage-rag[otel]'" in done.stdout
