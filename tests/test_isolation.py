"""Guarantees of the test suite: no settings from outside, no network, no waiting."""

import os
import socket

import pytest

from fakes import FakeClock, FakeService, failed, voyage_over

NOT_THIS_MACHINE = "192.0.2.1"  # reserved for documentation (RFC 5737)


def test_no_voyage_variable_reaches_a_test() -> None:
    """What is set on a developer's machine does not change the outcome."""
    assert [name for name in os.environ if name.startswith("VOYAGE_")] == []


@pytest.mark.parametrize("verb", ["connect", "connect_ex"])
def test_no_connection_leaves_this_machine(verb: str) -> None:
    """A test that would use the network fails with an error."""
    with socket.socket() as sock, pytest.raises(AssertionError, match=NOT_THIS_MACHINE):
        getattr(sock, verb)((NOT_THIS_MACHINE, 443))


def test_waiting_takes_no_time_and_is_kept(runner, clock: FakeClock) -> None:
    """A retry waits on the fake clock, in sync and async calls."""
    voyage = voyage_over(FakeService(failed(503)), clock)
    began = clock.now()

    runner.call(voyage, "embed", ["a"], "voyage-of-tests")

    assert clock.now() - began == sum(clock.sleeps) > 0.3
