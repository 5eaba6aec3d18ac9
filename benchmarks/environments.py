"""The environment of each contestant: ours is this one, the peers cannot share one."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.contestants import ASYNC

PLACE = Path(__file__).parent / ".venvs"

REQUIREMENTS = {
    "voyageai": "voyageai==0.5.0",
    "langchain-voyageai": "langchain-voyageai==0.4.1",
    "llama-index-embeddings-voyageai": "llama-index-embeddings-voyageai==0.7.0",
}
"""Peers by name; what they need comes with them from the package index."""


def python_of(contestant: str) -> str:
    """The interpreter that has what a contestant needs; made if it is not there."""
    requirement = REQUIREMENTS.get(contestant.removesuffix(ASYNC))
    return sys.executable if requirement is None else python_with(requirement)


def python_with(*requirements: str) -> str:
    """The interpreter of an environment with these packages alone; made if it is not there."""
    place = PLACE / "+".join(requirements)
    interpreter = place / "bin" / "python"
    done = place / ".done"
    if not done.exists():
        sys.stderr.write(f"installing {', '.join(requirements)} ...\n")
        venv.create(place, clear=True, with_pip=True)
        subprocess.run(  # noqa: S603
            [interpreter, "-m", "pip", "install", "--quiet", *requirements],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        done.touch()
    return str(interpreter)


def versions_of(contestant: str) -> dict[str, str]:
    """What is installed there, of the packages that matter here."""
    outcome = subprocess.run(  # noqa: S603
        [python_of(contestant), "-m", "pip", "freeze", "--all"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    pairs = (line.split("==") for line in outcome.splitlines() if "==" in line)
    return {name: version for name, version in pairs if name.lower() in OF_INTEREST}


OF_INTEREST = {
    "aiohttp", "httpcore", "httpx", "langchain-core", "langchain-voyageai", "llama-index-core",
    "llama-index-embeddings-voyageai", "pydantic", "requests", "tokenizers", "voyageai",
}  # fmt: skip
