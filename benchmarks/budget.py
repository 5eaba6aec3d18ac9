"""Measure how the actors of a Ray cluster share one rate limit.

`python -m benchmarks.budget` takes five minutes. The server accepts and counts everything. The
exit code is 1 if any sixty seconds exceeded the limit, or if less than 95 % of it was used on
average.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.bulk import measured, written
from benchmarks.server import ServerBehavior
from benchmarks.server_process import running_server

LEAST_USED = 0.95
TOKENS_PER_TEXT = 95
LATENCY = 0.2

RAY = """
import json, sys
import ray

source, actors, limit, url = json.loads(sys.argv[1])
ray.init(num_cpus=2 * actors, include_dashboard=False, logging_level="error", log_to_driver=False)
ray.data.DataContext.get_current().enable_progress_bars = False
from voyage_rag.bulk.ray import embed

vectors = embed(
    ray.data.read_parquet(source),
    model="voyage-4",
    actors=actors,
    cpus_per_actor=0.5,
    base_url=url,
    tokens_per_minute=limit,
)
print(json.dumps({"vectors": vectors.count()}))
"""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--actors", type=int, default=4)
    parser.add_argument("--limit", type=int, default=3_000_000, help="tokens per minute")
    parser.add_argument("--minutes", type=float, default=4.0)
    arguments = parser.parse_args()
    texts = int(arguments.limit * arguments.minutes / TOKENS_PER_TEXT)
    with (
        tempfile.TemporaryDirectory() as name,
        running_server(ServerBehavior(base_latency=LATENCY)) as server,
    ):
        source = written(Path(name) / "texts.parquet", texts)
        measured(
            ["-c", RAY, json.dumps([str(source), arguments.actors, arguments.limit, server.url])]
        )
        outcome = server.statistics()["tokens_by_second"]
    return report({int(second): tokens for second, tokens in outcome.items()}, arguments.limit)


def report(tokens: dict[int, int], limit: int) -> int:
    """Print the used part of the limit; return 1 if it was too high or too low."""
    first, last = min(tokens), max(tokens)
    spent = [tokens.get(second, 0) for second in range(first, last + 1)]
    most = max(sum(spent[at : at + 60]) for at in range(len(spent))) / limit
    used = sum(spent) / (limit * len(spent) / 60)
    minutes = [sum(spent[at : at + 60]) / limit for at in range(0, len(spent) - 59, 60)]
    sys.stdout.write(
        f"{len(spent)} s at {limit:,} tokens per minute: at most {most:.3f} of it in any minute, "
        f"{used:.3f} on average; minute by minute {[round(part, 3) for part in minutes]}\n"
    )
    return int(most > 1 or used < LEAST_USED)


if __name__ == "__main__":
    sys.exit(main())
