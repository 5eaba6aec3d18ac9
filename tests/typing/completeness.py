"""Check that type checkers know the type of what this package exports (`pyright --verifytypes`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"
LEAST = 0.98
MOST_SHOWN = 20


def main() -> int:
    """Print the score, and what lowers it if it is too low; 1 then."""
    pyright = Path(sys.executable).with_name("pyright")
    options = ["--pythonpath", sys.executable, "--verifytypes", "voyage_rag", "--ignoreexternal"]
    done = subprocess.run(
        [pyright, *options, "--outputjson"],
        cwd=sys.prefix,  # in the project itself, its sources would not count as a package
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(done.stdout)["typeCompleteness"]
    score = report["completenessScore"]
    print(f"{score:.1%} of the exported symbols have a known type")  # noqa: T201
    if score >= LEAST:
        return 0
    unknown = [symbol for symbol in report["symbols"] if not symbol["isTypeKnown"]]
    for symbol in unknown[:MOST_SHOWN]:
        problems = [each["message"].splitlines()[0] for each in symbol["diagnostics"]]
        print(f"  {symbol['name']}: {'; '.join(problems)}")  # noqa: T201
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
