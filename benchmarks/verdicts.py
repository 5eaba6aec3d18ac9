"""The figures that must be reached, and whether they were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks import works
from benchmarks.works import CLASSES, CLIENTS, FLOOR, TOKENS_PER_MINUTE

VECTOR_MB = 4 * 1_024 / 1_000_000
FLAT_MB = 10.0
MOST_REFUSED = 0.06
LIMITED = {works.GIVEN: 1.1, works.SMOOTHED: 1.1, works.NOT_GIVEN: 1.25, works.NAMED: 1.25}
"""Works under a limit, and how much longer than tokens over rate each may take."""

Results = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Summaries by work and entry."""


@dataclass(frozen=True)
class Verdict:
    """One line of the table.

    Attributes:
        what: What was measured, of whom.
        figure: What came out.
        bound: What it may be.
        at_most: Whether the bound is an upper one.
        outcome: The figures behind it.
    """

    what: str
    figure: float
    bound: float
    outcome: str
    at_most: bool = True

    @property
    def reached(self) -> bool:
        """Whether the bound is kept."""
        return self.figure <= self.bound if self.at_most else self.figure >= self.bound

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"reached": self.reached}


def verdicts(results: Results, imports: Mapping[str, float]) -> Iterator[Verdict]:
    """All that can be said of what was measured."""
    if works.INDEXING in results:
        yield from _indexing(results[works.INDEXING])
    for name, factor in LIMITED.items():
        if name in results:
            yield from _limited(name, results[name], factor)
    if works.QUERY in results:
        yield from _query(results[works.QUERY])
    if imports:
        yield from _imports(imports)
    for name in (works.KEPT, works.STREAMED):
        for client, outcome in results.get(name, {}).items():
            yield _memory(name, client, outcome)


def _indexing(outcome: Mapping[str, Mapping[str, Any]]) -> Iterator[Verdict]:
    best = min(figures["wall_s"] for name, figures in outcome.items() if name.startswith(FLOOR))
    for name in (*CLIENTS, *CLASSES):
        if name in outcome:
            wall = outcome[name]["wall_s"]
            yield Verdict(
                f"{works.INDEXING}, {name}: time over the floor",
                wall / best,
                1.35,
                f"{wall:.2f} s, floor {best:.2f} s",
            )
    if peer := outcome.get("langchain-voyageai"):
        for name in CLASSES:
            if name in outcome:
                wall = outcome[name]["wall_s"]
                yield Verdict(
                    f"{works.INDEXING}, {name}: times as fast as langchain-voyageai",
                    peer["wall_s"] / wall,
                    5.0,
                    f"{wall:.2f} s, peer {peer['wall_s']:.2f} s",
                    at_most=False,
                )
    ours = outcome["LangChain"]
    same = outcome[works.floor(ours["request_size"]).name]
    yield Verdict(
        f"{works.INDEXING}, LangChain: processor time over the floor's with as many per request",
        ours["cpu_s"] / same["cpu_s"],
        1.3,
        f"{ours['cpu_s']:.2f} s, floor {same['cpu_s']:.2f} s at {ours['request_size']}",
    )


def _limited(
    name: str, outcome: Mapping[str, Mapping[str, Any]], factor: float
) -> Iterator[Verdict]:
    for client, figures in outcome.items():
        if client not in CLASSES:
            continue
        least = 60 * figures["tokens"] / TOKENS_PER_MINUTE
        if "wall_s" in figures:
            yield Verdict(
                f"{name}, {client}: time over tokens / rate",
                figures["wall_s"] / least,
                factor,
                f"{figures['wall_s']:.1f} s, tokens / rate {least:.1f} s",
            )
        yield Verdict(f"{name}, {client}: failed runs", figures["failed"], 0, "")
        yield Verdict(
            f"{name}, {client}: part of the requests answered 429",
            figures["refused"] / figures["requests"],
            0.0 if name == works.GIVEN else MOST_REFUSED,
            f"{figures['refused']:g} of {figures['requests']:g}",
        )


def _query(outcome: Mapping[str, Mapping[str, Any]]) -> Iterator[Verdict]:
    for name in (*CLIENTS, *CLASSES):
        floors = works.HTTPX_IN_LLAMA_INDEX if name.startswith("LlamaIndex") else works.HTTPX
        floor = floors[name.endswith("async")]
        bare = outcome[floor]
        yield Verdict(
            f"{works.QUERY}, {name}: p50 over {floor.removesuffix(' async')}",
            outcome[name]["p50_ms"] / bare["p50_ms"],
            0.9 if name in CLIENTS else 1.0,
            f"{outcome[name]['p50_ms']:.3f} ms, httpx {bare['p50_ms']:.3f} ms",
        )
        yield Verdict(f"{works.QUERY}, {name}: connections", outcome[name]["connections"], 1, "")


def _imports(outcome: Mapping[str, float]) -> Iterator[Verdict]:
    base = outcome["httpx and pydantic"]
    yield Verdict(
        "import voyage_rag: over httpx and pydantic",
        outcome["voyage_rag"] / base,
        1.15,
        f"{outcome['voyage_rag']:.0f} ms, base {base:.0f} ms",
    )
    for framework in ("LangChain", "LlamaIndex"):
        ours, base = outcome[f"{framework}'s class"], outcome[f"{framework}'s base"]
        yield Verdict(
            f"import of the {framework} class: ms over its base class and our client",
            ours - base,
            50.0,
            f"{ours:.0f} ms, base {base:.0f} ms",
        )


def _memory(name: str, client: str, outcome: Mapping[str, Any]) -> Verdict:
    if name == works.STREAMED:
        return Verdict(
            f"{name}, {client}: growth in MB from the first fifth to the last",
            outcome["growth_mb"],
            FLAT_MB,
            f"at most {outcome['memory_mb']:.0f} MB in all",
        )
    vectors_mb = VECTOR_MB * outcome["texts"]
    return Verdict(
        f"{name}, {client}: peak over the start, by 4 bytes per number",
        outcome["memory_mb"] / vectors_mb,
        1.3,
        f"{outcome['memory_mb']:.0f} MB for {vectors_mb:.0f} MB of numbers",
    )
