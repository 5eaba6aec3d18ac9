"""Observers receive the same events from sync and async calls, and cannot break a call."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import logging
import pickle
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from math import inf
from typing import Any

import pytest

from fakes import (
    FREE_TIER,
    KEY,
    MODEL,
    RERANKER,
    TOO_MANY_TOKENS,
    FakeClock,
    FakeService,
    failed,
    ok,
    voyage_over,
)
from voyage_rag import Voyage, events
from voyage_rag.core.flow import Attempt
from voyage_rag.emulator import Emulator
from voyage_rag.errors import (
    APIConnectionError,
    AuthenticationError,
    ConfigurationError,
    InvalidInputError,
    InvalidRequestError,
    ServerError,
    Timeout,
)
from voyage_rag.events import (
    Answered,
    AttemptSent,
    BatchSplit,
    Billed,
    Call,
    CallDone,
    CallFailed,
    CallStarted,
    Event,
    RetryScheduled,
    Throttled,
    Unanswered,
)
from voyage_rag.hosts.messages import Request
from voyage_rag.observe import add_observer, remove_observer

TEXT = "a text that nobody else may read"
UNAVAILABLE = failed(503, "try later", x_request_id="req-7")
WELL = [CallStarted, AttemptSent, Answered, Billed, CallDone]


class Recorder(list[Event]):
    """An observer that records its events."""

    def __call__(self, event: Event) -> None:
        self.append(event)

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self if isinstance(event, kind)]

    @property
    def kinds(self) -> list[type[Event]]:
        return [type(event) for event in self]


@pytest.fixture
def kept() -> Recorder:
    return Recorder()


def observed(
    kept: Recorder, *script: Any, clock: FakeClock | None = None, **options: Any
) -> Voyage:
    return voyage_over(FakeService(*script), clock, observers=[kept], **options)


def test_a_call_that_goes_well(runner, kept: Recorder) -> None:
    """Started, sent, answered, billed, done: each with what is known by then."""
    voyage = observed(kept)
    runner.call(voyage, "embed", [TEXT, "b"], MODEL, input_type="document")

    assert kept.kinds == WELL
    started, sent, answered, billed, done = kept
    call = started.call
    assert (call.verb, call.model, call.inputs, call.dimension) == ("embed", MODEL, 2, None)
    assert (call.host, call.port) == ("api.voyageai.com", 443)
    assert all(event.call is call and event.model == MODEL for event in kept)
    assert (sent.endpoint, sent.inputs, sent.attempt) == ("/embeddings", 2, 1)
    assert (answered.status, answered.request_id, answered.seconds) == (200, None, 0.0)
    assert billed.inputs == 2
    assert billed.usage == done.usage == voyage.usage
    assert done.usage.by_model[MODEL].total_tokens == len(TEXT) + 1


def test_reranking_is_reported_too(runner, kept: Recorder) -> None:
    """With its own method and endpoint."""
    runner.call(observed(kept), "rerank", "q", ["a", "b", "c"], RERANKER)

    assert kept.kinds == WELL
    assert (kept[0].call.verb, kept[0].call.inputs) == ("rerank", 3)
    assert (kept.of(AttemptSent)[0].endpoint, kept.of(Billed)[0].inputs) == ("/rerank", 3)


def test_a_retry_says_why_and_when(runner, kept: Recorder) -> None:
    """Between the attempts: reason, delay, status and request id of the one that failed."""
    clock = FakeClock()
    runner.call(observed(kept, UNAVAILABLE, clock=clock), "embed", [TEXT], MODEL)

    (retry,) = kept.of(RetryScheduled)
    assert kept.index(retry) == 3
    assert (retry.attempt, retry.reason, retry.error) == (2, "HTTP 503", "ServiceUnavailableError")
    assert (retry.status, retry.request_id, retry.retry_after) == (503, "req-7", None)
    assert [retry.delay] == pytest.approx(clock.sleeps)
    assert [sent.attempt for sent in kept.of(AttemptSent)] == [1, 2]
    assert [answer.status for answer in kept.of(Answered)] == [503, 200]


@pytest.mark.parametrize(
    ("failure", "reason", "kind"),
    [
        (failed(429, FREE_TIER, retry_after="3"), "the rate limit (HTTP 429)", "RateLimitError"),
        (Timeout("nothing"), "no response in time", "Timeout"),
        (APIConnectionError("gone"), "no response (APIConnectionError)", "APIConnectionError"),
        (ok({"data": []}), "an invalid response", "UnexpectedAnswerError"),
    ],
)
def test_reasons_are_words_of_our_own(
    runner, kept: Recorder, failure: Any, reason: str, kind: str
) -> None:
    """Whatever the service or a gateway responded."""
    runner.call(observed(kept, failure), "embed", [TEXT], MODEL)

    (retry,) = kept.of(RetryScheduled)
    assert (retry.reason, retry.error) == (reason, kind)
    assert retry.retry_after == (3.0 if kind == "RateLimitError" else None)


def test_a_lost_response_is_reported(runner, kept: Recorder) -> None:
    """Sent and unanswered, with the name of the error."""
    runner.call(observed(kept, APIConnectionError("gone")), "embed", [TEXT], MODEL)

    (lost,) = kept.of(Unanswered)
    assert (lost.error, lost.attempt, lost.endpoint) == ("APIConnectionError", 1, "/embeddings")


def test_a_failure_is_the_end(runner, kept: Recorder) -> None:
    """With status and request id of the last answer, and what was paid until then."""
    voyage = observed(kept, failed(401, "Provided API key is invalid.", x_request_id="req-9"))
    with pytest.raises(AuthenticationError):
        runner.call(voyage, "embed", [TEXT], MODEL)

    assert kept.kinds == [CallStarted, AttemptSent, Answered, CallFailed]
    (end,) = kept.of(CallFailed)
    assert (end.error, end.status, end.request_id) == ("AuthenticationError", 401, "req-9")
    assert end.usage.total_tokens == 0


def test_a_persistent_server_error_is_raised(runner, kept: Recorder) -> None:
    """One retry per further attempt, and the end."""
    voyage = observed(kept, *[failed(500)] * 3, max_retries=2)
    with pytest.raises(ServerError):
        runner.call(voyage, "embed", ["a"], MODEL)

    assert [retry.attempt for retry in kept.of(RetryScheduled)] == [2, 3]
    assert kept.kinds[-1] is CallFailed


def test_what_is_refused_before_sending_is_no_call(runner, kept: Recorder) -> None:
    """There is nothing to observe."""
    with pytest.raises(InvalidInputError):
        runner.call(observed(kept), "embed", [""], MODEL)
    assert kept == []


def test_a_wait_for_a_limit_is_reported(runner, kept: Recorder) -> None:
    """Once for each request that waits, with the seconds it is to wait."""
    clock = FakeClock()
    voyage = observed(kept, clock=clock, requests_per_minute=1, concurrency=1)
    runner.call(voyage, "embed", ["a", "b"], MODEL, batch_size=1)

    (throttled,) = kept.of(Throttled)
    assert throttled.seconds == pytest.approx(sum(clock.sleeps))
    assert throttled.seconds > 50
    assert (throttled.attempt, throttled.inputs) == (1, 1)


def test_a_backoff_is_not_reported_as_throttling(runner, kept: Recorder) -> None:
    """The account's limit did not make it wait."""
    runner.call(observed(kept, UNAVAILABLE), "embed", [TEXT], MODEL)
    assert kept.of(Throttled) == []


def test_a_split_is_reported(runner, kept: Recorder) -> None:
    """With the number of parts, and the status of the refusal."""
    voyage = observed(kept, failed(400, TOO_MANY_TOKENS))
    runner.call(voyage, "embed", ["a", "b", "c"], MODEL)

    (split,) = kept.of(BatchSplit)
    assert (split.inputs, split.parts, split.status) == (3, 2, 400)
    assert [billed.inputs for billed in kept.of(Billed)] == [1, 2]


def test_a_split_ranking_is_reported(runner, kept: Recorder) -> None:
    """As a split batch of texts is."""
    voyage = observed(kept, failed(400, TOO_MANY_TOKENS))
    runner.call(voyage, "rerank", "q", ["a", "b", "c"], RERANKER)

    assert [(split.inputs, split.parts) for split in kept.of(BatchSplit)] == [(3, 2)]


def test_many_requests_belong_to_one_call(runner, kept: Recorder) -> None:
    """In worker threads and tasks, too."""
    voyage = observed(kept)
    runner.call(voyage, "embed", [str(n) for n in range(20)], MODEL, batch_size=1)

    assert len({event.call.number for event in kept}) == 1
    assert len(kept.of(AttemptSent)) == len(kept.of(Answered)) == len(kept.of(Billed)) == 20
    assert kept.of(CallDone)[0].usage.requests == 20


def test_a_stream_is_a_call_that_ends_when_it_is_left(runner, kept: Recorder) -> None:
    """Started at the first step, done at the end or when the consumer stops."""
    voyage = observed(kept, concurrency=2)

    async def program() -> None:
        texts = [str(n) for n in range(5)]
        if runner.is_sync:
            vectors: Any = voyage.embed_iter(texts, MODEL, batch_size=1)
            assert kept == []
            next(vectors)
            vectors.close()
            return
        stream = voyage.aembed_iter(texts, MODEL, batch_size=1)
        assert kept == []
        await anext(stream)
        await stream.aclose()

    runner.run(program)
    assert (kept.kinds[0], kept.kinds[-1]) == (CallStarted, CallDone)
    assert kept[0].call.inputs is None


def test_cancellation_is_reported(kept: Recorder) -> None:
    """The attempt is unanswered and the call failed, with the name of the exception."""

    class Silent(FakeService):
        async def asend(self, attempt: Any) -> Any:
            await asyncio.sleep(60)

    voyage = observed(kept)
    voyage.driver.sender = Silent()  # type: ignore[assignment]

    async def program() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(voyage.aembed([TEXT], MODEL), 0.05)

    asyncio.run(program())
    assert kept.kinds == [CallStarted, AttemptSent, Unanswered, CallFailed]
    assert [kept.of(kind)[0].error for kind in (Unanswered, CallFailed)] == ["CancelledError"] * 2


# ── what events leave out ─────────────────────────────────────────────────────────────────────────


def test_no_event_holds_a_text_or_a_key(runner, kept: Recorder) -> None:
    """Not even if the service repeats them."""
    script = [
        failed(503, f"{TEXT} {KEY}"),
        APIConnectionError(f"{TEXT} {KEY}"),
        failed(429, {"input": TEXT, "key": KEY}),
        failed(400, f"{TEXT} {KEY}", x_request_id="fine"),
    ]
    voyage = observed(kept, *script, max_retries=5)
    with pytest.raises(InvalidRequestError):
        runner.call(voyage, "embed", [TEXT], MODEL)

    assert len(kept.of(RetryScheduled)) == 3
    assert TEXT not in repr(kept)
    assert KEY not in repr(kept)


def test_request_ids_are_printable(runner, kept: Recorder) -> None:
    """A header comes from the server, and may contain escape sequences or long text."""
    voyage = observed(kept, failed(503, x_request_id="\x1b[31m" + "x" * 5_000))
    runner.call(voyage, "embed", [TEXT], MODEL)

    (retry,) = kept.of(RetryScheduled)
    assert retry.request_id.startswith("?[31mxxx")
    assert len(retry.request_id) == 128


# ── observers ─────────────────────────────────────────────────────────────────────────────────────


def test_an_observer_that_raises_breaks_nothing(runner, caplog: pytest.LogCaptureFixture) -> None:
    """The call continues; the failure is logged once; other observers still receive the event."""
    kept = Recorder()

    def broken(event: Event) -> None:
        raise ZeroDivisionError("oops")

    voyage = voyage_over(FakeService(), observers=[broken, kept])
    for _ in range(2):
        assert len(runner.call(voyage, "embed", ["a", "b"], MODEL).embeddings) == 2

    assert len(kept.of(CallDone)) == 2
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("voyage_rag", "ERROR")
    assert "broken" in record.message
    assert record.exc_info
    assert record.exc_info[0] is ZeroDivisionError


@pytest.mark.parametrize("broken", ["made", "entered", "left"])
def test_a_context_that_raises_breaks_nothing(
    runner, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither on its way in nor on its way out."""

    class Observer:
        def __call__(self, event: Event) -> None:
            pass

        def within(self, call: Call) -> Any:
            if broken == "made":
                raise ZeroDivisionError
            return self.context()

        @contextmanager
        def context(self) -> Any:
            if broken == "entered":
                raise ZeroDivisionError
            yield
            raise ZeroDivisionError

    voyage = voyage_over(FakeService(), observers=[Observer()])
    for _ in range(2):
        runner.call(voyage, "embed", ["a"], MODEL)
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_a_call_runs_within_an_observers_context(runner) -> None:
    """And so do its requests, in any thread, but not iterators."""
    current: ContextVar[int] = ContextVar("current", default=0)
    seen: list[int] = []

    class Observer:
        def __call__(self, event: Event) -> None:
            if isinstance(event, AttemptSent):
                seen.append(current.get())

        @contextmanager
        def within(self, call: Call) -> Any:
            token = current.set(call.number)
            yield
            current.reset(token)

    voyage = voyage_over(FakeService(), observers=[Observer()])
    runner.call(voyage, "embed", ["a", "b", "c"], MODEL, batch_size=1)
    assert len(seen) == 3
    assert len({*seen}) == 1
    assert seen[0] > 0
    assert current.get() == 0

    seen.clear()
    list(voyage.embed_iter(["a"], MODEL))
    assert seen == [0]


@pytest.mark.parametrize("wrong", [7, [7], [Recorder], ["print"]])
def test_an_observer_must_be_a_function(wrong: Any) -> None:
    """Refused when the client is made."""
    with pytest.raises(ConfigurationError, match="observer"):
        Voyage(KEY, observers=wrong)


def test_an_observer_must_not_be_a_coroutine() -> None:
    """It would never run; the message says what to do instead."""

    async def observer(event: Event) -> None:
        pass

    with pytest.raises(ConfigurationError, match="queue"):
        Voyage(KEY, observers=[observer])
    with pytest.raises(ConfigurationError, match="queue"):
        add_observer(observer)


def test_an_observer_of_the_whole_process(runner, kept: Recorder) -> None:
    """It observes every client, once however often it was added, until it is removed."""
    voyage = voyage_over(FakeService())
    add_observer(kept)
    add_observer(kept)
    try:
        runner.call(voyage, "embed", ["a"], MODEL)
        assert kept.kinds == WELL
    finally:
        remove_observer(kept)

    remove_observer(kept)
    runner.call(voyage, "embed", ["a"], MODEL)
    assert kept.kinds == WELL


def test_copies_keep_observers_and_pickles_do_not() -> None:
    """A lock or an open file in an observer does not prevent pickling a client."""

    class Locked(Recorder):
        def __init__(self) -> None:
            super().__init__()
            self.lock = threading.Lock()

    observer = Locked()
    voyage = Voyage(KEY, observers=[observer])

    for twin in (copy.copy(voyage), copy.deepcopy(voyage)):
        assert twin.observers[0] is observer
    assert [*pickle.loads(pickle.dumps(voyage)).observers] == []


EVENTS = [
    name
    for name, value in vars(events).items()
    if dataclasses.is_dataclass(value) and value.__module__ == events.__name__
]


def test_without_observers_no_event_is_made(runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for a successful call, nor for its requests."""

    def refuse(self: Event, *args: Any, **kwargs: Any) -> None:
        raise AssertionError(f"{type(self).__name__} was made")

    for name in EVENTS:
        monkeypatch.setattr(getattr(events, name), "__init__", refuse)
    monkeypatch.setattr(logging.getLogger("voyage_rag"), "level", logging.WARNING)
    voyage = voyage_over(FakeService())

    runner.call(voyage, "embed", ["a", "b"], MODEL, batch_size=1)
    runner.call(voyage, "rerank", "q", ["a"], RERANKER)
    with pytest.raises(AssertionError, match="Call was made"):
        runner.call(voyage_over(FakeService(), observers=[Recorder()]), "embed", ["a"], MODEL)


@pytest.mark.parametrize("name", EVENTS)
def test_events_are_frozen_and_drawn(name: str) -> None:
    """Every class is frozen and documented, and every event is in the diagram."""
    kind = getattr(events, name)
    assert kind.__dataclass_params__.frozen
    assert kind.__doc__
    assert not issubclass(kind, Event) or name in (events.__doc__ or "")


def test_a_limit_that_nobody_knows_yet_has_no_seconds(runner, kept: Recorder) -> None:
    """While it is being discovered; and however often it is asked, once an attempt."""
    waits = iter([0.5, 0.5, 0.0])
    voyage = observed(kept)
    attempt = Attempt(
        Request("/embeddings", b'{"input":"a"}', MODEL, 1),
        1.0,
        lambda: next(waits),
        limit_delay=lambda: inf,
    )

    def flow() -> Any:
        yield attempt
        return "done"

    runner.run(partial(runner.ask, voyage.driver, "run", flow()))
    assert [event.seconds for event in kept.of(Throttled)] == [None]


VERBS: dict[str, tuple[str, tuple[Any, ...], str]] = {
    "embed": ("/embeddings", (["a text", "another"], "voyage-4"), "embed"),
    "contextualized_embed": (
        "/contextualizedembeddings",
        ([["a chunk", "and another"]], "voyage-context-4"),
        "contextualized_embed",
    ),
    "embed_chunks": (
        "/contextualizedembeddings",
        (["a chunk", "and another"], ["x", "x"], "voyage-context-4"),
        "contextualized_embed",
    ),
    "multimodal_embed": (
        "/multimodalembeddings",
        ([["a text"], ["another"]], "voyage-multimodal-3.5"),
        "multimodal_embed",
    ),
    "rerank": ("/rerank", ("a query", ["a text", "another"], "rerank-3"), "rerank"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_every_method_is_reported(runner, kept: Recorder, verb: str) -> None:
    """With its endpoint, the length of its vectors, and what it cost in dollars."""
    endpoint, arguments, told_as = VERBS[verb]
    with Emulator() as url:
        voyage = Voyage(KEY, base_url=url, observers=[kept])
        runner.call(voyage, verb, *arguments)

    assert kept.kinds == WELL
    call = kept[0].call
    assert (call.verb, call.host) == (told_as, "127.0.0.1")
    assert call.dimension == (None if verb == "rerank" else 1024)
    assert kept.of(AttemptSent)[0].endpoint == endpoint
    (done,) = kept.of(CallDone)
    assert done.usage.dollars > 0
    assert done.usage == voyage.usage
