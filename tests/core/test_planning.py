"""Properties of the division of inputs into requests."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, starmap
from math import inf
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voyage_rag.core.planning import Limits, slices

weights = st.floats(0.1, 1_000)
works = st.lists(weights, max_size=200)
limits = st.builds(Limits, st.integers(1, 50), st.floats(1, 2_000))


class Numbered(NamedTuple):
    """An input."""

    number: int
    estimated_tokens: float


def slices_of(work: list[float], allowed: Limits) -> list[list[Numbered]]:
    """The slices of numbered inputs."""
    return list(slices(starmap(Numbered, enumerate(work)), lambda: allowed))


@given(works, limits)
def test_nothing_is_lost_and_order_is_kept(work: list[float], allowed: Limits) -> None:
    """The slices one after the other are the inputs."""
    assert list(enumerate(work)) == [item for piece in slices_of(work, allowed) for item in piece]


@given(works, limits)
def test_no_slice_is_empty_or_over_a_limit(work: list[float], allowed: Limits) -> None:
    """Unless it is a single input that exceeds the limit."""
    for piece in slices_of(work, allowed):
        assert 1 <= len(piece) <= allowed.inputs
        assert (
            len(piece) == 1
            or sum(weight for _, weight in piece) <= allowed.estimated_tokens * 1.000001
        )


@given(works, limits)
def test_a_slice_ends_only_where_the_next_input_does_not_fit(
    work: list[float], allowed: Limits
) -> None:
    """Each request is as full as the limits allow."""
    for piece, following in pairwise(slices_of(work, allowed)):
        weight = sum(weight for _, weight in piece) + following[0][1]
        assert len(piece) == allowed.inputs or weight > allowed.estimated_tokens * 0.999999


def test_inputs_are_taken_only_when_a_slice_needs_them() -> None:
    """Packing is lazy: an endless list yields its first slice."""
    taken = []

    def endless() -> Iterator[Numbered]:
        for number in range(10**9):
            taken.append(number)
            yield Numbered(number, 1.0)

    assert len(next(slices(endless(), lambda: Limits(3, 100.0)))) == 3
    assert taken == [0, 1, 2]


def test_limits_that_are_learnt_on_the_way_hold_for_the_next_slice() -> None:
    """Each slice uses the current limits."""
    learnt = iter([Limits(3, 100.0), Limits(1, 100.0), Limits(2, 100.0), Limits(9, 100.0)])
    pieces = slices((Numbered(number, 1.0) for number in range(9)), lambda: next(learnt))

    assert [len(piece) for piece in pieces] == [3, 1, 2, 3]


def test_an_input_of_infinite_weight_is_sent_alone() -> None:
    """It shares a request with no other input."""
    work = [1.0, float("inf"), 1.0, 1.0]

    assert [[number for number, _ in piece] for piece in slices_of(work, Limits(10, 100.0))] == [
        [0],
        [1],
        [2, 3],
    ]


# ── how many requests ─────────────────────────────────────────────────────────────────────────────

counts = st.none() | st.integers(0, 10**7)
rates = st.none() | st.floats(1, 1e5)
ROOMY = Limits(1_000, 1e6)


def requests_of(count: int, tokens: float, per_minute: float | None = None) -> list[int]:
    """How many inputs each request of a job has."""
    spread = ROOMY.spread(count, tokens, 16, per_minute)
    return [len(piece) for piece in slices_of([tokens / count] * count, spread)]


@given(limits, counts, st.floats(0, 1e9), st.integers(1, 256), rates)
def test_spreading_never_raises_a_limit(
    allowed: Limits, count: int | None, tokens: float, concurrency: int, per_minute: float | None
) -> None:
    """It only makes slices smaller, and every slice can contain an input."""
    spread = allowed.spread(count, tokens, concurrency, per_minute)

    assert 1 <= spread.inputs <= allowed.inputs
    assert spread == Limits(spread.inputs, allowed.estimated_tokens, allowed.size)


@given(st.integers(1, 10**6), st.integers(1, 256))
def test_spread_work_keeps_the_requests_busy(count: int, concurrency: int) -> None:
    """There is a slice for every concurrent request, unless slices would be too small."""
    inputs = ROOMY.spread(count, 1_000_000.0 + count, concurrency).inputs

    assert inputs <= max(32, -(-count // concurrency))


@pytest.mark.parametrize("count", [1, 2, 20, 32, 65, 150, 400, 1_000])
def test_a_small_job_is_one_request(count: int) -> None:
    """A few hundred short texts are not faster in several requests."""
    assert requests_of(count, 8.0 * count) == [count]


@pytest.mark.parametrize("tokens", [8_001, 12_000, 16_000])
def test_a_job_of_twice_as_much_is_two_requests(tokens: float) -> None:
    """Of about the same size."""
    assert requests_of(401, tokens) == [201, 200]


@pytest.mark.parametrize(
    ("count", "requests"), [(1_600, 16), (1_601, 16), (1_599, 16), (513, 16), (60_000, 235)]
)
def test_much_work_is_spread_evenly(count: int, requests: int) -> None:
    """As many slices as concurrent requests, none of more than 256 inputs."""
    assert len(requests_of(count, 50.0 * count)) == requests


@pytest.mark.parametrize(
    ("count", "per_minute", "requests"),
    [
        (1_600, 3, 2),
        (1_600, 60, 2),
        (1_600, 600, 2),
        (1_600, 2_000, 16),
        (60_000, 2_000, 235),
        (300_000, 2_000, 300),
        (60_000, 20_000, 235),
    ],
)
def test_where_requests_are_scarce_there_are_as_few_as_possible(
    count: int, per_minute: float, requests: int
) -> None:
    """Under a low limit, or where a job would use half of a high one."""
    assert len(requests_of(count, 50.0 * count, per_minute)) == requests


def test_a_stream_is_packed_where_requests_are_scarce() -> None:
    """Although its length is unknown."""
    assert ROOMY.spread(None, inf, 16).inputs == 256
    assert ROOMY.spread(None, inf, 16, 60.0).inputs == 1_000
