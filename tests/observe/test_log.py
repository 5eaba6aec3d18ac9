"""Logging of requests: quiet by default, a WARNING for a retry."""

from __future__ import annotations

import logging
import os
import pty
import re
import subprocess
import sys

import pytest

from fakes import (
    KEY,
    MODEL,
    TOO_MANY_TOKENS,
    FakeClock,
    FakeService,
    failed,
    served,
    voyage_over,
)
from voyage_rag import Usage
from voyage_rag.errors import APIConnectionError, AuthenticationError

TEXT = "a text that nobody else may read"


def test_a_retry_is_a_warning(runner, caplog: pytest.LogCaptureFixture) -> None:
    """It contains reason, delay, attempt, model and request id, and nothing else."""
    clock = FakeClock()
    voyage = voyage_over(FakeService(failed(503, x_request_id="req-7")), clock)
    with caplog.at_level(logging.INFO, logger="voyage_rag"):
        runner.call(voyage, "embed", [TEXT], MODEL)

    (record,) = caplog.records
    assert (record.name, record.levelname) == ("voyage_rag.requests", "WARNING")
    assert record.message == (
        f"/embeddings {MODEL}, 1 inputs: attempt 2 in {clock.sleeps[0]:.2f} s, because attempt 1 "
        "failed: HTTP 503 (request req-7)"
    )


def test_a_retry_is_a_warning_with_an_observer_too(
    runner, caplog: pytest.LogCaptureFixture
) -> None:
    """Once."""
    service = FakeService(failed(503))
    runner.call(voyage_over(service, observers=[print]), "embed", [TEXT], MODEL)

    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize("observers", [[], [print]], ids=["unobserved", "observed"])
def test_a_long_wait_for_the_limit_is_a_warning(
    runner, caplog: pytest.LogCaptureFixture, observers: list
) -> None:
    """Once for each wait, however often the request asks meanwhile."""
    clock = FakeClock()
    voyage = voyage_over(FakeService(), clock, requests_per_minute=1, observers=observers)
    for text in ("a", "b", "c"):
        runner.call(voyage, "embed", [text], MODEL, "query")

    assert len(clock.sleeps) > 4
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    for record in caplog.records:
        assert re.search(r": waits 60\.\d\d s for the account's rate limit$", record.message)


def test_a_short_wait_for_the_limit_is_none(runner, caplog: pytest.LogCaptureFixture) -> None:
    """It causes no message."""
    clock = FakeClock()
    voyage = voyage_over(FakeService(), clock, requests_per_minute=1)
    runner.call(voyage, "embed", ["a"], MODEL, "query")
    clock.advance(57)
    runner.call(voyage, "embed", ["b"], MODEL, "query")
    assert clock.sleeps
    assert caplog.records == []


def test_the_delay_after_a_429_is_that_of_the_limit(
    runner, caplog: pytest.LogCaptureFixture
) -> None:
    """It names the limit's delay, not the backoff: the next request is allowed in a minute."""
    clock = FakeClock()
    named = "Requests Per Minute (RPM) rate limit of 1"
    voyage = voyage_over(FakeService(served, failed(429, named)), clock)
    runner.call(voyage, "embed", ["a"], MODEL, "query")
    runner.call(voyage, "embed", ["b"], MODEL, "query")

    (record,) = caplog.records
    said = re.search(r"attempt 2 in ([\d.]+) s, because attempt 1 failed: the rate", record.message)
    assert said
    assert float(said[1]) == pytest.approx(sum(clock.sleeps), abs=0.5)
    assert float(said[1]) > 50


def test_debug_logs_every_attempt(runner, caplog: pytest.LogCaptureFixture) -> None:
    """And its outcome, with tokens and seconds, but never a text or the key."""
    script = [
        failed(400, TOO_MANY_TOKENS + TEXT),
        failed(429, f"{TEXT} {KEY}"),
        APIConnectionError(f"{TEXT} {KEY}"),
    ]
    with caplog.at_level(logging.DEBUG):
        voyage = voyage_over(FakeService(*script), requests_per_minute=3, concurrency=1)
        runner.call(voyage, "embed", [TEXT, "b"], MODEL)

    records = [record for record in caplog.records if record.name == "voyage_rag.requests"]
    reported = [record.message.partition(": ")[2] for record in records]
    reported = [
        re.sub(r" (in|after) [\d.]+ s", r" \1 .. s", line)
        for line in reported
        if "waits" not in line
    ]
    assert reported == [
        "started, 2 inputs",
        "attempt 1 sent",
        "attempt 1: HTTP 400 after .. s",
        "2 inputs do not fit into one request: split into 2",
        "attempt 1 sent",
        "attempt 1: HTTP 429 after .. s",
        "attempt 2 in .. s, because attempt 1 failed: the rate limit (HTTP 429)",
        "attempt 2 sent",
        "attempt 2: APIConnectionError after .. s",
        "attempt 3 in .. s, because attempt 2 failed: no response (APIConnectionError)",
        "attempt 3 sent",
        "attempt 3: HTTP 200 after .. s",
        f"1 inputs done, {len(TEXT)} tokens",
        "attempt 1 sent",
        "attempt 1: HTTP 200 after .. s",
        "1 inputs done, 1 tokens",
        f"done in .. s: {Usage(len(TEXT) + 1, 2).of(MODEL)}",
    ]
    everything = "\n".join(map(logging.Formatter().format, caplog.records))
    assert TEXT not in everything
    assert KEY not in everything


def test_debug_logs_waits_for_the_limit(runner, caplog: pytest.LogCaptureFixture) -> None:
    """And for how long."""
    with caplog.at_level(logging.DEBUG):
        voyage = voyage_over(FakeService(), requests_per_minute=1, concurrency=1)
        runner.call(voyage, "embed", ["a", "b"], MODEL, batch_size=1)

    (line,) = [r.message for r in caplog.records if ": waits" in r.message]
    assert line.endswith("s for the account's rate limit")


def test_debug_logs_failures(runner, caplog: pytest.LogCaptureFixture) -> None:
    """By the error's name and the request id."""
    voyage = voyage_over(FakeService(failed(401, "no", x_request_id="req-9")))
    with caplog.at_level(logging.DEBUG), pytest.raises(AuthenticationError):
        runner.call(voyage, "embed", ["a"], MODEL)

    assert caplog.records[-1].message.endswith("AuthenticationError (request req-9)")


RETRIES = """
import sys; sys.path.insert(0, 'tests')
from fakes import *
service = FakeService(failed(503), failed(429))
voyage_over(service).embed(['a'], MODEL)
assert len(service.attempts) == 3
"""


def stderr_of(program: str, *, terminal: bool) -> str:
    """What a program writes to its standard error, which may be a terminal."""
    ours, theirs = pty.openpty() if terminal else os.pipe()
    try:
        subprocess.run([sys.executable, "-c", program], stderr=theirs, timeout=60, check=True)
        os.write(theirs, b"the end")
        return os.read(ours, 10_000).decode().removesuffix("the end")
    finally:
        os.close(ours)
        os.close(theirs)


def test_nothing_is_printed_where_nobody_waits() -> None:
    """Not even retries, if logging is not configured."""
    assert stderr_of(RETRIES, terminal=False) == ""


def test_a_person_at_a_terminal_sees_why_it_takes_longer() -> None:
    """One message for retries of one moment, with the reason and the delay."""
    (line,) = stderr_of(RETRIES, terminal=True).splitlines()

    assert re.fullmatch(
        r"voyage-rag: /embeddings .*: attempt 2 in 0\.\d\d s, because attempt 1 failed: HTTP 503",
        line,
    )


def test_a_notebook_shows_retries_too() -> None:
    """Its standard error is no terminal."""
    program = f"import builtins; builtins.__IPYTHON__ = True\n{RETRIES}"

    assert "failed: HTTP 503" in stderr_of(program, terminal=False)


def test_an_application_that_configures_logging_keeps_its_settings() -> None:
    """Its handlers show the warning, once."""
    program = f"import logging; logging.basicConfig(format='app: %(message)s')\n{RETRIES}"

    lines = stderr_of(program, terminal=True).splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["app:", "app:"]


def test_a_terminal_that_was_closed_stops_nothing() -> None:
    """The call succeeds."""
    assert stderr_of(f"import sys; sys.stderr.close()\n{RETRIES}", terminal=True) == ""
