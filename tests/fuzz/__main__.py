"""`make fuzz`: every decoder under atheris (libFuzzer, guided by coverage), each for a while.

Then calls with any object in any parameter, as many as `--calls` says (see `fuzz.arguments`).
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from fuzz.targets import EXAMPLES, TARGETS

RESULT = Path("build/fuzz.json")
ARGUMENTS = "arguments"
LARGEST_INPUT = 4_096
MEMORY = 1_024
"""MiB that a decoder's process may take, of which Python and the coverage have a hundred."""
TIMEOUT_SECONDS = 5
"""For one input; more is a hang."""
CALL_BYTES = 48
"""Bytes that choose a call and its arguments."""
DONE = re.compile(r"Done (\d+) runs in (\d+) second")


def main() -> int:
    """Feed the targets that the arguments name, each in a process; 1 if one has failed."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=30, help="for each decoder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=[*TARGETS, ARGUMENTS], help="this decoder, or arguments")
    parser.add_argument("--calls", type=int, default=50_000, help="with any arguments")
    asked = parser.parse_args()
    names = [asked.only] if asked.only else [*TARGETS, ARGUMENTS]
    found = {
        name: _called(asked.calls, asked.seed)
        if name == ARGUMENTS
        else _fuzzed(name, asked.seconds, asked.seed)
        for name in names
    }
    total = sum(runs for runs, _ in found.values())
    failed = [name for name, (_, sound) in found.items() if not sound]
    print(f"{total:,} inputs; failed: {', '.join(failed) or 'none'}")  # noqa: T201
    RESULT.parent.mkdir(exist_ok=True)
    reported = {name: {"inputs": runs, "sound": sound} for name, (runs, sound) in found.items()}
    RESULT.write_text(json.dumps({"seed": asked.seed, "decoders": reported}, indent=1), "utf-8")
    return 1 if failed else 0


def _called(calls: int, seed: int) -> tuple[int, bool]:
    """How many calls were made, and whether all went well."""
    from fuzz.arguments import arguments

    logging.getLogger("voyage_rag").setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore")
    chance = random.Random(seed)
    failed = 0
    for number in range(calls):
        data = chance.randbytes(CALL_BYTES)
        try:
            arguments(data)
        except Exception as error:  # noqa: BLE001 - what is looked for
            failed += 1
            sys.stderr.write(f"call {number}, bytes {data.hex()}: {error!r}\n")
    sound = not failed
    print(f"  {ARGUMENTS:10}{calls:>12,} inputs  {'sound' if sound else 'FAILED'}", flush=True)  # noqa: T201
    return calls, sound


def _fuzzed(name: str, seconds: int, seed: int) -> tuple[int, bool]:
    """How many inputs a decoder was fed, and whether all went well."""
    with tempfile.TemporaryDirectory() as corpus:
        for number, example in enumerate(EXAMPLES[name]):
            (Path(corpus) / str(number)).write_bytes(example)
        limits = {
            "max_total_time": seconds,
            "seed": seed,
            "max_len": LARGEST_INPUT,
            "rss_limit_mb": MEMORY,
            "timeout": TIMEOUT_SECONDS,
        }
        options = [f"-{option}={value}" for option, value in limits.items()]
        done = subprocess.run(
            [sys.executable, "-m", "fuzz.feed", *options, corpus, f"--decoder={name}"],
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
    counted = DONE.search(done.stderr)
    runs = int(counted[1]) if counted else 0
    sound = done.returncode == 0 and runs > 0
    print(f"  {name:10}{runs:>12,} inputs  {'sound' if sound else 'FAILED'}", flush=True)  # noqa: T201
    if not sound:
        sys.stderr.write(done.stderr[-4_000:])
    return runs, sound


if __name__ == "__main__":
    raise SystemExit(main())
