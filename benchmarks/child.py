"""One contestant, one task, one fresh process.

`python -m benchmarks.child '{"contestant": ..., "task": ..., "url": ...}'` prints what it measured
as one line of JSON. It runs in the contestant's own environment, so it needs the standard library
alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

from benchmarks.contestants import make
from benchmarks.tasks import TASKS

LONGEST_MESSAGE = 200


def main() -> None:
    """Do what the first argument says."""
    asked = json.loads(sys.argv[1])
    if asked["core"] is not None:
        os.sched_setaffinity(0, {asked["core"]})
    contestant = make(asked["contestant"], asked["url"], asked["options"])
    start = time.perf_counter()
    measured: dict[str, Any]
    with asyncio.Runner() as runner:
        try:
            measured = TASKS[asked["task"]](contestant, asked["count"], runner)
        except AssertionError:
            raise
        except Exception as error:  # noqa: BLE001 - that a peer gives up is a result
            outcome = f"{type(error).__name__}: {error}"[:LONGEST_MESSAGE]
            measured = {"error": outcome, "failed_after_s": time.perf_counter() - start}
    sys.stdout.write(json.dumps(measured) + "\n")


if __name__ == "__main__":
    main()
