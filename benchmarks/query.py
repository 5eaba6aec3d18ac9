"""Compare one query over TLS with bare httpx, in turn in one process.

All clients send the same text in the same round, so load on the machine slows all of them and
hardly changes the ratio. Prints the minimum and the median time of a query and the minimum CPU time
of its thread, each also divided by that of bare httpx.

    python -m benchmarks.query [--rounds 1000]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

import trustme

from benchmarks.clients import (
    BenchmarkClient,
    bare_httpx,
    bare_llama_index,
    ours_client,
    ours_langchain,
    ours_llama_index,
)
from benchmarks.server import ServerBehavior
from benchmarks.server_process import running_server

WARM_ROUNDS = 50
CLIENTS = {
    "bare httpx": bare_httpx,
    "Voyage": ours_client,
    "LangChain": ours_langchain,
    "LlamaIndex": ours_llama_index,
    "bare httpx in LlamaIndex": bare_llama_index,
}
Times = list[tuple[float, float]]
"""Seconds, and CPU seconds of the thread, of each query."""


def sync_times(queries: dict[str, Callable[[str], object]], rounds: int) -> dict[str, Times]:
    """Measure all clients in turn."""
    times: dict[str, Times] = {name: [] for name in queries}
    for number in range(WARM_ROUNDS + rounds):
        for name, query in queries.items():
            began, cpu_began = time.perf_counter(), time.thread_time()
            query(f"a question {number}")
            times[name].append((time.perf_counter() - began, time.thread_time() - cpu_began))
    return {name: each[WARM_ROUNDS:] for name, each in times.items()}


async def async_times(
    make: Callable[[], dict[str, Callable[[str], Awaitable[object]]]], rounds: int
) -> dict[str, Times]:
    """Async variant of `sync_times`."""
    queries = make()
    times: dict[str, Times] = {name: [] for name in queries}
    for number in range(WARM_ROUNDS + rounds):
        for name, query in queries.items():
            began, cpu_began = time.perf_counter(), time.thread_time()
            await query(f"a question {number}")
            times[name].append((time.perf_counter() - began, time.thread_time() - cpu_began))
    return {name: each[WARM_ROUNDS:] for name, each in times.items()}


def show(kind: str, times: dict[str, Times]) -> None:
    """Print a line for each client."""
    figures = {
        name: (min(s for s, _ in each), median(s for s, _ in each), min(c for _, c in each))
        for name, each in times.items()
    }
    for name, (least, middle, cpu) in figures.items():
        base = figures["bare httpx in LlamaIndex" if name == "LlamaIndex" else "bare httpx"]
        parts = " ".join(
            f"{own / of:5.2f}" for own, of in zip((least, middle, cpu), base, strict=True)
        )
        sys.stdout.write(
            f"{kind:5} {name:25} least {1e3 * least:6.3f} ms, median {1e3 * middle:6.3f} ms, "
            f"CPU {1e3 * cpu:6.3f} ms   of the base: {parts}\n"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1_000)
    rounds = parser.parse_args().rounds
    authority = trustme.CA()
    with authority.cert_pem.tempfile() as trusted, _certificate(authority) as certificate:
        os.environ["SSL_CERT_FILE"] = trusted
        with running_server(ServerBehavior(certificate=certificate)) as service:
            made = {name: module.make(service.url) for name, module in CLIENTS.items()}
            show("sync", sync_times(_queries(made), rounds))
            show(
                "async",
                asyncio.run(
                    async_times(
                        lambda: _queries(
                            {n: module.amake(service.url) for n, module in CLIENTS.items()}
                        ),
                        rounds,
                    )
                ),
            )


def _queries(made: dict[str, BenchmarkClient]) -> dict[str, Any]:
    return {name: each.query for name, each in made.items()}


def _certificate(authority: trustme.CA) -> Any:
    return authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.tempfile()


if __name__ == "__main__":
    main()
