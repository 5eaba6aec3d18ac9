"""One contestant, one call, one fresh process: what came of it, for `features.py`.

`python -m benchmarks.witness '{"contestant": ..., "url": ..., "texts": ...}'` prints JSON.
It runs in the contestant's own environment, so it needs the standard library alone.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.contestants import make

NUMBERS = 3


def main() -> None:
    """Embed what the first argument says, and print the result."""
    asked = json.loads(sys.argv[1])
    if asked.get("own_tokenizer"):
        _hand_over_none()
    contestant = make(asked["contestant"], asked["url"], {})
    texts = [f"text number {number}" for number in range(asked["texts"])]
    outcome: dict[str, Any]
    try:
        rows = contestant.documents(texts)
        if inspect.isawaitable(rows):
            rows = asyncio.run(_awaited(rows))
        outcome = {"vectors": len(rows), "rows": [list(row[:NUMBERS]) for row in _ends(rows)]}
    except Exception as error:  # noqa: BLE001 - that a peer gives up is a result
        kept = getattr(getattr(error, "partial", None), "vectors", ())
        outcome = {"error": f"{type(error).__name__}: {error}"[:200], "kept": len(kept)}
    sys.stdout.write(json.dumps(outcome) + "\n")


async def _awaited(rows: Any) -> Any:
    return await rows


def _ends(rows: Sequence[Any]) -> list[Any]:
    return [rows[0], rows[-1]]


def _hand_over_none() -> None:
    try:
        from benchmarks.contestants import peer_tokenizer  # noqa: PLC0415 - peers only
    except ImportError:
        return
    peer_tokenizer.hand_over = lambda: None


if __name__ == "__main__":
    main()
