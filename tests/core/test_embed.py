"""One call to embed, many requests: order, halving, positions, zeros, and what a failure saves."""

from __future__ import annotations

import json
import sys
import threading
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Runner
from fakes import (
    MODEL,
    RERANKER,
    TOO_MANY_TOKENS,
    FakeClock,
    FakeService,
    base64_of,
    embedded,
    failed,
    ok,
    served,
    vector_of,
    voyage_over,
)
from voyage_rag.core.context import estimate_tokens
from voyage_rag.errors import (
    AuthenticationError,
    InvalidInputError,
    InvalidRequestError,
    ServerError,
    UnexpectedAnswerError,
    VoyageError,
)
from voyage_rag.hosts.messages import Response
from voyage_rag.models import ALL_DTYPES, OutputDtype
from voyage_rag.usage import Usage


def texts_up_to(count: int) -> list[str]:
    """Return texts that differ."""
    return [f"text {number}" for number in range(count)]


TOO_LARGE = (failed(400, TOO_MANY_TOKENS), Response(413, {}, b"<html>Request too large</html>"))


def taking(
    fits: Callable[[list[str]], bool], refusal: Response = TOO_LARGE[0]
) -> Callable[[bytes], Response]:
    """Return a service that rejects some batches as too large."""

    def always(body: bytes) -> Response:
        return served(body) if fits(json.loads(body)["input"]) else refusal

    return always


def failure_of(voyage: Any, *args: Any, **kwargs: Any) -> VoyageError:
    """Return the error of a call."""
    with pytest.raises(VoyageError) as caught:
        voyage.embed(*args, **kwargs)
    return caught.value


@pytest.mark.parametrize("batch_size", [1, 7, 100])
@pytest.mark.parametrize("concurrency", [1, 4])
def test_vectors_come_in_the_order_of_the_texts(runner, batch_size: int, concurrency: int) -> None:
    """However the texts are cut, there is one vector per text, in order, and one bill."""
    texts = texts_up_to(60)
    service = FakeService()
    voyage = voyage_over(service, concurrency=concurrency)

    result = runner.call(voyage, "embed", texts, MODEL, batch_size=batch_size)

    assert [vector_of(text) for text in texts] == result.embeddings
    assert max(len(body["input"]) for body in service.bodies) <= batch_size
    assert Usage(sum(map(len, texts)), len(service.attempts)) == result.usage
    assert (result.usage, MODEL) == (voyage.usage, result.model)


@pytest.mark.parametrize("refusal", TOO_LARGE, ids=["400", "413"])
@given(count=st.integers(1, 40), fits=st.integers(1, 40), concurrency=st.integers(1, 5))
def test_a_batch_that_is_too_large_is_halved_until_it_fits(
    refusal: Response, count: int, fits: int, concurrency: int
) -> None:
    """Every text is embedded once, and in its place, whatever the service is willing to take."""
    texts = texts_up_to(count)
    service = FakeService(always=taking(lambda batch: len(batch) <= fits, refusal))

    result = voyage_over(service, concurrency=concurrency).embed(texts, MODEL)

    assert [vector_of(text) for text in texts] == result.embeddings
    taken = [body["input"] for body in service.bodies if len(body["input"]) <= fits]
    assert sorted(texts) == sorted(text for batch in taken for text in batch)
    assert len(taken) == result.usage.requests


def test_halving_ends_at_the_text_that_is_too_large_and_names_it(runner) -> None:
    """The error is the service's, about one position of the caller's list."""
    texts = texts_up_to(20)
    texts[13] = "huge"
    service = FakeService(always=taking(lambda batch: "huge" not in batch))
    voyage = voyage_over(service)

    with pytest.raises(InvalidRequestError) as caught:
        runner.call(voyage, "embed", texts, MODEL)

    assert caught.value.indices == (13,)
    assert service.bodies[-1]["input"] == ["huge"]
    assert "input 13" in str(caught.value)


@pytest.mark.parametrize("empty", [(), (0, 1, 2, 5)], ids=["none empty", "some empty"])
def test_the_example_that_the_service_names_is_named_by_the_callers_position(
    empty: tuple[int, ...],
) -> None:
    """`example at index 1` of the second request, wherever that text stands in the list."""
    detail = "The example at index 1 in your batch has too many tokens and does not fit"
    service = FakeService(served, failed(400, detail))
    texts = [text if at not in empty else "" for at, text in enumerate(texts_up_to(12))]

    error = failure_of(
        voyage_over(service, concurrency=1), texts, MODEL, batch_size=4, empty_text="zeros"
    )

    named = service.bodies[1]["input"][1]
    assert (InvalidRequestError, (texts.index(named),)) == (type(error), error.indices)
    assert f"your input {texts.index(named)}:" in error.message
    assert len(service.attempts) == 2


@pytest.mark.parametrize(
    ("verb", "arguments", "remedy"),
    [
        ("embed", (["a"], "voyage-4"), "enable_auto_chunking=True"),
        ("rerank", ("q", ["a"], "rerank-2.5"), "Split it, or pass truncation=True."),
        ("multimodal_embed", (["a"], "voyage-multimodal-3.5"), "or pass truncation=True."),
    ],
)
def test_a_text_over_the_window_has_the_remedy_of_its_endpoint(
    verb: str, arguments: tuple[Any, ...], remedy: str
) -> None:
    """The service does not split what it ranks, nor images."""
    detail = "The example at index 0 has too many tokens for the context window of 32000 tokens."
    with pytest.raises(InvalidRequestError) as caught:
        getattr(voyage_over(FakeService(failed(400, detail))), verb)(*arguments)
    assert remedy in caught.value.message
    assert ("auto_chunk" in caught.value.message) is (verb == "embed")


def test_a_named_example_that_is_not_in_the_batch_is_not_believed() -> None:
    """Then the error is about the whole batch."""
    error = failure_of(
        voyage_over(FakeService(failed(400, "The example at index 9 in your batch"))),
        ["a", "b"],
        MODEL,
    )

    assert error.indices == (0, 1)


@pytest.mark.parametrize("failure", [failed(400), failed(500), failed(401)])
def test_an_error_names_the_inputs_of_its_request(failure: Response) -> None:
    """Whatever fails, `indices` are the positions that were in the request."""
    voyage = voyage_over(FakeService(served, failure), concurrency=1, max_retries=0)

    assert failure_of(voyage, texts_up_to(6), MODEL, batch_size=2).indices == (2, 3)


# ── what a failure saves ──────────────────────────────────────────────────────────────────────────


def test_a_failure_carries_what_was_finished(runner) -> None:
    """Vectors by position, positions that are missing, and what was paid."""
    texts = ["", *texts_up_to(7)]
    service = FakeService(served, served, always=lambda body: failed(500))
    voyage = voyage_over(service, concurrency=1, max_retries=1)

    with pytest.raises(ServerError) as caught:
        runner.call(voyage, "embed", texts, MODEL, batch_size=2, empty_text="zeros")

    partial = caught.value.partial
    finished = {position: vector.tolist() for position, vector in partial.vectors.items()}
    assert {position: vector_of(texts[position]) for position in (1, 2, 3, 4)} == {
        position: finished[position] for position in (1, 2, 3, 4)
    }
    assert partial.missing == (5, 6, 7)
    assert finished[0] == [0.0, 0.0]
    assert (Usage(sum(map(len, texts[1:5])), 2), MODEL) == (partial.usage, partial.model)


def test_the_halves_that_fitted_are_finished_too() -> None:
    """Halving keeps what it has got when a single text does not fit."""
    texts = texts_up_to(4)
    service = FakeService(always=taking(lambda batch: batch in (texts[:2], texts[2:3])))

    partial = failure_of(voyage_over(service), texts, MODEL).partial

    assert {0, 1, 2} == set(partial.vectors)
    assert tuple(partial.missing) == (3,)


def test_a_failure_before_anything_was_finished_misses_everything() -> None:
    """There is a partial result, and it is empty."""
    partial = failure_of(voyage_over(FakeService(failed(401))), ["a", "b"], MODEL).partial

    assert ({}, (0, 1), Usage()) == (partial.vectors, tuple(partial.missing), partial.usage)


def test_what_was_billed_makes_the_next_requests_smaller() -> None:
    """Texts that cost ten times the guess are sent in smaller batches from then on."""

    def dear(body: bytes) -> Response:
        texts = json.loads(body)["input"]
        answer = json.loads(served(body).body)
        return ok(answer | {"usage": {"total_tokens": 10 * sum(map(len, texts))}})

    service = FakeService(always=dear)
    voyage = voyage_over(service, concurrency=1)
    for _ in range(2):
        voyage.embed([f"{n} " + "word " * 200 for n in range(100)], MODEL, batch_size=1_000)

    sizes = [len(body["input"]) for body in service.bodies]
    assert sizes[0] == 100
    assert max(sizes[1:]) < 50


def test_no_bill_is_lost_between_threads() -> None:
    """However often threads take turns, the result costs what the object says it has spent."""
    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(8):
            voyage = voyage_over(FakeService(), concurrency=32)
            result = voyage.embed(texts_up_to(500), MODEL, batch_size=1)
            assert Usage(sum(map(len, texts_up_to(500))), 500) == result.usage == voyage.usage
    finally:
        sys.setswitchinterval(switching)


def test_usage_counts_every_answer_that_was_paid_for() -> None:
    """A call that fails has cost what its answered requests cost."""
    voyage = voyage_over(FakeService(served, failed(400)), concurrency=1)
    failure_of(voyage, ["ab", "c"], MODEL, batch_size=1)

    assert Usage(2, 1) == voyage.usage


# ── empty texts ───────────────────────────────────────────────────────────────────────────────────


def flexible(body: bytes) -> Response:
    """A service of sixteen dimensions in every number type."""
    asked = json.loads(body)
    dtype = asked.get("output_dtype", "float")
    numbers = [1] * (2 if "binary" in dtype else 16)
    code = {"float": "f", "uint8": "B", "ubinary": "B"}.get(dtype, "b")
    data = [
        {"embedding": base64_of(numbers, code), "index": index}
        for index, _ in enumerate(asked["input"])
    ]
    return Response(200, {}, json.dumps({"data": data}).encode())


@pytest.mark.parametrize("dtype", [None, *ALL_DTYPES])
@pytest.mark.parametrize("texts", [["", "a", ""], ["", ""]], ids=["some", "all"])
def test_empty_texts_are_given_zero_vectors_of_the_same_kind(
    dtype: OutputDtype | None, texts: list[str]
) -> None:
    """Length and number type are those of the others; the service never sees them."""
    service = FakeService(always=flexible)
    result = voyage_over(service).embed(
        texts, MODEL, output_dtype=dtype, output_dimension=16, empty_text="zeros"
    )

    length = 2 if dtype in {"binary", "ubinary"} else 16
    zero, one = [-128 if dtype == "binary" else 0] * length, [1] * length
    assert [one if text else zero for text in texts] == result.embeddings
    assert [["a"]] * (1 if "a" in texts else 0) == [body["input"] for body in service.bodies]
    assert {(vector.typecode, len(vector)) for vector in result.vectors} == {
        (result.vectors[0].typecode, length)
    }


def test_zero_vectors_have_the_length_of_the_service_where_it_is_not_known() -> None:
    """A model of unknown dimension: the length of the other vectors is used."""
    result = voyage_over(FakeService()).embed(["", "a"], MODEL, empty_text="zeros")

    assert [[0.0, 0.0], vector_of("a")] == result.embeddings


def test_only_empty_texts_for_a_model_of_unknown_dimension_are_refused() -> None:
    """The length is unknown; the message says what to pass."""
    with pytest.raises(InvalidInputError, match="output_dimension"):
        voyage_over(FakeService()).embed(["", ""], MODEL, empty_text="zeros")


def test_only_empty_texts_have_the_default_dimension_of_a_known_model() -> None:
    """And cost nothing."""
    service = FakeService()
    result = voyage_over(service).embed([""], "voyage-3-lite", empty_text="zeros")

    assert result.embeddings == [[0.0] * 512]
    assert ([], Usage()) == (service.attempts, result.usage)


def test_lists_are_the_same_numbers(runner) -> None:
    """`as_lists` changes when lists are made, and nothing that can be seen."""
    texts = ["", *texts_up_to(7)]
    options = {"batch_size": 3, "empty_text": "zeros"}

    compact = runner.call(voyage_over(FakeService()), "embed", texts, MODEL, **options)
    lists = runner.call(voyage_over(FakeService()), "embed", texts, MODEL, as_lists=True, **options)

    assert compact.embeddings == lists.embeddings
    assert list(compact.vectors) == list(lists.vectors)
    assert list(compact.vectors[2:4]) == list(lists.vectors[2:4])
    assert compact.to_numpy().tolist() == lists.to_numpy().tolist()
    assert {type(row) for row in lists.vectors} == {type(lists.vectors[0])} == {array}


def test_zero_vectors_are_not_one_list() -> None:
    """Changing one in place leaves the others as they are."""
    found = voyage_over(FakeService()).embed(
        ["", "", "a"], MODEL, empty_text="zeros", as_lists=True
    )

    found.embeddings[0][0] = 1.0

    assert found.embeddings[1] == [0.0, 0.0]


def test_a_failure_carries_compact_vectors_even_if_lists_were_asked_for() -> None:
    """`partial` has one form."""
    service = FakeService(served, always=lambda body: failed(500))
    voyage = voyage_over(service, concurrency=1, max_retries=0)

    partial = failure_of(voyage, texts_up_to(4), MODEL, batch_size=2, as_lists=True).partial

    assert {0: array("f", vector_of("text 0")), 1: array("f", vector_of("text 1"))} == (
        partial.vectors
    )
    assert partial.missing == (2, 3)


def test_lists_come_of_the_cache_too(tmp_path: Path) -> None:
    """The stored entries do not depend on the type of the results."""
    service = FakeService()
    voyage = voyage_over(service, cache=tmp_path / "cache")

    first = voyage.embed(["a", "b"], MODEL, as_lists=True)
    again = voyage.embed(["a", "b"], MODEL, as_lists=True)
    compact = voyage.embed(["a", "b"], MODEL)

    assert first.embeddings == again.embeddings == compact.embeddings
    assert len(service.attempts) == 1


class Column:
    """A column of a table has a length and an order, but is not a `Sequence`."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values
        self.seen_in: set[int] = set()

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Any]:
        self.seen_in.add(threading.get_ident())
        return iter(self.values)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize(
    ("verb", "given"),
    [
        ("aembed", {"model": MODEL}),
        ("arerank", {"model": "rerank-3", "query": "q"}),
        ("aembed_chunks", {"model": "voyage-context-4", "documents": [0] * 1_002}),
        ("acontextualized_embed", {"model": "voyage-context-4", "input_type": "query"}),
    ],
)
def test_checking_many_texts_does_not_block_the_event_loop(
    backend: str, verb: str, given: dict[str, Any]
) -> None:
    """A thread checks them and estimates their tokens. The last one is bad, so nothing is sent."""
    column = Column([*texts_up_to(1_001), None])

    async def program() -> int:
        call = getattr(voyage_over(FakeService()), verb)
        with pytest.raises(InvalidInputError, match=r"\[1001\]"):
            await call(**{FIRST.get(verb, "texts"): column}, **given)
        return threading.get_ident()

    assert anyio.run(program, backend=backend) not in column.seen_in
    assert column.seen_in


FIRST = {"arerank": "documents", "aembed_chunks": "chunks", "acontextualized_embed": "inputs"}


def billing(tokens_per_text: int) -> FakeService:
    """Return a service that bills the same for every text."""

    def answer(body: bytes) -> Response:
        texts = json.loads(body)["input"]
        return ok(embedded([vector_of(text) for text in texts], tokens_per_text * len(texts)))

    return FakeService(always=answer)


@pytest.mark.parametrize(("input_type", "learnt"), [(None, 3_000), ("document", 4_000)])
def test_the_prompt_is_not_taken_for_cheap_texts(input_type: Any, learnt: int) -> None:
    """With a prompt the service bills one token less for each text than it counts for a limit."""
    voyage = voyage_over(billing(3))

    voyage.embed([f"w{n:03}" for n in range(1_000)], MODEL, input_type)

    estimated = 1_000 * estimate_tokens("word")
    assert voyage.context.budgets[MODEL].ratio.tokens(estimated) == pytest.approx(
        1.05 * learnt, rel=0.01
    )


def test_requests_are_planned_to_fit_into_the_minute() -> None:
    """As few as the limit allows, none of which has to be cut in two afterwards."""
    service, texts = billing(250), [f"{n:03}" + "x" * 744 for n in range(100)]
    assert estimate_tokens(texts[0]) == 250

    limits = {"requests_per_minute": 3, "tokens_per_minute": 10_000}
    voyage_over(service, **limits).embed(texts, MODEL)

    sizes = [len(body["input"]) for body in service.bodies]
    assert sorted(sizes) == [28, 36, 36]


def test_a_small_job_is_one_request_and_its_query_another(runner: Runner) -> None:
    """On the free tier, no wait for the next minute, whether or not the limit is given."""
    for limits in ({}, {"requests_per_minute": 3}, {"requests_per_minute": 3, "concurrency": 1}):
        clock, service = FakeClock(), FakeService()
        voyage = voyage_over(service, clock, **limits)

        runner.call(voyage, "embed", texts_up_to(400), MODEL, "document")
        runner.call(voyage, "embed", ["question"], MODEL, "query")

        assert (len(service.attempts), clock.sleeps) == (2, [])


# ── equal, empty and malformed texts ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("as_lists", [False, True])
def test_each_distinct_text_is_sent_once(runner, as_lists: bool) -> None:
    """There is one vector per text all the same, and none is another's list."""
    service = FakeService()
    texts = [f"text {n % 50}" for n in range(1_000)]

    found = runner.call(voyage_over(service), "embed", texts, MODEL, as_lists=as_lists)

    assert found.embeddings == [vector_of(text) for text in texts]
    assert sorted(text for body in service.bodies for text in body["input"]) == sorted(set(texts))
    assert found.usage.total_tokens == sum(map(len, set(texts)))
    found.embeddings[0][0] = -1.0
    assert found.embeddings[50] == vector_of("text 0")


@pytest.mark.parametrize("as_lists", [False, True])
@pytest.mark.parametrize("changed", [0, 2, -1, slice(2, None)])
def test_changing_a_vector_does_not_change_those_of_equal_texts(
    runner, as_lists: bool, changed: int | slice
) -> None:
    """Equal texts do not share an array, whichever is changed first."""
    texts = ["a", "b", "a", "a"]
    voyage = voyage_over(FakeService())
    vectors = runner.call(voyage, "embed", texts, MODEL, as_lists=as_lists).vectors

    part = vectors[changed]
    vector = part[0] if isinstance(changed, slice) else part
    vector[0] = -1.0

    others = set(range(4)) - {range(4)[changed] if isinstance(changed, int) else 2}
    assert all(vectors[n].tolist() == vector_of(texts[n]) for n in others)
    assert [list(row) for row in vectors] == [row.tolist() for row in vectors.to_numpy()]


def test_a_failure_saves_the_vectors_of_equal_texts(runner) -> None:
    """Every position of a finished text has its vector."""
    service = FakeService(served, always=lambda body: failed(500))
    voyage = voyage_over(service, concurrency=1, max_retries=0)

    with pytest.raises(ServerError) as caught:
        runner.call(voyage, "embed", ["a", "b", "a", "c", "b"], MODEL, batch_size=2)

    assert set(caught.value.partial.vectors) == {0, 1, 2, 4}
    assert caught.value.partial.missing == (3,)
    caught.value.partial.vectors[0][0] = -1.0
    assert caught.value.partial.vectors[2].tolist() == vector_of("a")


def test_progress_counts_equal_texts(runner, capsys: pytest.CaptureFixture[str]) -> None:
    """The bar reaches the number of texts."""
    texts = ["a", "b", "a", "a", ""]
    voyage = voyage_over(FakeService())
    runner.call(voyage, "embed", texts, MODEL, empty_text="zeros", show_progress_bar=True)

    assert "5/5" in capsys.readouterr().err


def test_an_empty_text_may_be_embedded_as_a_space(runner) -> None:
    """Its vector is that of one space, and the service gets no empty string."""
    service = FakeService()

    found = runner.call(voyage_over(service), "embed", ["a", "", " "], MODEL, empty_text="space")

    assert found.embeddings == [vector_of("a"), vector_of(" "), vector_of(" ")]
    assert service.bodies[0]["input"] == ["a", " "]


SMILE = "\ud83d\ude00"
"""Two halves of one character."""


@pytest.mark.parametrize(
    ("verb", "arguments", "field", "sent"),
    [
        ("embed", ([f"a{SMILE}"], MODEL), "input", ["a😀"]),
        ("rerank", (SMILE, [f"b{SMILE}"], RERANKER), "documents", ["b😀"]),
        ("rerank", (SMILE, ["b"], RERANKER), "query", "😀"),
        ("embed_chunks", ([SMILE], ["d"], "voyage-context-4"), "inputs", [["😀"]]),
        ("contextualized_embed", ([[SMILE]], "voyage-context-4"), "inputs", [["😀"]]),
        (
            "multimodal_embed",
            ([[SMILE]], "voyage-multimodal-3.5"),
            "inputs",
            [{"content": [{"type": "text", "text": "😀"}]}],
        ),
    ],
)
def test_the_halves_of_a_character_are_joined(
    runner, verb: str, arguments: Any, field: str, sent: object
) -> None:
    """Before they are sent."""
    service = FakeService(failed(401))
    with pytest.raises(AuthenticationError):
        runner.call(voyage_over(service), verb, *arguments)

    assert service.bodies[0][field] == sent


def test_half_a_character_may_be_replaced(runner) -> None:
    """Otherwise it is an error. Complete characters next to it are kept."""
    service = FakeService()
    voyage = voyage_over(service)

    with pytest.raises(InvalidInputError, match="invalid_text='replace'"):
        runner.call(voyage, "embed", ["a", "b\ud83d"], MODEL)
    runner.call(voyage, "embed", [f"{SMILE}b\ud83dc\ude00"], MODEL, invalid_text="replace")

    assert [body["input"] for body in service.bodies] == [["😀b\ufffdc\ufffd"]]


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [("embed_chunks", (["b\ud83d"], ["d"])), ("contextualized_embed", ([["b\ud83d"]],))],
)
def test_half_a_character_of_a_chunk_may_be_replaced(runner, verb: str, arguments: Any) -> None:
    """As of a text."""
    service = FakeService(failed(401))
    voyage = voyage_over(service)

    with pytest.raises(InvalidInputError, match="invalid_text='replace'"):
        runner.call(voyage, verb, *arguments, "voyage-context-4")
    with pytest.raises(InvalidInputError, match="must be one of 'error', 'replace'"):
        runner.call(voyage, verb, *arguments, "voyage-context-4", invalid_text="drop")
    with pytest.raises(AuthenticationError):
        runner.call(voyage, verb, *arguments, "voyage-context-4", invalid_text="replace")

    assert [body["inputs"] for body in service.bodies] == [[["b\ufffd"]]]


def growing() -> Callable[[bytes], Response]:
    """Return a service that changes its model, so that each response has longer vectors."""
    lengths = iter(range(2, 9))

    def always(body: bytes) -> Response:
        length = next(lengths)
        return ok(embedded([[1.0] * length for _ in json.loads(body)["input"]]))

    return always


def test_vectors_of_different_lengths_are_not_joined(runner: Runner) -> None:
    """Those of a response are compared with each other when it is read; these are of several."""
    voyage = voyage_over(FakeService(always=growing()), concurrency=1)
    with pytest.raises(
        UnexpectedAnswerError, match="the vectors of this call have 2 and 3 nu"
    ) as caught:
        runner.call(voyage, "embed", ["a", "b"], MODEL, batch_size=1)
    assert [len(caught.value.partial.vectors[n]) for n in (0, 1)] == [2, 3]


def test_vectors_of_an_older_model_in_the_cache_are_not_joined(runner: Runner) -> None:
    voyage = voyage_over(FakeService(always=growing()), cache=":memory:")

    async def program() -> None:
        await runner.ask(voyage, "embed", ["a"], MODEL)
        with pytest.raises(UnexpectedAnswerError, match="delete the cache"):
            await runner.ask(voyage, "embed", ["a", "b"], MODEL)

    runner.run(program)


def test_a_stream_ends_where_vectors_have_another_length() -> None:
    voyage = voyage_over(FakeService(always=growing()), concurrency=1)
    stream = voyage.embed_iter(["a", "b"], MODEL, batch_size=1)
    assert len(next(stream)) == 2
    with pytest.raises(UnexpectedAnswerError, match="2 and 3 numbers"):
        next(stream)
