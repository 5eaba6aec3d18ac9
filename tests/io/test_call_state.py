"""What threads and tasks of one call share, and that calls of one request share nothing."""

from __future__ import annotations

import anyio
import pytest

from voyage_rag.io.call_state import SINGLE_TASK, SINGLE_THREAD, Stopped, ThreadCallState


def test_ending_all_ends_what_is_in_flight_and_lets_nothing_begin() -> None:
    """Each request is ended once. Requests that have finished are left alone."""
    state, ended = ThreadCallState(), list[str]()
    with state.in_flight(lambda: ended.append("over")):
        pass
    with state.in_flight(lambda: ended.append("one")):
        state.end_all()
    assert ended == ["one"]
    assert state.is_stopping
    assert state.stopping.is_set()
    with pytest.raises(Stopped), state.in_flight(lambda: None):
        pass


def test_calls_of_one_request_do_not_wait_for_each_other() -> None:
    """Their state holds no lock, which a fork could leave locked, and is never stopped."""
    with (
        SINGLE_THREAD.queueing,
        SINGLE_THREAD.queueing,
        SINGLE_THREAD.reading,
        SINGLE_THREAD.reading,
    ):
        pass
    with SINGLE_THREAD.in_flight(lambda: None):
        assert vars(SINGLE_THREAD) == {}
    assert SINGLE_THREAD.stopping is not SINGLE_THREAD.stopping
    assert not SINGLE_THREAD.is_stopping


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_same_in_event_loops(backend: str) -> None:
    """One object serves all of them, so nothing in it belongs to one."""

    async def program() -> None:
        async with SINGLE_TASK.queueing, SINGLE_TASK.queueing:
            assert not SINGLE_TASK.is_stopping
        with anyio.move_on_after(0) as scope:
            await SINGLE_TASK.stopping.wait()
        assert scope.cancelled_caught

    anyio.run(program, backend=backend)
    assert vars(SINGLE_TASK) == {}
