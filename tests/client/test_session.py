"""State that all methods share: copies with other options, and warnings about retired models."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from conftest import EagerThreads, Runner
from fakes import KEY, MODEL, FakeClock, FakeService, embedded, failed, ok, voyage_over
from voyage_rag import ConfigurationError, EmbeddingsObject, ServerError, Usage, Voyage
from voyage_rag.client import notices


def test_a_copy_has_other_options_and_shares_the_rest(runner: Runner) -> None:
    """Connections, cache and rate limits are the original's; usage is its own."""
    service = FakeService(*[failed(500)] * 4)
    voyage = voyage_over(service, cache=":memory:", hedge_after=5)
    copy = voyage.with_options(max_retries=1, total_timeout=None)

    with pytest.raises(ServerError):
        runner.call(copy, "embed", ["a"], MODEL)
    assert len(service.attempts) == 2
    service.attempts.clear()
    runner.call(voyage.with_options(max_retries=30), "embed", ["a"], MODEL)

    assert copy.settings.max_retries == 1
    assert copy.settings.total_timeout is None
    assert (copy.driver.cache, copy.context.budgets) == (
        voyage.driver.cache,
        voyage.context.budgets,
    )
    assert (voyage.settings.max_retries, voyage.usage) == (None, Usage())
    assert type(copy) is type(voyage)


def test_a_copy_may_have_other_observers(runner: Runner) -> None:
    """Or the same."""
    seen: list[object] = []
    voyage = voyage_over(FakeService(), observers=[seen.append])

    runner.call(voyage.with_options(observers=[]), "embed", ["a"], MODEL)
    assert seen == []
    runner.call(voyage.with_options(timeout=3), "embed", ["a"], MODEL)
    assert seen != []


class WithDefaults(Voyage):
    """What applications write to choose a model in one place."""

    def __init__(self, *args: Any, default_model: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.default_model = default_model

    def embed(self, texts: Any, model: str | None = None, **options: Any) -> EmbeddingsObject:  # type: ignore[override]
        return super().embed(texts, model or self.default_model, **options)


def test_a_subclass_may_pass_parameters_on() -> None:
    """Its copies have what it adds; an unknown name is still suggested."""
    service = FakeService()
    voyage = WithDefaults(KEY, default_model=MODEL)
    voyage.driver.sender = service  # type: ignore[assignment]

    voyage.embed(["a"], input_type="query")
    voyage.with_options(timeout=3).embed(["a"], truncation=False)
    assert [body["model"] for body in service.bodies] == [MODEL, MODEL]
    assert service.bodies[0]["input_type"] == "query"
    with pytest.raises(TypeError, match=r"'dimensions': did you mean 'output_dimension'"):
        voyage.embed(["a"], dimensions=3)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"timeout": -1}, "timeout"),
        ({"max_retry": 1}, "'max_retry': did you mean 'max_retries'"),
        ({"request_timeout": 1}, "did you mean 'timeout'"),
        ({"model": "voyage-4"}, "the parameters are timeout, "),
        ({"api_key": "pa-other"}, "api_key cannot be changed in a copy"),
        ({"http_client": None}, "http_client cannot be changed in a copy"),
        ({"cache": "other.db"}, "cache cannot be changed in a copy"),
        ({"hedge_after": 90}, "hedge_after"),
    ],
)
def test_options_of_a_copy_are_checked(options: dict[str, Any], named: str) -> None:
    """By name; what copies share cannot be changed."""
    with pytest.raises(ConfigurationError, match=named):
        voyage_over(FakeService()).with_options(**options)


JUNE_2027 = 1_812_000_000.0


def test_a_model_near_its_end_is_reported_once(
    runner: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    """Half a year before it is retired, with a suggestion; not earlier."""
    notices.REPORTED.clear()
    clock = FakeClock()
    options: dict[str, Any] = {"output_dimension": 256, "output_dtype": "float"}
    service = FakeService(always=lambda body: failed(400))
    voyages = [voyage_over(service, clock) for _ in range(3)]

    for voyage in voyages:
        with pytest.raises(Exception, match="went wrong"):
            runner.call(voyage, "embed", ["a"], "voyage-3.5", **options)
        clock.advance(max(0.0, JUNE_2027 - clock.wall()))

    reported = [record.message for record in caplog.records if "is retired" in record.message]
    assert len(reported) == 1
    assert "2027-12-01" in reported[0]
    assert "'voyage-4'" in reported[0]


@pytest.mark.parametrize(
    ("verb", "arguments", "wrap"),
    [
        ("embed", (["a", "b"],), False),
        ("multimodal_embed", ([["a"], ["b"]],), False),
        ("contextualized_embed", ([["a", "b"]],), True),
    ],
)
def test_a_vector_of_zeros_is_reported_once(
    verb: str,
    arguments: tuple[Any, ...],
    wrap: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A faulty server returns such vectors, and stores find them first or never."""
    notices.REPORTED.clear()
    body = embedded([[1.0, 0.0], [0.0, 0.0]])
    if wrap:
        body["data"] = [{"index": 0, "data": body["data"]}]
    voyage = voyage_over(FakeService(always=lambda _: ok(body)))
    for _ in range(2):
        getattr(voyage, verb)(*arguments, f"model-of-{verb}")
    assert [record.getMessage().split("'")[1] for record in caplog.records] == [f"model-of-{verb}"]
    assert "a vector of zeros" in caplog.text


def test_threads_report_once_together(
    eager_threads: EagerThreads, caplog: pytest.LogCaptureFixture
) -> None:
    """However many of them receive the first such vector at the same time."""
    for number in range(100):
        eager_threads(partial(notices.zero_vector, f"model-{number}"))
        eager_threads(partial(notices.no_documents, {}))
    assert len(caplog.records) == 200
