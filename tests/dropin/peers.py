"""The packages that ours replaces: their versions, their classes, and how to run their programs."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.environments import REQUIREMENTS, python_with

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@dataclass(frozen=True, slots=True)
class Peer:
    """What shares one environment.

    Attributes:
        requirements: What is installed there.
        classes: What is replaced.
    """

    requirements: tuple[str, ...]
    classes: tuple[str, ...]

    def run(self, *arguments: str | Path, url: str = "") -> Any:
        """The JSON that a script prints last, in this environment."""
        return printed([python_with(*self.requirements), *arguments], url)


PEERS = {
    "langchain": Peer(
        (REQUIREMENTS["langchain-voyageai"],),
        ("langchain_voyageai.VoyageAIEmbeddings", "langchain_voyageai.VoyageAIRerank"),
    ),
    "llama_index": Peer(
        (
            REQUIREMENTS["llama-index-embeddings-voyageai"],
            "llama-index-postprocessor-voyageai-rerank==0.6.0",
        ),
        (
            "llama_index.embeddings.voyageai.VoyageEmbedding",
            "llama_index.postprocessor.voyageai_rerank.VoyageAIRerank",
        ),
    ),
    "client": Peer((REQUIREMENTS["voyageai"],), ("voyageai.Client", "voyageai.AsyncClient")),
}
"""By the beginning of the names of their programs."""


def printed(command: list[str | Path], url: str) -> Any:
    """The JSON on the last line that a program prints, with an emulator as its service."""
    settings = {"VOYAGE_API_KEY": "key", "VOYAGE_BASE_URL": url, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        command, env=os.environ | settings, capture_output=True, text=True, check=False, timeout=100
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])
