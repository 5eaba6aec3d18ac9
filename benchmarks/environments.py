"""The Python environment of each client; the peers cannot be installed together."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.clients import ASYNC

FOLDER = Path(__file__).parent / ".venvs"

REQUIREMENTS = {
    "voyageai": "voyageai==0.5.0",
    "langchain-voyageai": "langchain-voyageai==0.4.1",
    "llama-index-embeddings-voyageai": "llama-index-embeddings-voyageai==0.7.0",
}
"""The requirement of each peer."""


def python_of(client: str) -> str:
    """Return the interpreter of a client's environment, which is created if necessary."""
    requirement = REQUIREMENTS.get(client.removesuffix(ASYNC))
    return sys.executable if requirement is None else python_with(requirement)


def python_with(*requirements: str) -> str:
    """Return the interpreter of an environment with these packages, created if necessary."""
    folder = FOLDER / "+".join(requirements)
    interpreter = folder / "bin" / "python"
    done = folder / ".done"
    if not done.exists():
        sys.stderr.write(f"installing {', '.join(requirements)} ...\n")
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run(  # noqa: S603
            [interpreter, "-m", "pip", "install", "--quiet", *requirements],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        done.touch()
    return str(interpreter)


def versions_of(client: str) -> dict[str, str]:
    """Return the versions of the relevant packages in a client's environment."""
    outcome = subprocess.run(  # noqa: S603
        [python_of(client), "-m", "pip", "freeze", "--all"],
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
