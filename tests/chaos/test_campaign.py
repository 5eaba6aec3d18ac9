"""Documents under faults at a fifth of all requests: identical, in order, and paid for once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from chaos import campaign, files, keep_alive, load
from chaos.account import account_of
from chaos.campaign import QUICK_FAULTS
from chaos.corpus import Passage, passages
from chaos.entry_points import ENTRY_POINTS, langchain_sync
from voyage_rag import Voyage
from voyage_rag.emulator import ReceivedRequest, faults
from voyage_rag.emulator.faults import Fault

SEEDS = {name: 10 + place for place, name in enumerate(ENTRY_POINTS)}
ADDRESS = "/v1/embeddings"


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_every_document_arrives_once_and_unharmed(name: str) -> None:
    """Both frameworks, on sync, asyncio and trio; `make chaos` sends thousands."""
    outcome = campaign.run(name, ENTRY_POINTS[name], passages(160, 7), SEEDS[name], QUICK_FAULTS)

    assert outcome.grievances == []
    assert outcome.account.retries > 0
    assert len(outcome.account.faults) > 2


def test_the_campaign_notices_what_is_paid_twice_or_mixed_up() -> None:
    """The campaign detects needless repetitions, and swapped or lost results."""

    def again(voyage: Voyage, given: Sequence[Passage]) -> list[Any]:
        voyage.embed([given[3].text], "voyage-4", "document", output_dimension=256)
        return langchain_sync(voyage, given)

    texts = passages(9, 1)
    assert f"paid again without a fault: {(ADDRESS, texts[3].text)!r}" in (
        campaign.run("again", again, texts, 1, QUICK_FAULTS).grievances
    )
    calls: list[int] = []

    def unstable(voyage: Voyage, given: Sequence[Passage]) -> list[Any]:
        calls.append(1)
        results = langchain_sync(voyage, given)
        return results if len(calls) == 1 else [results[1], results[0], *results[2:]]

    found = campaign.run("unstable", unstable, texts, 1, QUICK_FAULTS).grievances
    assert found == ["result 0 differs", "result 1 differs"]


@pytest.mark.parametrize(
    ("fault", "sound"),
    [
        (None, True),
        (faults.REORDERED, True),
        (faults.CLOSED, True),
        (faults.trickled(1.0), True),
        (faults.MISSING, False),
        (faults.NAN, False),
        (faults.DROPPED, False),
        (faults.SILENT, False),
    ],
)
def test_the_campaign_counts_what_a_fault_forces(fault: Fault | None, sound: bool) -> None:
    """Only a text whose response was damaged is paid for again."""
    request = ReceivedRequest(ADDRESS, {"input": ["a", "b"]}, {}, 0.0, tokens=2, fault=fault)
    whole = ReceivedRequest(ADDRESS, {"input": ["a", "b"]}, {}, 1.0, tokens=2)
    due = [(ADDRESS, "a"), (ADDRESS, "b")]

    once, twice = account_of([request]), account_of([request, whole])

    assert (once.grievances(due) == []) is sound
    assert (twice.grievances(due) == []) is not sound
    assert (twice.forced == 2) is not sound
    refused = ReceivedRequest(ADDRESS, {"input": ["a", "b"]}, {}, 0.0, fault=faults.status(503))
    assert account_of([refused, whole]).grievances(due) == []


def test_callers_that_share_an_object_have_their_own_answers() -> None:
    """Fifty of them, sync and async; `make chaos` runs two hundred for a minute."""
    with load.emulator_apart() as url:
        for mode in ("sync", "asyncio", "trio"):
            found = load.run(mode, 0.8, url, callers=50)
            assert found.errors == []
            assert found.calls > 0
            assert max(found.sockets) <= 50 + load.OTHER_SOCKETS
            assert (found.left_sockets, found.left_threads) <= (0, 0)


@pytest.mark.parametrize("mode", ["sync", "asyncio", "trio"])
def test_queries_over_connections_that_die_have_their_own_vectors(mode: str) -> None:
    """In every way; `make chaos` makes ten thousand queries."""
    outcome = keep_alive.run(mode, 250, seed=1)
    assert (outcome.wrong, outcome.errors) == (0, []), outcome
    assert outcome.connects <= 1, outcome
    assert len(outcome.events) > 10


def test_random_files_lose_no_row() -> None:
    """Every format with defects, changed and killed meanwhile; `make chaos` tries a thousand."""
    found = files.run(40, 1)

    assert found.grievances == []
    assert {"changed", "killed", "same id"} < found.defects.keys()


def test_the_campaign_notices_a_row_that_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that leaves out a row is detected."""
    from voyage_rag.jobs.inputs.opening import InputReader

    whole = InputReader.rows

    def without_the_third(reader: InputReader, skip: int = 0) -> Any:
        return (row for at, row in enumerate(whole(reader, skip), skip) if at != 2)

    monkeypatch.setattr(InputReader, "rows", without_the_third)
    assert files.run(10, 1).grievances
