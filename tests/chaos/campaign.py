"""Compare the results of an entry point under faults with those without."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from unittest.mock import patch

from chaos.account import Account, account_of
from chaos.corpus import QUERY, Passage
from chaos.entry_points import EntryPoint, Results
from fakes import KEY, FakeClock
from voyage_rag import Voyage
from voyage_rag.emulator import Emulator
from voyage_rag.emulator import faults as wrong
from voyage_rag.emulator.faults import Fault, RandomFaults
from voyage_rag.events import Event, Unanswered
from voyage_rag.io.clock import SYSTEM_CLOCK, Clock
from voyage_rag.io.http import exchange

QUICK_FAULTS: Sequence[Fault] = (
    *(wrong.status(code) for code in (429, 500, 502, 503, 504, 529)),
    *(wrong.status(code, "html") for code in (429, 500, 502, 503)),
    *(wrong.status(code, "empty") for code in (429, 500, 503, 529)),
    wrong.status(429, retry_after=2),
    wrong.status(429, retry_after=3, as_date=True),
    wrong.status(503, "empty", retry_after=1),
    *(wrong.REORDERED, wrong.MISSING, wrong.DUPLICATED),
    *(wrong.NAN, wrong.SHORT_VECTOR, wrong.WRONG_DTYPE),
    *(wrong.DROPPED, wrong.CUT_OFF, wrong.CLOSED),
    *(wrong.WRONG_LENGTH, wrong.SHORT_LENGTH, wrong.TRUNCATED),
)
"""All that can go wrong and be survived, but for what takes real time."""

ALL_FAULTS = (*QUICK_FAULTS, wrong.SILENT, wrong.STALLED, wrong.trickled(0.3))

RATE = 0.2
TIMEOUT = 20.0
"""Seconds: what a silent or stalled answer costs, and far beyond what a sound one takes."""
RETRIES = 20


class SkippingClock(FakeClock):
    """A clock whose sleeps end at once, with the dates of the emulator."""

    def wall(self) -> float:
        return time.time()


@dataclass(frozen=True)
class Outcome:
    """The outcome of an entry point.

    Attributes:
        entry_point: Its name.
        documents: How many passages went in.
        seconds: It took.
        account: What the emulator was asked.
        grievances: What is wrong; empty if all is well.
    """

    entry_point: str
    documents: int
    seconds: float
    account: Account
    grievances: list[str]


def run(
    name: str,
    entry_point: EntryPoint,
    passages: Sequence[Passage],
    seed: int,
    faults: Sequence[Fault] = ALL_FAULTS,
    rate: float = RATE,
    *,
    in_no_time: bool = True,
) -> Outcome:
    """Send all passages through an entry point, without and with faults.

    Args:
        name: Of the entry_point.
        entry_point: What to call.
        passages: What to send.
        seed: Makes the same requests fail.
        faults: What may go wrong, each as likely.
        rate: Share of requests that go wrong.
        in_no_time: Let the waits between attempts pass at once.
    """
    clock = SkippingClock() if in_no_time else SYSTEM_CLOCK
    # A busy machine is silent for seconds, after which small requests would be sent, and paid,
    # again on a new connection. The campaign of dying connections is about that.
    with patch.object(exchange, "MIN_SILENCE_SECONDS", TIMEOUT):
        expected, peaceful, *_ = _through(entry_point, passages, RandomFaults(0.0), SkippingClock())
        found, account, seconds, usage, given_up = _through(
            entry_point, passages, RandomFaults(rate, seed, faults), clock
        )
    due = [
        *(("/v1/embeddings", passage.text) for passage in passages),
        *(("/v1/contextualizedembeddings", passage.text) for passage in passages),
        *(("/v1/rerank", QUERY, passage.text) for passage in passages),
    ]
    # A reused connection that stays silent is given up before the attempt's time is over.
    late = max(0, given_up - account.faults["silent"] - account.faults["stalled"])
    grievances = [
        *([f"{late} answers came after {TIMEOUT:g} s: this machine is too busy"] if late else []),
        *peaceful.grievances(due),
        *account.grievances(due),
        *_differences(expected, found),
    ]
    if not peaceful.tokens == account.tokens == usage:
        grievances.append(
            f"{peaceful.tokens} tokens in peace, {account.tokens} under faults, {usage} counted"
        )
    return Outcome(name, len(passages), seconds, account, grievances)


def _through(
    entry_point: EntryPoint, passages: Sequence[Passage], faults: RandomFaults, clock: Clock
) -> tuple[Results, Account, float, int, int]:
    emulator, lost = Emulator(faults=faults), Counter[str]()

    def observe(event: Event) -> None:
        if isinstance(event, Unanswered):
            lost[event.error] += 1

    with emulator as url:
        voyage = Voyage(
            f"{KEY}-{id(emulator)}",  # a budget of its own
            base_url=url,
            clock=clock,
            timeout=TIMEOUT,
            total_timeout=None,
            max_retries=RETRIES,
            observers=[observe],
        )
        began = time.monotonic()
        with voyage:
            results = entry_point(voyage, passages)
        took = time.monotonic() - began
    account = account_of(emulator.requests)
    return results, account, took, voyage.usage.total_tokens, lost["Timeout"]


def _differences(expected: Results, found: Results) -> list[str]:
    if len(expected) != len(found):
        return [f"{len(found)} results instead of {len(expected)}"]
    pairs = enumerate(zip(expected, found, strict=True))
    return [f"result {place} differs" for place, (one, other) in pairs if one != other]


def faults_met(outcomes: Sequence[Outcome]) -> Counter[str]:
    """Return how often each fault occurred, over all entry points."""
    return sum((outcome.account.faults for outcome in outcomes), Counter())
