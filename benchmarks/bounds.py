"""Compare the measured figures with their required bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks import scenarios
from benchmarks.scenarios import CLASSES, CLIENTS, LOWER_BOUND, TOKENS_PER_MINUTE

VECTOR_MB = 4 * 1_024 / 1_000_000
FLAT_MB = 10.0
MOST_REFUSED = 0.06
LIMITED = {
    scenarios.GIVEN: 1.1,
    scenarios.SMOOTHED: 1.1,
    scenarios.NOT_GIVEN: 1.25,
    scenarios.NAMED: 1.25,
}
"""Scenarios with a rate limit: the maximum time as a multiple of tokens divided by rate."""

Results = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Summaries by scenario and entry."""


@dataclass(frozen=True)
class Check:
    """A figure with its bound.

    Attributes:
        what: The scenario, the entry and the quantity.
        figure: The measured value.
        bound: The required value.
        at_most: Whether the bound is an upper bound.
        outcome: The values from which the figure was computed.
    """

    what: str
    figure: float
    bound: float
    outcome: str
    at_most: bool = True

    @property
    def reached(self) -> bool:
        """Whether the figure satisfies the bound."""
        return self.figure <= self.bound if self.at_most else self.figure >= self.bound

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return asdict(self) | {"reached": self.reached}


def checks_of(results: Results, imports: Mapping[str, float]) -> Iterator[Check]:
    """Yield a check for every figure that has a bound."""
    if scenarios.INDEXING in results:
        yield from _indexing(results[scenarios.INDEXING])
    for name, factor in LIMITED.items():
        if name in results:
            yield from _limited(name, results[name], factor)
    if scenarios.QUERY in results:
        yield from _query(results[scenarios.QUERY])
    if imports:
        yield from _imports(imports)
    for name in (scenarios.KEPT, scenarios.STREAMED):
        for client, outcome in results.get(name, {}).items():
            yield _memory(name, client, outcome)


def _indexing(outcome: Mapping[str, Mapping[str, Any]]) -> Iterator[Check]:
    best = min(
        figures["wall_s"] for name, figures in outcome.items() if name.startswith(LOWER_BOUND)
    )
    for name in (*CLIENTS, *CLASSES):
        if name in outcome:
            wall = outcome[name]["wall_s"]
            yield Check(
                f"{scenarios.INDEXING}, {name}: time over the lower bound",
                wall / best,
                1.35,
                f"{wall:.2f} s, lower bound {best:.2f} s",
            )
    if peer := outcome.get("langchain-voyageai"):
        for name in CLASSES:
            if name in outcome:
                wall = outcome[name]["wall_s"]
                yield Check(
                    f"{scenarios.INDEXING}, {name}: times as fast as langchain-voyageai",
                    peer["wall_s"] / wall,
                    5.0,
                    f"{wall:.2f} s, peer {peer['wall_s']:.2f} s",
                    at_most=False,
                )
    ours = outcome["LangChain"]
    same = outcome[scenarios.lower_bound(ours["request_size"]).name]
    yield Check(
        f"{scenarios.INDEXING}, LangChain: CPU time over the lower bound with the same size",
        ours["cpu_s"] / same["cpu_s"],
        1.3,
        f"{ours['cpu_s']:.2f} s, lower bound {same['cpu_s']:.2f} s at {ours['request_size']}",
    )


def _limited(name: str, outcome: Mapping[str, Mapping[str, Any]], factor: float) -> Iterator[Check]:
    for client, figures in outcome.items():
        if client not in CLASSES:
            continue
        least = 60 * figures["tokens"] / TOKENS_PER_MINUTE
        if "wall_s" in figures:
            yield Check(
                f"{name}, {client}: time over tokens / rate",
                figures["wall_s"] / least,
                factor,
                f"{figures['wall_s']:.1f} s, tokens / rate {least:.1f} s",
            )
        yield Check(f"{name}, {client}: failed runs", figures["failed"], 0, "")
        yield Check(
            f"{name}, {client}: part of the requests answered 429",
            figures["refused"] / figures["requests"],
            0.0 if name == scenarios.GIVEN else MOST_REFUSED,
            f"{figures['refused']:g} of {figures['requests']:g}",
        )


def _query(outcome: Mapping[str, Mapping[str, Any]]) -> Iterator[Check]:
    for name in (*CLIENTS, *CLASSES):
        bare_names = (
            scenarios.HTTPX_IN_LLAMA_INDEX if name.startswith("LlamaIndex") else scenarios.HTTPX
        )
        bare_name = bare_names[name.endswith("async")]
        bare = outcome[bare_name]
        yield Check(
            f"{scenarios.QUERY}, {name}: p50 over {bare_name.removesuffix(' async')}",
            outcome[name]["p50_ms"] / bare["p50_ms"],
            0.9 if name in CLIENTS else 1.0,
            f"{outcome[name]['p50_ms']:.3f} ms, httpx {bare['p50_ms']:.3f} ms",
        )
        yield Check(f"{scenarios.QUERY}, {name}: connections", outcome[name]["connections"], 1, "")


def _imports(outcome: Mapping[str, float]) -> Iterator[Check]:
    base = outcome["httpx and pydantic"]
    yield Check(
        "import voyage_rag: over httpx and pydantic",
        outcome["voyage_rag"] / base,
        1.15,
        f"{outcome['voyage_rag']:.0f} ms, base {base:.0f} ms",
    )
    for framework in ("LangChain", "LlamaIndex"):
        ours, base = outcome[f"{framework}'s class"], outcome[f"{framework}'s base"]
        yield Check(
            f"import of the {framework} class: ms over its base class and our client",
            ours - base,
            50.0,
            f"{ours:.0f} ms, base {base:.0f} ms",
        )


def _memory(name: str, client: str, outcome: Mapping[str, Any]) -> Check:
    if name == scenarios.STREAMED:
        return Check(
            f"{name}, {client}: growth in MB from the first fifth to the last",
            outcome["growth_mb"],
            FLAT_MB,
            f"at most {outcome['memory_mb']:.0f} MB in all",
        )
    vectors_mb = VECTOR_MB * outcome["texts"]
    return Check(
        f"{name}, {client}: peak over the start, by 4 bytes per number",
        outcome["memory_mb"] / vectors_mb,
        1.3,
        f"{outcome['memory_mb']:.0f} MB for {vectors_mb:.0f} MB of numbers",
    )
