"""Chunks in context: how documents become windows and requests, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import TOO_MANY_TOKENS, FakeClock, FakeService, base64_of, failed, ok, voyage_over
from voyage_rag.core.context import estimate_tokens
from voyage_rag.core.contextual import ESTIMATE_PER_TOKEN
from voyage_rag.core.options import EmbedOptions
from voyage_rag.core.windows import Window
from voyage_rag.core.wire.responses import contextual_answer
from voyage_rag.errors import InvalidInputError, InvalidRequestError, ServerError
from voyage_rag.errors import UnexpectedAnswerError as Unexpected
from voyage_rag.hosts.messages import Response

MODEL = "voyage-context-of-tests"
OVER_WINDOW = (
    "Request to model 'voyage-context-4' failed. The example at index {} in your batch has too "
    "many tokens and does not fit into the model's context window of 32000 tokens. Contextualized "
    "chunk embeddings do not support truncation."
)
TOO_MANY = (
    "Request to model 'voyage-context-4' failed. The max allowed tokens per submitted batch is "
    "120000. Your batch has 138171 tokens after truncation. Please lower the number of tokens in "
    "the batch."
)


def vector_of(chunks: Sequence[str], at: int) -> list[float]:
    """Return numbers that identify a chunk, its position and its neighbours."""
    return [float(hash(chunks[at]) % 4096), float(at), float(hash(tuple(chunks)) % 4096)]


def served(body: bytes) -> Response:
    """Return the response of a healthy service."""
    documents = json.loads(body)["inputs"]
    data = [
        {
            "index": index,
            "data": [
                {"index": at, "embedding": base64_of(vector_of(chunks, at))}
                for at in range(len(chunks))
            ],
        }
        for index, chunks in enumerate(documents)
    ]
    return ok({"data": data, "usage": {"total_tokens": sum(map(len, documents))}})


def taking(most: int, in_all: int = 10**9) -> Callable[[bytes], Response]:
    """Return a service that limits the characters of a window and of a request."""

    def always(body: bytes) -> Response:
        sizes = [sum(map(len, chunks)) for chunks in json.loads(body)["inputs"]]
        for index, size in enumerate(sizes):
            if size > most:
                return failed(400, OVER_WINDOW.format(index))
        return failed(400, TOO_MANY) if sum(sizes) > in_all else served(body)

    return always


def contextual(service: FakeService, *args: Any, **options: Any) -> Any:
    return voyage_over(service, concurrency=1).contextualized_embed(*args, **options)


documents_of_chunks = st.lists(
    st.lists(st.integers(1, 60), min_size=1, max_size=12), min_size=1, max_size=8
)


@given(documents_of_chunks, st.integers(60, 300), st.integers(60, 600))
def test_every_chunk_is_embedded_once_with_neighbours_whatever_fits(
    sizes: list[list[int]], most: int, in_all: int
) -> None:
    """One vector per chunk, in order, and windows are runs of neighbouring chunks."""
    documents = [
        [f"{d}.{c}.".ljust(size + 6, "x") for c, size in enumerate(chunks)]
        for d, chunks in enumerate(sizes)
    ]
    service = FakeService(always=taking(most + 6, max(in_all, most + 6)))

    found = contextual(service, documents, MODEL)

    assert [result.index for result in found.results] == list(range(len(documents)))
    for chunks, result in zip(documents, found.results, strict=True):
        assert sum(result.windows) == len(chunks) == len(result.embeddings)
        start, expected = 0, []
        for length in result.windows:
            window = chunks[start : start + length]
            expected += [vector_of(window, at) for at in range(length)]
            assert sum(map(len, window)) <= most + 6
            start += length
        assert result.embeddings == expected
        if sum(map(len, chunks)) <= most + 6:
            assert result.windows == (len(chunks),)
    assert found.total_tokens == sum(map(len, documents))


@given(st.lists(st.floats(0.1, 100.0), min_size=2, max_size=20))
def test_halves_are_adjacent_and_of_similar_size(weights: list[float]) -> None:
    """No other cut between chunks comes nearer to the middle."""
    window = Window(3, 5, tuple(str(n) for n in range(len(weights))), tuple(weights))

    first, second = window.halves()

    assert first.chunks + second.chunks == window.chunks
    assert first.chunks
    assert second.chunks
    assert (first.first, second.first) == (5, 5 + len(first.chunks))
    off = abs(first.estimated_tokens - second.estimated_tokens)
    best = min(abs(sum(weights[:at]) - sum(weights[at:])) for at in range(1, len(weights)))
    assert off == pytest.approx(best)


def test_whole_documents_share_a_request() -> None:
    """Documents are packed together, not one per request."""
    service = FakeService(always=served)
    contextual(service, [["a", "b"], ["c"], ["d", "e", "f"]], MODEL)
    assert [body["inputs"] for body in service.bodies] == [[["a", "b"], ["c"], ["d", "e", "f"]]]


@pytest.mark.parametrize(
    ("documents", "requests"),
    [
        ([["word " * 20_000]] * 4, 4),  # ~33K tokens by the first guess, 120K to a request
        ([["x"] * 9_000] * 2, 2),  # 16,000 chunks
    ],
)
def test_a_request_keeps_to_the_limits(documents: list[list[str]], requests: int) -> None:
    """Tokens and chunks are counted over all documents of a request."""
    service = FakeService(always=served)
    contextual(service, documents, "voyage-context-4x")
    assert len(service.bodies) <= requests
    for body in service.bodies:
        assert sum(map(len, body["inputs"])) <= 16_000
        weight = sum(estimate_tokens(chunk) for chunks in body["inputs"] for chunk in chunks)
        assert weight <= 120_000


def test_no_more_than_a_thousand_documents_to_a_request() -> None:
    service = FakeService(always=served)
    contextual(service, [["x"]] * 2_500, MODEL)
    assert max(len(body["inputs"]) for body in service.bodies) <= 1_000
    assert sum(len(body["inputs"]) for body in service.bodies) == 2_500


def test_a_document_beyond_the_window_is_cut_greedily_with_a_warning(
    runner, caplog: pytest.LogCaptureFixture
) -> None:
    """Chunk after chunk until the next would not fit, at five characters to a token."""
    chunk = "x" * 4_997  # 1,000 tokens by the usual measure
    service = FakeService(always=served)

    found = runner.call(
        voyage_over(service), "contextualized_embed", [["short"], [chunk] * 70, ["also"]], MODEL
    )

    most = int(32_000 * ESTIMATE_PER_TOKEN / estimate_tokens(chunk))
    assert most == 32
    assert found.results[1].windows == (most, most, 70 - 2 * most)
    assert found.results[0].windows == found.results[2].windows == (1,)
    assert len(found.results[1].embeddings) == 70
    [record] = caplog.records
    assert record.getMessage().startswith("document 1 is longer than the model's window")


def test_a_window_that_is_too_long_for_the_service_is_halved_with_a_warning(
    runner, caplog: pytest.LogCaptureFixture
) -> None:
    """Only that document; the others stay whole."""
    service = FakeService(always=taking(40))
    documents = [["a" * 10] * 3, ["b" * 10] * 6, ["c" * 10]]

    found = runner.call(voyage_over(service), "contextualized_embed", documents, MODEL)

    assert [result.windows for result in found.results] == [(3,), (3, 3), (1,)]
    assert ["document 1 is" in record.getMessage() for record in caplog.records] == [True]
    assert len(service.bodies) == 2


def test_a_chunk_beyond_the_window_is_an_error_that_names_it(runner) -> None:
    """Document, chunk and remedy; nothing is cut inside a chunk."""
    service = FakeService(always=taking(40))
    documents = [["a"], ["b", "c" * 100, "d"]]

    with pytest.raises(
        InvalidRequestError, match=r"That is inputs\[1\]\[1\].*Split this"
    ) as caught:
        runner.call(voyage_over(service), "contextualized_embed", documents, MODEL)

    assert caught.value.indices == (1,)


def test_chunks_in_one_list_are_named_by_their_position_there(runner) -> None:
    service = FakeService(always=taking(40))
    with pytest.raises(InvalidRequestError, match=r"That is chunks\[2\]") as caught:
        runner.call(
            voyage_over(service), "embed_chunks", ["a", "b", "c" * 100], ["x", "y", "x"], MODEL
        )
    assert caught.value.indices == (2,)


def test_a_document_has_the_same_windows_whatever_was_learnt_before() -> None:
    """Windows decide vectors, so they depend on the document alone."""
    chunk = "x" * 4_997
    windows = []
    for tokens_before in (1, 10**6):
        first = ok(
            {
                "data": [{"index": 0, "data": [{"index": 0, "embedding": base64_of([1.0])}]}],
                "usage": {"total_tokens": tokens_before},
            }
        )
        voyage = voyage_over(FakeService(first, always=served))
        voyage.contextualized_embed([["y" * 10_000]], MODEL)
        windows.append(voyage.contextualized_embed([[chunk] * 70], MODEL).results[0].windows)
    assert windows[0] == windows[1]


def test_finished_documents_survive_a_failure(runner) -> None:
    """The error carries them; a document of which a window is missing is missing."""
    chunk = "x" * 4_997

    def always(body: bytes) -> Response:
        return failed(500) if b"boom" in body else served(body)

    service = FakeService(always=always)
    documents = [["small"] * 3, [*[chunk] * 100, "boom"]]
    voyage = voyage_over(service, max_retries=0, concurrency=1)

    with pytest.raises(ServerError) as caught:
        runner.call(voyage, "contextualized_embed", documents, MODEL)

    partial = caught.value.partial
    assert (list(partial.results), partial.missing) == ([0], (1,))
    assert len(partial.results[0].embeddings) == 3
    assert partial.usage == voyage.usage
    assert partial.model == MODEL


def test_finished_chunks_survive_a_failure_of_a_flat_list(runner) -> None:
    chunk = "x" * 60_000

    def always(body: bytes) -> Response:
        return failed(500) if b"boom" in body else served(body)

    voyage = voyage_over(FakeService(always=always), max_retries=0, concurrency=1)
    chunks = ["boom", *[chunk] * 8, "boom"]
    with pytest.raises(ServerError) as caught:
        runner.call(voyage, "embed_chunks", chunks, ["b", *range(8), "b"], MODEL)
    partial = caught.value.partial
    assert {0, 9} <= set(partial.missing)
    assert set(partial.vectors) | set(partial.missing) == set(range(10))


@pytest.mark.parametrize("again", [1, 2])
def test_a_second_run_with_a_cache_pays_for_changed_documents_only(
    runner, tmp_path, again: int
) -> None:
    """The key is all chunks of the window, in order."""
    documents = [["a", "b"], ["c", "d"], ["a", "e"]]
    options = {"cache": tmp_path / "cache.sqlite"}
    first = runner.call(
        voyage_over(FakeService(always=served), **options), "contextualized_embed", documents, MODEL
    )
    changed = [list(chunks) for chunks in documents]
    changed[again][1] = "changed"
    service = FakeService(always=served)

    second = runner.call(voyage_over(service, **options), "contextualized_embed", changed, MODEL)

    assert [body["inputs"] for body in service.bodies] == [[changed[again]]]
    for index in {0, 1, 2} - {again}:
        assert second.results[index].embeddings == first.results[index].embeddings
    assert second.results[again].embeddings[0] != first.results[again].embeddings[0]


def test_windows_that_were_cut_late_are_found_in_the_cache(tmp_path) -> None:
    """A second run asks for nothing that was answered before."""
    documents = [["a" * 30, "b" * 30, "c" * 30, "d" * 30]]
    service = FakeService(always=taking(60))
    voyage = voyage_over(service, cache=tmp_path / "cache.sqlite")
    first = voyage.contextualized_embed(documents, MODEL)
    paid = voyage.usage
    second = voyage.contextualized_embed(documents, MODEL)
    assert first.results[0].embeddings == second.results[0].embeddings
    assert voyage.usage == paid


def test_chunks_made_by_the_service_are_cached_with_their_texts(tmp_path) -> None:
    answer = {
        "data": [
            {
                "index": 0,
                "data": [
                    {"index": 0, "embedding": base64_of([1.0, 2.0]), "text": "one "},
                    {"index": 1, "embedding": base64_of([3.0, 4.0]), "text": "two"},
                ],
            }
        ],
        "chunker_version": "1.2.3",
        "usage": {"total_tokens": 3},
    }
    service = FakeService(ok(answer), always=lambda _: failed(400))
    voyage = voyage_over(service, cache=tmp_path / "cache.sqlite")
    arguments: dict[str, Any] = {
        "model": MODEL,
        "input_type": "document",
        "enable_auto_chunking": True,
        "chunk_size": 4,
        "chunk_overlap": 1,
    }

    for usage in (3, 0):
        found = voyage.contextualized_embed(["one two"], **arguments)
        assert found.results[0].chunk_texts == ["one ", "two"]
        assert found.chunk_texts == [["one ", "two"]]
        assert found.results[0].embeddings == [[1.0, 2.0], [3.0, 4.0]]
        assert found.results[0].windows == (2,)
        assert found.chunker_version == "1.2.3"
        assert found.total_tokens == usage
    assert service.bodies == [
        {
            "inputs": [["one two"]],
            "model": MODEL,
            "input_type": "document",
            "encoding_format": "base64",
            "enable_auto_chunking": True,
            "chunk_size": 4,
            "chunk_overlap": 1,
        }
    ]
    with pytest.raises(InvalidRequestError):  # another size is another key
        voyage.contextualized_embed(["one two"], **arguments | {"chunk_size": 5})


def test_a_document_too_long_for_the_service_to_split_is_named(runner) -> None:
    """The service's words are about a batch, where there is one document."""
    service = FakeService(always=lambda _: failed(400, TOO_MANY_TOKENS))
    with pytest.raises(InvalidRequestError, match=r"That is input 0: ~[\d,]+ tokens\. Split it"):
        runner.call(
            voyage_over(service),
            "contextualized_embed",
            ["long"],
            MODEL,
            "document",
            enable_auto_chunking=True,
        )


def test_chunk_fn_cuts_before_anything_is_sent(runner) -> None:
    service = FakeService(always=served)
    found = runner.call(
        voyage_over(service), "contextualized_embed", ["a b", "c"], MODEL, chunk_fn=str.split
    )
    assert service.bodies[0]["inputs"] == [["a", "b"], ["c"]]
    assert [result.chunk_texts for result in found.results] == [["a", "b"], ["c"]]


def test_an_empty_input_costs_nothing(runner) -> None:
    service = FakeService()
    voyage = voyage_over(service)
    assert runner.call(voyage, "contextualized_embed", [], MODEL).results == []
    assert runner.call(voyage, "embed_chunks", [], [], MODEL).embeddings == []
    assert service.attempts == []


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"inputs": ["a"]}, r"inputs[0] is a string where a list of chunks is expected"),
    ({"inputs": "a"}, "inputs must be a list of documents"),
    ({"inputs": 5}, "inputs must be a list of documents"),
    ({"inputs": {"a": "b"}}, "inputs must be a list of documents"),
    ({"inputs": [["a"], 5]}, "inputs[1] must be a list of chunks, not int"),
    ({"inputs": [["a"], ["b", 7]]}, "inputs[1][1] must be a string, not int"),
    ({"inputs": [["a"], ["b", ""]]}, "inputs[1][1] is empty"),
    ({"inputs": [["a"], []]}, "inputs[1] has no chunks"),
    (
        {"inputs": [["a", "b"]], "input_type": "query"},
        "inputs[0] has 2 strings instead of one",
    ),
    ({"inputs": [["a"]], "model": "voyage-4"}, "is a model for embed, not for contextualized"),
    ({"inputs": [["a"]], "input_type": "passage"}, "input_type must be one of"),
    ({"inputs": [["a"]], "output_dimension": 3, "model": "voyage-context-4"}, "output_dimension=3"),
    ({"inputs": [["a"]], "output_dtype": "int4"}, "output_dtype must be one of"),
    ({"inputs": [["a"]], "chunk_size": 5}, "chunk_size requires enable_auto_chunking"),
    ({"inputs": [["a"]], "chunk_overlap": 5}, "chunk_overlap requires enable_auto_chunking"),
    ({"inputs": [["a"]], "chunk_fn": "split"}, "chunk_fn must be a function"),
    ({"inputs": [["a"]], "chunk_fn": lambda _: []}, "inputs[0] has no chunks"),
    (
        {"inputs": [["a"]], "chunk_fn": lambda _: ["a", ""]},
        "chunk 1 in the result of chunk_fn for inputs",
    ),
    ({"inputs": [["a"]], "chunk_fn": lambda _: 5}, "the result of chunk_fn for inputs[0] must be"),
]
AUTO: list[tuple[dict[str, Any], str]] = [
    ({"input_type": None}, "requires input_type='document'"),
    ({"chunk_fn": str.split}, "choose one"),
    ({"chunk_size": 0}, "chunk_size must be a whole number of at least 1"),
    ({"chunk_size": 32_001}, "chunk_size must be at most 32000"),
    ({"chunk_overlap": 1}, "chunk_overlap requires chunk_size"),
    ({"chunk_size": 5, "chunk_overlap": 5}, "chunk_overlap must be a whole number from 0"),
    ({"chunk_size": 5, "chunk_overlap": True}, "chunk_overlap must be a whole number from 0"),
    ({"inputs": [["a", "b"]]}, "inputs[0] has 2 strings instead of one"),
    ({"enable_auto_chunking": 1}, "enable_auto_chunking must be True or False"),
]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *REFUSED,
        *(
            ({"inputs": ["a"], "input_type": "document", "enable_auto_chunking": True} | a, m)
            for a, m in AUTO
        ),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_sent(
    runner, arguments: dict[str, Any], message: str
) -> None:
    service = FakeService()
    with pytest.raises(InvalidInputError) as caught:
        runner.call(voyage_over(service), "contextualized_embed", **{"model": MODEL} | arguments)
    assert message in str(caught.value)
    assert service.attempts == []


@pytest.mark.parametrize(
    ("chunks", "documents", "message"),
    [
        (["a", "b"], ["x"], "2 chunks and 1 documents"),
        (["a"], "x", "documents must be a list"),
        (["a"], 5, "documents must be a list"),
        (["a"], [["x"]], "documents[0] is a list, which cannot identify"),
        (["a", ""], ["x", "x"], "chunks[1] is empty"),
        (["a", 5], ["x", "x"], "chunks[1] must be a string"),
    ],
)
def test_a_flat_list_has_to_say_what_belongs_together(
    chunks: Any, documents: Any, message: str
) -> None:
    service = FakeService()
    with pytest.raises(InvalidInputError) as caught:
        voyage_over(service).embed_chunks(chunks, documents, MODEL)
    assert message in str(caught.value)
    assert service.attempts == []


def test_a_flat_list_is_grouped_in_order_and_given_back_in_order(runner) -> None:
    """Mixed documents, chunks of their own, and empty ones where that is wanted."""
    service = FakeService(always=served)
    found = runner.call(
        voyage_over(service),
        "embed_chunks",
        ["a1", "b1", "", "own", "a2", "own"],
        ["a", "b", "a", None, "a", None],
        MODEL,
        output_dimension=3,
        empty_text="zeros",
    )
    assert service.bodies[0]["inputs"] == [["a1", "a2"], ["b1"], ["own"], ["own"]]
    assert found.embeddings == [
        vector_of(["a1", "a2"], 0),
        vector_of(["b1"], 0),
        [0.0, 0.0, 0.0],
        vector_of(["own"], 0),
        vector_of(["a1", "a2"], 1),
        vector_of(["own"], 0),
    ]


OPTIONS = EmbedOptions("m", None, False, None, None, None)


def item(index: int, *numbers: float, **more: Any) -> dict[str, Any]:
    return {"index": index, "embedding": base64_of(numbers), **more}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ([], [1]),
        ([{"index": 0, "data": [item(0, 1.0)]}], [2]),
        ([{"index": 0, "data": [item(0, 1.0)]}], [1, 1]),
        ([{"index": 1, "data": [item(0, 1.0)]}], [1]),
        ([{"index": 0, "data": [item(0, 1.0), item(0, 1.0)]}], [2]),
        ([{"index": 0, "data": [item(0, 1.0), item(2, 1.0)]}], ["ab"]),
        ([{"index": 0, "data": []}], ["ab"]),
        ([{"index": 0}], [1]),
        ([{"index": 0, "data": [item(0, 1.0), item(1, 1.0, 2.0)]}], [2]),
        ([{"index": 0, "data": [item(0, 1.0, text="a"), item(1, 1.0)]}], ["ab"]),
        ([{"index": 0, "data": [item(0, 1.0), item(1, 1.0, text=None)]}], ["ab"]),
    ],
)
def test_an_answer_that_lacks_a_vector_is_refused(data: Any, expected: list[int | str]) -> None:
    body = json.dumps({"data": data, "usage": {"total_tokens": 1}}).encode()
    with pytest.raises(Unexpected):
        contextual_answer(body, expected, OPTIONS)


def test_a_single_chunk_without_text_is_the_whole_document() -> None:
    data = [{"index": 0, "data": [item(0, 1.0, text=None)]}]
    body = json.dumps({"data": data, "usage": {"total_tokens": 1}}).encode()
    assert contextual_answer(body, ["ab"], OPTIONS).values[0].texts == ["ab"]


def test_an_answer_is_put_in_order() -> None:
    """By `index`, of documents and of chunks."""
    data = [
        {"index": 1, "data": [item(0, 3.0)]},
        {"index": 0, "data": [item(1, 2.0), item(0, 1.0)]},
    ]
    body = json.dumps({"data": data, "usage": {"total_tokens": 7}}).encode()
    read = contextual_answer(body, [2, 1], OPTIONS)
    assert [[v.tolist() for v in d.vectors] for d in read.values] == [[[1.0], [2.0]], [[3.0]]]
    assert read.total_tokens == 7


@pytest.mark.parametrize("verb", ["contextualized_embed", "embed_chunks"])
def test_requests_in_flight_together_are_paced_and_retried_as_for_texts(runner, verb: str) -> None:
    """A rate limit is waited out, a failure repeated, and every document keeps its place."""
    clock = FakeClock()
    service = FakeService(failed(429), failed(503), always=served)
    voyage = voyage_over(service, clock, concurrency=4)
    chunks = [f"{number} " * 9_000 for number in range(40)]

    if verb == "embed_chunks":
        vectors = runner.call(voyage, verb, chunks, range(40), MODEL).embeddings
    else:
        found = runner.call(voyage, verb, [[chunk] for chunk in chunks], MODEL)
        vectors = [vector for result in found.results for vector in result.embeddings]

    assert vectors == [vector_of([chunk], 0) for chunk in chunks]
    answered = voyage.usage.requests
    assert answered > 1
    assert len(service.attempts) == answered + 2
    assert sum(clock.sleeps) > 0.3


def test_a_limit_that_makes_a_call_slow_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    voyage = voyage_over(FakeService(always=served), tokens_per_minute=10_000)
    voyage.contextualized_embed([["word " * 3_000]] * 6, MODEL)
    assert any("so this takes about" in record.getMessage() for record in caplog.records)


def test_a_stream_of_texts_is_warned_about_missing_context(
    caplog: pytest.LogCaptureFixture,
) -> None:
    vectors = list(voyage_over(FakeService(always=served)).embed_iter(["a", "b"], MODEL))
    assert [vector.tolist() for vector in vectors] == [vector_of(["a"], 0), vector_of(["b"], 0)]
    assert "without the context of their documents" in caplog.text
