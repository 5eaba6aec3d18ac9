"""Compute time, cost and bottleneck for millions and billions of passages.

`python -m benchmarks.scale` prints a table and draws `docs/scale.svg`. It takes three kinds of
figures: limits and prices that Voyage publishes, what this client was measured to need
(`scale.json`, from `benchmarks.bulk`), and assumptions about passages and
machines, which are arguments.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voyage_rag.models import MODELS, Model

MEASURED = Path(__file__).parent / "scale.json"
PLOT = Path(__file__).parent.parent / "docs" / "scale.svg"

HOUR = 3_600
MIB = 1_048_576
TIERS = {"tier 1": 1, "tier 2": 2, "tier 3": 3}
REQUESTS_PER_MINUTE = 2_000
"""Of tier 1 (docs: "Rate Limits"); tiers multiply this and the tokens."""
BATCH_HOURS, BATCH_TOKENS, BATCH_INPUTS = 12, 1_000_000_000, 10_000_000
"""Docs: "Batch Inference": in flight at once, 100 batches of 100,000; done in 12 hours at most."""
BATCH_PRICE = 2 / 3
SIZES = (10_000_000, 100_000_000, 1_000_000_000)
SERIES = {"tier 1": "#9aa5b1", "tier 2": "#52718f", "tier 3": "#1b3a57", "batch": "#c26a3d"}
DARK = {
    "#000000": "#e6edf3",
    "#1b3a57": "#8fc7ff",
    "#52718f": "#6f9cc8",
    "#777777": "#a0a8b0",
    "#e4e4e4": "#3d444d",
}
"""What replaces the lines' colours where the reader has chosen a dark page."""


@dataclass(frozen=True)
class Passages:
    """What is embedded, and where.

    Attributes:
        tokens: Of a passage.
        request_bytes: On the wire, of a passage.
        vector_bytes: Of a vector as it is stored.
        texts_per_request: As the client packs them.
        network: Bytes per second, both ways together.
        disk: Bytes per second.
    """

    tokens: int = 95
    request_bytes: int = 500
    vector_bytes: int = 4_096
    texts_per_request: int = 256
    network: float = 125 * MIB
    disk: float = 200 * MIB

    @property
    def wire_bytes(self) -> float:
        """There, and back as base64."""
        return self.request_bytes + self.vector_bytes * 4 / 3


@dataclass(frozen=True)
class Outcome:
    """What a corpus takes.

    Attributes:
        engine: `command`, `Ray` or `batch`.
        tier: Of the account.
        hours: What each resource would take alone.
        dollars: At list price.
    """

    engine: str
    tier: str
    hours: Mapping[str, float]
    dollars: float

    @property
    def bottleneck(self) -> str:
        """The slowest resource."""
        return max(self.hours, key=lambda name: self.hours[name])

    @property
    def total(self) -> float:
        """Hours: resources work side by side, so the slowest one decides."""
        return self.hours[self.bottleneck]


def realtime(
    count: int, model: Model, tier: str, passages: Passages, rate: float, engine: str
) -> Outcome:
    """By the command or by actors that embed so many texts a second, limits apart."""
    factor = TIERS[tier]
    per_minute = factor * (model.tokens_per_minute or 0)
    requests = count / passages.texts_per_request
    hours = {
        "tokens per minute": count * passages.tokens / per_minute / 60,
        "requests per minute": requests / (factor * REQUESTS_PER_MINUTE) / 60,
        "CPU": count / rate / HOUR,
        "network": count * passages.wire_bytes / passages.network / HOUR,
        "disk": 2 * count * passages.vector_bytes / passages.disk / HOUR,
    }
    return Outcome(engine, tier, hours, model.cost(count * passages.tokens) or 0.0)


def batch(count: int, model: Model, passages: Passages, rate: float) -> Outcome:
    """By the Batch API: at most, because it only promises half a day for what is in flight."""
    tokens = count * passages.tokens
    waves = max(tokens / BATCH_TOKENS, count / BATCH_INPUTS)
    quota = (
        "batch quota: tokens"
        if tokens / BATCH_TOKENS >= count / BATCH_INPUTS
        else "batch quota: inputs"
    )
    hours = {
        quota: BATCH_HOURS * max(1.0, waves),
        "CPU": count / rate / HOUR,
        "network": count * passages.wire_bytes / passages.network / HOUR,
        "disk": 3 * count * passages.vector_bytes / passages.disk / HOUR,
    }
    return Outcome("batch", "any", hours, BATCH_PRICE * (model.cost(tokens) or 0.0))


def outcomes(
    count: int, model: Model, passages: Passages, measured: Mapping[str, Any], actors: int
) -> Iterator[Outcome]:
    """Every engine and tier."""
    for tier in TIERS:
        yield realtime(count, model, tier, passages, measured["command"], "command")
    for tier in TIERS:
        yield realtime(count, model, tier, passages, actors * measured["actor"], f"Ray × {actors}")
    yield batch(count, model, passages, measured["command"])


def table(
    models: list[Model], passages: Passages, measured: Mapping[str, Any], actors: int
) -> Iterator[str]:
    """Lines of Markdown."""
    yield "| passages | model | engine | tier | hours | dollars | bottleneck |"
    yield "|---:|---|---|---|---:|---:|---|"
    for count in SIZES:
        for model in models:
            for it in outcomes(count, model, passages, measured, actors):
                at_most = "≤ " * (it.engine == "batch")
                yield (
                    f"| {count // 1_000_000:,}M | {model.name} | {it.engine} | {it.tier} "
                    f"| {at_most}{it.total:,.1f} | {it.dollars:,.0f} | {it.bottleneck} |"
                )


def draw(model: Model, passages: Passages, measured: Mapping[str, Any], path: Path) -> None:
    """Hours over passages, with what was measured."""
    import matplotlib as mpl  # noqa: PLC0415 - for the plot alone

    mpl.use("svg" if path.suffix == ".svg" else "agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the choice above

    plt.rcParams.update({"font.size": 9, "svg.hashsalt": "scale", "svg.fonttype": "none"})
    figure, axes = plt.subplots(figsize=(7.2, 4.6), layout="constrained")
    counts = [10 ** (exponent / 4) for exponent in range(16, 37)]
    for tier in TIERS:
        hours = [
            realtime(round(n), model, tier, passages, measured["command"], "").hours[
                "tokens per minute"
            ]
            for n in counts
        ]
        axes.plot(counts, hours, color=SERIES[tier], label=f"{tier}: tokens per minute")
    hours = [batch(round(n), model, passages, measured["command"]).total for n in counts]
    axes.plot(counts, hours, color=SERIES["batch"], label="Batch API, at most")
    for name, rate, style in (
        ("CPU: the command, one process", measured["command"], "--"),
        ("network, 1 Gbit/s", passages.network / passages.wire_bytes, ":"),
    ):
        axes.plot(counts, [n / rate / HOUR for n in counts], style, color="#777777", label=name)
    for name, marker in (("without limits", "o"), ("with limits", "D")):
        points = [point for point in measured["points"] if point["limited"] == (marker == "D")]
        axes.plot(
            [point["texts"] for point in points],
            [point["seconds"] / HOUR for point in points],
            marker,
            color="#2f8f5b",
            markersize=6,
            linestyle="",
            label=f"measured, {name}",
        )
    axes.set(xscale="log", yscale="log", xlabel="passages", ylabel="hours")
    axes.set_title(
        f"{model.name}, passages of {passages.tokens} tokens, 1,024 floats", loc="left", fontsize=10
    )
    axes.grid(visible=True, which="major", color="#e4e4e4", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    if path.suffix != ".svg":
        figure.savefig(path, dpi=120)
        return
    figure.savefig(path, metadata={"Date": None}, transparent=True)
    path.write_text(with_dark_colours(path.read_text("utf-8")), "utf-8")


def with_dark_colours(svg: str) -> str:
    """The same picture, which follows the reader's setting of light or dark."""
    rules = "".join(
        f'[style*="stroke: {light}"] {{ stroke: {dark} !important }}'
        for light, dark in DARK.items()
    )
    text = "text { fill: #1f2328 }"
    dark = f"@media (prefers-color-scheme: dark) {{ text {{ fill: #e6edf3 }} {rules} }}"
    return svg.replace("</style>", f"{text} {dark}</style>", 1)


def main() -> None:
    """Print and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", action="append", choices=sorted(MODELS), help="repeat for more")
    parser.add_argument("--tokens", type=int, default=Passages.tokens, help="of a passage")
    parser.add_argument("--vector-bytes", type=int, default=Passages.vector_bytes)
    parser.add_argument("--actors", type=int, default=8, help="of Ray")
    parser.add_argument("--plot", type=Path, default=PLOT)
    given = parser.parse_args()
    measured = json.loads(MEASURED.read_text("utf-8"))
    passages = Passages(tokens=given.tokens, vector_bytes=given.vector_bytes)
    models = [MODELS[name] for name in given.model or ["voyage-4"]]
    for line in table(models, passages, measured, given.actors):
        sys.stdout.write(f"{line}\n")
    draw(models[0], passages, measured, given.plot)


if __name__ == "__main__":
    main()
