"""Run one task with one client in a new process.

`python -m benchmarks.child '{"client": ..., "task": ..., "url": ...}'` prints what it measured
as one line of JSON. It runs in the client's own environment, so it needs only the standard library.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

from benchmarks.clients import make
from benchmarks.tasks import TASKS

LONGEST_MESSAGE = 200


def main() -> None:
    """Run the task that the first argument describes."""
    arguments = json.loads(sys.argv[1])
    if arguments["core"] is not None:
        os.sched_setaffinity(0, {arguments["core"]})
    client = make(arguments["client"], arguments["url"], arguments["options"])
    start = time.perf_counter()
    measured: dict[str, Any]
    with asyncio.Runner() as runner:
        try:
            measured = TASKS[arguments["task"]](client, arguments["count"], runner)
        except AssertionError:
            raise
        except Exception as error:  # noqa: BLE001 - a failure of a peer is a result
            outcome = f"{type(error).__name__}: {error}"[:LONGEST_MESSAGE]
            measured = {"error": outcome, "failed_after_s": time.perf_counter() - start}
    sys.stdout.write(json.dumps(measured) + "\n")


if __name__ == "__main__":
    main()
