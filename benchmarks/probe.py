"""Make one call with one client in a new process and print the result, for `features.py`.

`python -m benchmarks.probe '{"client": ..., "url": ..., "texts": ...}'` prints JSON.
It runs in the client's own environment, so it needs only the standard library.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.clients import make

NUMBERS = 3


def main() -> None:
    """Embed the texts that the first argument describes, and print the result."""
    arguments = json.loads(sys.argv[1])
    if arguments.get("own_tokenizer"):
        _keep_own_tokenizer()
    client = make(arguments["client"], arguments["url"], {})
    texts = [f"text number {number}" for number in range(arguments["texts"])]
    outcome: dict[str, Any]
    try:
        rows = client.documents(texts)
        if inspect.isawaitable(rows):
            rows = asyncio.run(_awaited(rows))
        outcome = {"vectors": len(rows), "rows": [list(row[:NUMBERS]) for row in _ends(rows)]}
    except Exception as error:  # noqa: BLE001 - a failure of a peer is a result
        kept = getattr(getattr(error, "partial", None), "vectors", ())
        outcome = {"error": f"{type(error).__name__}: {error}"[:200], "kept": len(kept)}
    sys.stdout.write(json.dumps(outcome) + "\n")


async def _awaited(rows: Any) -> Any:
    return await rows


def _ends(rows: Sequence[Any]) -> list[Any]:
    return [rows[0], rows[-1]]


def _keep_own_tokenizer() -> None:
    try:
        from benchmarks.clients import blank_tokenizer  # noqa: PLC0415 - peers only
    except ImportError:
        return
    blank_tokenizer.use_blank_tokenizer = lambda: None


if __name__ == "__main__":
    main()
