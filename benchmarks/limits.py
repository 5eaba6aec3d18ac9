"""Measure how long jobs take under rate limits, and how long a query waits beside them.

`python -m benchmarks.limits` measures every row, some of which take minutes, against the server of
`server.py`; `--only query` measures those whose name contains the word. It prints each figure with
its bound and exits with 1 if a bound was missed.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median, quantiles
from typing import Any, NamedTuple

from benchmarks.server import ServerBehavior
from benchmarks.server_process import RunningServer, running_server
from benchmarks.texts import texts, tokens_of
from voyage_rag import Voyage

MODEL = "voyage-4"
KEY = "pa-of-the-benchmarks"
BASE, QUICK, PER_TOKEN = 0.1, 0.02, 5e-6
TOKENS_OF_A_JOB = 743_000
QUESTIONS = 100
RUNS = 5
HEDGED_QUESTIONS = 1_000


class Row(NamedTuple):
    """One line of the result."""

    what: str
    figure: float
    bound: float
    note: str = ""


def client(server: RunningServer, **options: Any) -> Voyage:
    """Create a client with a rate limiter of its own."""
    client.number += 1  # type: ignore[attr-defined]
    return Voyage(f"{KEY}-{client.number}", base_url=server.url, **options)  # type: ignore[attr-defined]


client.number = 0  # type: ignore[attr-defined]


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def ask(voyage: Voyage) -> float:
    """Return the seconds that one query takes."""
    return timed(lambda: voyage.embed(["what is arguments"], MODEL, "query"))


@contextmanager
def job(voyage: Voyage, count: int, size: int | None = None) -> Iterator[threading.Event]:
    """Embed texts in another thread until the block ends."""
    over = threading.Event()
    given = texts(count)

    def run() -> None:
        try:
            for _ in voyage.embed_iter(given, MODEL, "document", batch_size=size):
                if over.is_set():
                    break
        finally:
            over.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield over
    finally:
        over.set()
        thread.join()


def free_tier() -> Iterator[Row]:
    """Three requests and 10,000 tokens a minute, counted as the service counts them."""
    for count in (65, 150, 400):
        for name, limits in (("given", {"requests_per_minute": 3}), ("not given", {})):
            with running_server(
                ServerBehavior(BASE, PER_TOKEN, 3, 10_000, None, names_limit=True)
            ) as server:
                voyage = client(server, **limits)
                short = [f"short text {number}" for number in range(count)]
                seconds = timed(lambda: voyage.embed(short, MODEL, "document"))  # noqa: B023
                seconds += ask(voyage)
                requests = server.statistics()["requests"]
            yield Row(f"free tier, {name}: {count} texts and a query, seconds", seconds, 3.0)
            yield Row(f"free tier, {name}: {count} texts and a query, requests", requests, 2)


def query_in_a_limited_job() -> Iterator[Row]:
    """Queries while a job uses up the requests of the account."""
    for per_minute, questions, pause, middle, most in ((600, 20, 1.5, 2, 5), (60, 30, 5, 6, 60)):
        behavior = ServerBehavior(BASE, PER_TOKEN, per_minute, None, None)
        with running_server(behavior) as server:
            voyage = client(server, requests_per_minute=per_minute)
            with job(voyage, 20_000, 1):
                time.sleep(pause)
                waits = []
                for _ in range(questions):
                    waits.append(ask(voyage))
                    time.sleep(pause)
        name = f"query while a job uses {per_minute} requests a minute"
        yield Row(f"{name}, p50 s", median(waits), middle)
        yield Row(f"{name}, longest s", max(waits), most)


def query_in_a_job() -> Iterator[Row]:
    """Queries while sixteen connections are busy."""
    with running_server(ServerBehavior(BASE, PER_TOKEN)) as server:
        voyage = client(server)
        ask(voyage)
        idle = quantiles([ask(voyage) for _ in range(QUESTIONS)], n=100)[98]
        with job(voyage, 200_000) as over:
            time.sleep(1.0)
            busy: list[float] = []
            while len(busy) < QUESTIONS and not over.is_set():
                busy.append(ask(voyage))
    ratio = quantiles(busy, n=100)[98] / idle
    yield Row("query while 16 connections are busy, p99 over idle", ratio, 3.0, f"{idle:.3f} s")


def within_the_minute() -> Iterator[Row]:
    """A job that stays within the minute's limit."""
    given = texts(TOKENS_OF_A_JOB // tokens_of(texts(1)[0]))
    free: list[float] = []
    limited: list[float] = []
    for _ in range(RUNS):
        for seconds, limits in ((free, {}), (limited, {"tokens_per_minute": 3_000_000})):
            per_minute = limits.get("tokens_per_minute")
            with running_server(ServerBehavior(BASE, PER_TOKEN, None, per_minute, None)) as server:
                seconds.append(_embedded(client(server, **limits), given))
    note = f"{median(limited):.2f} s, without a limit {median(free):.2f} s"
    yield Row("743k tokens with 3M a minute given", median(limited) / median(free), 1.1, note)


def stray() -> Iterator[Row]:
    """One response in a hundred is a 429 without a reason."""
    given = texts(20_000)
    calm: list[float] = []
    disturbed: list[float] = []
    for _ in range(RUNS):
        for seconds, share in ((calm, 0.0), (disturbed, 0.01)):
            with running_server(ServerBehavior(BASE, PER_TOKEN, stray_share=share)) as server:
                seconds.append(_embedded(client(server), given))
    note = f"{median(disturbed):.2f} s, undisturbed {median(calm):.2f} s"
    yield Row("20,000 texts, 1 % stray 429", median(disturbed) / median(calm), 1.5, note)


def _embedded(voyage: Voyage, given: list[str]) -> float:
    """Return the seconds to embed texts, after a query that loads what is loaded lazily."""
    ask(voyage)
    return timed(lambda: voyage.embed(given, MODEL, "document"))


def large_job() -> Iterator[Row]:
    """60,000 texts under 12M tokens and 2,000 requests a minute."""
    given = texts(60_000)
    least = 60 * sum(map(tokens_of, given)) / 12_000_000
    limits = {"requests_per_minute": 2_000, "tokens_per_minute": 12_000_000}
    for name, burst, options, factor, refused in (
        ("given, minute", None, limits, 1.05, 0.0),
        ("given, smoothed", 10.0, limits, 1.05, 0.06),
        ("not given, minute", None, {}, 0.7, 0.06),
        ("not given, smoothed", 10.0, {}, 0.7, 0.06),
    ):
        with running_server(ServerBehavior(BASE, PER_TOKEN, 2_000, 12_000_000, burst)) as server:
            voyage = client(server, **options)
            seconds = timed(lambda: voyage.embed(given, MODEL, "document"))  # noqa: B023
            outcome = server.statistics()
        note = f"{seconds:.1f} s, tokens / rate {least:.1f} s"
        yield Row(f"60,000 texts, limit {name}: over tokens / rate", seconds / least, factor, note)
        part = outcome["refused"] / outcome["requests"]
        yield Row(f"60,000 texts, limit {name}: part answered 429", part, refused)


def duplicates() -> Iterator[Row]:
    """100,000 texts, half of them duplicates, compared with their 50,000 distinct ones.

    Both are shuffled, because reading texts out of their order in memory takes time, too.
    """
    chance, distinct = random.Random(0), texts(50_000)  # noqa: S311 - nothing here is secret
    repeated = distinct + distinct
    chance.shuffle(distinct)
    chance.shuffle(repeated)
    tokens: dict[int, int] = {}
    seconds: dict[int, list[float]] = {len(distinct): [], len(repeated): []}
    for _ in range(RUNS):
        for given in (distinct, repeated):
            with running_server(ServerBehavior(BASE, PER_TOKEN)) as server:
                voyage = client(server)
                ask(voyage)
                before = server.statistics()["tokens"]
                seconds[len(given)].append(
                    timed(lambda: voyage.embed(given, MODEL, "document"))  # noqa: B023
                )
                tokens[len(given)] = server.statistics()["tokens"] - before
    part = tokens[len(repeated)] / sum(map(tokens_of, repeated))
    yield Row("100,000 texts, half of them duplicates: part of the tokens", part, 0.5)
    with_them, without = median(seconds[len(repeated)]), median(seconds[len(distinct)])
    note = f"{with_them:.2f} s, 50,000 different ones {without:.2f} s"
    yield Row("100,000 texts, half: time per different text", with_them / without, 1.02, note)


def hedged() -> Iterator[Row]:
    """Three in a hundred queries take 1.5 seconds."""
    with running_server(ServerBehavior(QUICK, PER_TOKEN, slow_share=0.03)) as server:
        voyage = client(server, hedge_after=0.2)
        ask(voyage)
        before = server.statistics()["requests"]
        waits = [ask(voyage) for _ in range(HEDGED_QUESTIONS)]
        more = server.statistics()["requests"] - before
    yield Row("query, 3 % slow, hedged: p99 ms", 1_000 * quantiles(waits, n=100)[98], 250)
    yield Row("query, 3 % slow, hedged: requests over queries", more / HEDGED_QUESTIONS, 1.05)


ROWS = (
    free_tier,
    within_the_minute,
    stray,
    large_job,
    query_in_a_job,
    hedged,
    duplicates,
    query_in_a_limited_job,
)


def main() -> int:
    """Run the selected rows, print them, and return 1 if a bound was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", metavar="NAME", help="of a row's function")
    arguments = parser.parse_args()
    missed = 0
    for measure in ROWS:
        if arguments.only not in measure.__name__:
            continue
        for row in measure():
            is_met = row.figure <= row.bound
            missed += not is_met
            sys.stdout.write(
                f"{'ok    ' if is_met else 'MISSED'} {row.what:64} {row.figure:8.3f} "
                f"(bound {row.bound:g}) {row.note}\n"
            )
            sys.stdout.flush()
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
