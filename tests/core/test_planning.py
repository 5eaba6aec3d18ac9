"""The laws of cutting inputs into requests."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voyage_rag.core.planning import Limits, pack

weights = st.floats(0.1, 1_000)
works = st.lists(weights, max_size=200)
limits = st.builds(Limits, st.integers(1, 50), st.floats(1, 2_000))


def slices_of(work: list[float], allowed: Limits) -> list[list[tuple[int, float]]]:
    """The slices of numbered inputs."""
    return list(pack(enumerate(work), lambda: allowed))


@given(works, limits)
def test_nothing_is_lost_and_order_is_kept(work: list[float], allowed: Limits) -> None:
    """The slices one after the other are the inputs."""
    assert list(enumerate(work)) == [item for piece in slices_of(work, allowed) for item in piece]


@given(works, limits)
def test_no_slice_is_empty_or_over_a_limit(work: list[float], allowed: Limits) -> None:
    """A slice keeps to both limits, unless it is a single input that is too heavy by itself."""
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
    """No request is sent that the one before it could have carried."""
    for piece, following in pairwise(slices_of(work, allowed)):
        weight = sum(weight for _, weight in piece) + following[0][1]
        assert len(piece) == allowed.inputs or weight > allowed.estimated_tokens * 0.999999


def test_inputs_are_taken_only_when_a_slice_needs_them() -> None:
    """Packing is lazy: an endless list gives its first slice."""
    taken = []

    def endless() -> Iterator[tuple[int, float]]:
        for number in range(10**9):
            taken.append(number)
            yield number, 1.0

    assert len(next(pack(endless(), lambda: Limits(3, 100.0)))) == 3
    assert taken == [0, 1, 2]


def test_limits_that_are_learnt_on_the_way_hold_for_the_next_slice() -> None:
    """Each slice asks anew how much it may hold."""
    learnt = iter([Limits(3, 100.0), Limits(1, 100.0), Limits(2, 100.0), Limits(9, 100.0)])
    pieces = pack(((number, 1.0) for number in range(9)), lambda: next(learnt))

    assert [len(piece) for piece in pieces] == [3, 1, 2, 3]


def test_an_input_of_endless_weight_goes_alone() -> None:
    """Neither with those before it nor with those after it."""
    work = [1.0, float("inf"), 1.0, 1.0]

    assert [[number for number, _ in piece] for piece in slices_of(work, Limits(10, 100.0))] == [
        [0],
        [1],
        [2, 3],
    ]


@given(limits, st.none() | st.integers(0, 10**7), st.integers(1, 256))
def test_spreading_never_raises_a_limit(
    allowed: Limits, count: int | None, concurrency: int
) -> None:
    """Work is spread by smaller slices only, and every slice has room for something."""
    spread = allowed.spread(count, concurrency)

    assert 1 <= spread.inputs <= allowed.inputs
    assert 0 < spread.estimated_tokens <= allowed.estimated_tokens


@given(st.integers(1, 10**6), st.integers(1, 256))
def test_spread_work_keeps_the_requests_busy(count: int, concurrency: int) -> None:
    """There is a slice for every request in flight, unless slices would be too small to pay."""
    inputs = Limits(1_000, 1e9).spread(count, concurrency).inputs

    assert inputs <= max(32, -(-count // concurrency))


@pytest.mark.parametrize("count", [1, 2, 20, 32])
def test_little_work_is_not_spread(count: int) -> None:
    """A handful of inputs goes in one request."""
    allowed = Limits(1_000, 1e6).spread(count, 16)

    assert len(slices_of([10.0] * count, allowed)) == 1


def test_much_work_is_spread_evenly() -> None:
    """1,600 texts over 16 requests are 16 slices."""
    allowed = Limits(1_000, 1e6).spread(1_600, 16)

    assert [len(piece) for piece in slices_of([50.0] * 1_600, allowed)] == [100] * 16
