"""VoyageAIEmbeddings: what LangChain's users rely on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from voyage_rag import InvalidInputError, ServerError, Voyage
from voyage_rag.emulator import Emulator
from voyage_rag.emulator.faults import status
from voyage_rag.langchain import VoyageAIEmbeddings

if TYPE_CHECKING:
    from conftest import Runner
    from fakes import FakeClock

KEY = "pa-a-key-that-must-stay-secret"
TEXTS = [f"text number {number}" for number in range(10)]


def test_the_prompts_are_those_of_the_method(
    embeddings: VoyageAIEmbeddings, emulator: Emulator, runner: Runner
) -> None:
    """Documents are embedded as documents, queries as queries."""
    runner.call(embeddings, "embed_documents", ["a"])
    runner.call(embeddings, "embed_query", "a")
    assert [request.body["input_type"] for request in emulator.requests] == ["document", "query"]


def test_the_prompts_can_be_left_out(make: Any, emulator: Emulator, runner: Runner) -> None:
    """None sends no input type at all."""
    made = make(
        VoyageAIEmbeddings, model="voyage-4", document_input_type=None, query_input_type=None
    )
    runner.call(made, "embed_documents", ["a"])
    runner.call(made, "embed_query", "a")
    assert all("input_type" not in request.body for request in emulator.requests)


def test_one_vector_per_text_in_order(make: Any, runner: Runner) -> None:
    """However many requests it takes."""
    made = make(VoyageAIEmbeddings, model="voyage-4", output_dimension=256, batch_size=3)
    together = runner.call(made, "embed_documents", TEXTS)
    alone = [runner.call(made, "embed_documents", [text])[0] for text in TEXTS]
    assert together == alone
    assert len({tuple(vector) for vector in together}) == len(TEXTS)


@pytest.mark.parametrize(("batch_size", "requests"), [(1, 10), (3, 4), (10, 1), (None, 1)])
def test_the_batch_size_is_honoured(
    batch_size: int | None, requests: int, make: Any, emulator: Emulator, runner: Runner
) -> None:
    """A request has at most this number of texts; None leaves it to the planner."""
    made = make(VoyageAIEmbeddings, model="voyage-4", batch_size=batch_size)
    runner.call(made, "embed_documents", TEXTS)
    assert len(emulator.requests) == requests
    assert sum(len(request.body["input"]) for request in emulator.requests) == len(TEXTS)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_size_that_cannot_work_is_refused(batch_size: int, make: Any) -> None:
    """By name and at construction, instead of an endless loop."""
    with pytest.raises(ValueError, match="batch_size"):
        make(VoyageAIEmbeddings, model="voyage-4", batch_size=batch_size)


def test_no_texts_cost_nothing(
    embeddings: VoyageAIEmbeddings, emulator: Emulator, runner: Runner
) -> None:
    """An empty list gives an empty list, without a request."""
    assert runner.call(embeddings, "embed_documents", []) == []
    assert emulator.requests == []


def test_empty_texts_are_refused_or_given_zeros(
    make: Any, emulator: Emulator, runner: Runner
) -> None:
    """By position before anything is sent, or zero vectors in their places."""
    strict = make(VoyageAIEmbeddings, model="voyage-4", output_dimension=256)
    with pytest.raises(InvalidInputError) as caught:
        runner.call(strict, "embed_documents", ["a", "", "b"])
    assert caught.value.indices == (1,)
    assert emulator.requests == []
    lenient = strict.model_copy(update={"empty_text": "zeros"})
    vectors = runner.call(lenient, "embed_documents", ["a", "", "b"])
    assert [any(vector) for vector in vectors] == [True, False, True]
    assert [len(vector) for vector in vectors] == [256] * 3


@pytest.mark.parametrize(("options", "kind"), [({}, float), ({"integers": True}, int)])
def test_small_number_types_give_floats_unless_integers_are_asked_for(
    make: Any, runner: Runner, options: dict[str, Any], kind: type
) -> None:
    """LangChain's contract is list[list[float]]; PostgreSQL's stores refuse whole numbers."""
    made = make(
        VoyageAIEmbeddings, model="voyage-4", output_dimension=256, output_dtype="int8", **options
    )
    (vector,) = runner.call(made, "embed_documents", ["a"])
    query = runner.call(made, "embed_query", "a")
    assert len(vector) == len(query) == 256
    assert {type(number) for number in [*vector, *query]} == {kind}
    assert any(vector)


def test_the_bar_is_drawn_on_stderr_and_counts_texts(
    make: Any, runner: Runner, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only if it is requested, and never for a query."""
    quiet = make(VoyageAIEmbeddings, model="voyage-4", batch_size=2)
    runner.call(quiet, "embed_documents", TEXTS)
    loud = quiet.model_copy(update={"show_progress_bar": True})
    runner.call(loud, "embed_query", "a")
    assert capsys.readouterr() == ("", "")
    runner.call(loud, "embed_documents", TEXTS)
    loud.voyage.close()
    drawn = capsys.readouterr()
    assert drawn.out == ""
    assert "10/10" in drawn.err
    assert "Embedding: 100%" in drawn.err


def test_usage_adds_up(embeddings: VoyageAIEmbeddings, emulator: Emulator, runner: Runner) -> None:
    """What the object has spent is what the service billed."""
    runner.call(embeddings, "embed_documents", TEXTS)
    runner.call(embeddings, "embed_query", "how much?")
    assert embeddings.usage.total_tokens == sum(request.tokens for request in emulator.requests)
    assert embeddings.usage.requests == 2


def test_a_failure_keeps_what_was_paid_for(runner: Runner, clock: FakeClock) -> None:
    """The error carries the finished vectors by position, and the positions that are missing."""
    emulator = Emulator(faults=[None, status(500)])
    with emulator as url:
        voyage = Voyage(KEY, base_url=url, max_retries=0, concurrency=1, clock=clock)
        made = VoyageAIEmbeddings(model="voyage-4", batch_size=2, client=voyage)
        with pytest.raises(ServerError) as caught:
            runner.call(made, "embed_documents", ["a", "b", "c"])
        voyage.close()
    assert sorted(caught.value.partial.vectors) == [0, 1]
    assert caught.value.partial.missing == (2,)


def test_what_the_cache_holds_is_not_paid_for_again(
    make: Any, emulator: Emulator, runner: Runner, tmp_path: Path
) -> None:
    """By another object, too; a query is not a document."""
    one, other = (
        make(VoyageAIEmbeddings, model="voyage-4", output_dimension=256, cache=tmp_path / "cache")
        for _ in range(2)
    )
    first = runner.call(one, "embed_documents", TEXTS[:4])
    again = runner.call(other, "embed_documents", TEXTS[:5])
    runner.call(other, "embed_query", TEXTS[0])
    assert again[:4] == first
    assert [request.body["input"] for request in emulator.requests] == [
        TEXTS[:4],
        TEXTS[4:5],
        TEXTS[:1],
    ]
