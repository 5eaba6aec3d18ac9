"""`Voyage` itself: usage, repr, warnings, progress, and compact results."""

from __future__ import annotations

import json
import logging
import sys
from array import array
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from fakes import (
    FREE_TIER,
    KEY,
    MODEL,
    RERANKER,
    FakeClock,
    FakeService,
    embedded,
    failed,
    ok,
    vector_of,
    voyage_over,
)
from voyage_rag import (
    ContextualizedEmbeddingsObject,
    ContextualizedEmbeddingsResult,
    EmbeddingsObject,
    MultimodalEmbeddingsObject,
    RerankingObject,
    RerankingResult,
    Usage,
    Vectors,
    Voyage,
)
from voyage_rag.hosts.messages import Response
from voyage_rag.models import OutputDtype
from voyage_rag.settings import Settings


def test_usage_is_what_the_object_has_spent(runner) -> None:
    """All calls of all its methods, and no other object's."""
    voyage, other = voyage_over(FakeService()), voyage_over(FakeService())
    assert Usage() == voyage.usage

    runner.call(voyage, "embed", ["abc", "de"], MODEL)
    runner.call(voyage, "rerank", "q", ["abcd"], RERANKER)

    assert Usage(total_tokens=9, requests=2) == voyage.usage
    assert Usage() == other.usage


def test_threads_do_not_lose_each_others_usage() -> None:
    """One object, many threads, one sum."""
    voyage = voyage_over(FakeService())
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: voyage.embed(["abc"], MODEL), range(200)))

    assert Usage(600, 200) == voyage.usage


def test_an_object_shows_where_it_is_connected() -> None:
    """And nothing else."""
    assert repr(Voyage(KEY)) == "Voyage(base_url='https://api.voyageai.com/v1')"


def test_a_client_can_be_made_of_settings() -> None:
    """A subclass stays a subclass."""

    class Mine(Voyage):
        pass

    settings = Settings.resolve("al-eu-1", environ={})
    assert Mine is type(Mine.of(settings))
    assert settings is Mine.of(settings).settings


def test_objects_of_one_account_wait_for_each_other() -> None:
    """A limit that one object met applies to all with the same key; another key is not slowed."""
    clock = FakeClock()
    voyage, same = (voyage_over(FakeService(), clock) for _ in range(2))
    voyage.driver.sender = FakeService(failed(429, FREE_TIER))  # type: ignore[assignment]
    other = Voyage("pa-other", clock=clock)
    other.driver.sender = FakeService()  # type: ignore[assignment]
    voyage.embed(["a"], MODEL)

    began = clock.now()
    for _ in range(3):
        other.embed(["a"], MODEL)
    assert began == clock.now()
    for _ in range(3):
        same.embed(["a"], MODEL)
    assert clock.now() - began >= 59


@pytest.mark.parametrize("limit", [{"requests_per_minute": 6}, {"tokens_per_minute": 60}])
def test_limits_that_are_given_are_kept(runner, limit: dict[str, float]) -> None:
    """No request is sent too early, so none is refused."""
    clock = FakeClock()
    voyage = voyage_over(FakeService(), clock, concurrency=3, **limit)
    began = clock.now()

    runner.call(voyage, "embed", [f"a text {n:02}" for n in range(18)], MODEL, batch_size=1)

    assert clock.now() - began >= 120


def test_a_wait_of_minutes_is_announced(runner, caplog: pytest.LogCaptureFixture) -> None:
    """Once, with the limit, the model and the time it takes."""
    voyage = voyage_over(FakeService(), requests_per_minute=3, concurrency=2)

    with caplog.at_level(logging.WARNING, logger="voyage_rag"):
        runner.call(voyage, "embed", [f"a text {n:02}" for n in range(30)], MODEL, batch_size=1)

    [record] = caplog.records
    assert all(word in record.getMessage() for word in ("3 requests per minute", MODEL, "minutes"))


def test_a_job_that_waits_is_announced(runner, caplog: pytest.LogCaptureFixture) -> None:
    """Once, although it is a matter of seconds: after three requests nothing happens."""
    voyage = voyage_over(FakeService(), requests_per_minute=3, concurrency=1)
    for text in "abc":
        runner.call(voyage, "embed", [text], MODEL)

    runner.call(voyage, "embed", ["d", "e"], MODEL, batch_size=1)

    [record] = caplog.records
    assert "3 requests per minute" in record.getMessage()
    assert "so this takes about 60 s" in record.getMessage()


def test_short_work_under_a_limit_is_not_announced(caplog: pytest.LogCaptureFixture) -> None:
    """A delay of a second causes no warning."""
    voyage_over(FakeService(), requests_per_minute=600).embed(
        list("abcdefghi"), MODEL, batch_size=1
    )

    assert caplog.records == []


def test_a_gateways_long_text_under_a_limit_is_embedded() -> None:
    """A text that is sent alone counts as estimated."""
    voyage = voyage_over(
        FakeService(), base_url="https://api.aimlapi.com/v1", requests_per_minute=100
    )

    assert [vector_of("a" * 801)] == voyage.embed(["a" * 801], MODEL).embeddings


def test_an_implausible_usage_does_not_break_the_next_call() -> None:
    """The usage of a gateway that counts wrongly is not used for estimates."""

    def always(body: bytes) -> Response:
        return ok(embedded([vector_of("x" * 3_000)], tokens=10**300))

    voyage = voyage_over(FakeService(always=always))
    for _ in range(3):
        assert [vector_of("x" * 3_000)] == voyage.embed(["x" * 3_000], MODEL).embeddings
    assert voyage.usage.total_tokens == 0


# ── results ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("dtype", "code", "expected"),
    [
        ("float", "f", np.float32),
        ("int8", "b", np.int8),
        ("uint8", "B", np.uint8),
        ("binary", "b", np.int8),
        ("ubinary", "B", np.uint8),
    ],
)
def test_vectors_become_lists_and_numpy_on_request(
    dtype: OutputDtype, code: str, expected: type
) -> None:
    """With the requested number type, row by row."""
    vectors = Vectors([array(code, [1, 2, 3]), array(code, [4, 5, 6])], dtype)

    assert vectors.to_lists() == [[1, 2, 3], [4, 5, 6]]
    table = vectors.to_numpy()
    assert (expected, (2, 3)) == (table.dtype, table.shape)
    assert table.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert (expected, (0, 0)) == (vectors[:0].to_numpy().dtype, vectors[:0].to_numpy().shape)


def test_without_numpy_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(ImportError, match="pip install numpy"):
        Vectors([array("f", [1.0])], "float").to_numpy()


def test_vectors_are_a_sequence_of_compact_rows() -> None:
    """Indexed, sliced, iterated, 4 bytes per float."""
    rows = [array("f", [number, 0]) for number in range(3)]
    vectors = Vectors(rows, "float")

    assert (3, rows[1], rows) == (len(vectors), vectors[1], list(vectors))
    assert isinstance(vectors[1:], Vectors)
    assert rows[1:] == list(vectors[1:])
    assert memoryview(vectors[0]).nbytes == 8
    assert repr(vectors) == "<Vectors: 3 × 2 numbers, float>"
    assert repr(vectors[:0]) == "<Vectors: 0 × 0 numbers, float>"


def test_vectors_and_results_are_equal_by_value() -> None:
    """Whether they were stored as arrays or as lists."""
    one, other = Vectors([array("f", [0.5, 1])], "float"), Vectors([[0.5, 1.0]], "float")

    assert one == other
    assert hash(one) == hash(other)
    assert EmbeddingsObject(one, Usage(7, 1), MODEL) == EmbeddingsObject(other, Usage(7, 1), MODEL)
    for different in (one[:0], Vectors([array("f", [0.5, 2])], "float"), [array("f", [0.5, 1])]):
        assert one != different
    assert Vectors([array("b", [1])], "int8") != Vectors([array("b", [1])], "binary")


def test_embeddings_are_made_once() -> None:
    """Lists cost memory: the second look costs nothing."""
    result = EmbeddingsObject(Vectors([array("f", [1])], "float"), Usage(7, 1), MODEL)

    assert result.embeddings == [[1.0]]
    assert result.embeddings is result.embeddings
    assert (result.total_tokens, RerankingObject([], Usage(7, 1)).total_tokens) == (7, 7)


def test_results_are_types_that_pydantic_and_fastapi_can_write() -> None:
    """As the type of an endpoint's response: numbers as they are, and nothing private."""
    vectors = Vectors([array("b", [1, -2])], "int8")
    usage = Usage(7, 1).of(MODEL)
    result = EmbeddingsObject(vectors, usage, MODEL)
    ranking = RerankingObject([RerankingResult(0, "a", 0.5)], usage, MODEL)
    parts = [ContextualizedEmbeddingsResult(0, vectors, None, (1,))]
    types: dict[type, object] = {
        EmbeddingsObject: result,
        MultimodalEmbeddingsObject: MultimodalEmbeddingsObject(vectors, usage, MODEL),
        ContextualizedEmbeddingsObject: ContextualizedEmbeddingsObject(parts, usage, MODEL),
        RerankingObject: ranking,
        Usage: usage,
    }

    for kind, value in types.items():
        adapter: TypeAdapter[object] = TypeAdapter(kind)
        assert adapter.validate_python(value) is value
        written = adapter.dump_json(value).decode()
        assert "_by_model" not in written
        assert ("[[1,-2]]" in written) == (kind not in {RerankingObject, Usage})
        assert "number" in str(adapter.json_schema(mode="serialization")) or kind is Usage
    assert json.loads(TypeAdapter(EmbeddingsObject).dump_json(result)).keys() == {
        "vectors",
        "usage",
        "model",
    }
    with pytest.raises(ValidationError, match="Input should be an instance of Vectors"):
        TypeAdapter(EmbeddingsObject).validate_python({"vectors": [], "usage": usage, "model": ""})


def test_usages_add_up() -> None:
    """Tokens and requests."""
    assert Usage(5, 3) == Usage(2, 1) + Usage(3, 2)


# ── progress ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("texts", [["a", "b", "c", "", "e"], "alone"], ids=["list", "string"])
def test_a_progress_bar_counts_texts(
    runner, texts: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """On stderr, to the end, including empty ones; only if it is requested."""
    voyage = voyage_over(FakeService())
    options: dict[str, Any] = {"batch_size": 2, "empty_text": "zeros"}

    runner.call(voyage, "embed", texts, MODEL, **options)
    assert capsys.readouterr() == ("", "")
    runner.call(voyage, "embed", texts, MODEL, show_progress_bar=True, **options)

    out, err = capsys.readouterr()
    total = 1 if isinstance(texts, str) else len(texts)
    assert (out, f"{total}/{total}" in err) == ("", True)
    assert "Embedding" in err


def test_a_progress_bar_without_tqdm_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is sent."""
    import sys

    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    service = FakeService()

    with pytest.raises(ImportError, match="pip install tqdm"):
        voyage_over(service).embed(["a"], MODEL, show_progress_bar=True)
    assert service.attempts == []
