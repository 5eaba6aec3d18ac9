"""Measure import times, each in a new interpreter."""

from __future__ import annotations

import subprocess
from statistics import median

from benchmarks.environments import python_of
from benchmarks.machine import cores

STATEMENTS = {
    "httpx and pydantic": "import httpx, pydantic",
    "httpx and pydantic, in use": "import httpx; from pydantic import BaseModel",
    "voyage_rag": "import voyage_rag",
    "voyage_rag, in use": "from voyage_rag import Voyage; Voyage('key')",
    "LangChain's base": (
        "from langchain_core.embeddings import Embeddings; import voyage_rag.client"
    ),
    "LangChain's class": "from voyage_rag.langchain import VoyageAIEmbeddings",
    "LangChain's class, in use": (
        "from voyage_rag.langchain import VoyageAIEmbeddings as V; V(model='m', api_key='key')"
    ),
    "LlamaIndex's base": (
        "from llama_index.core.base.embeddings.base import BaseEmbedding; import voyage_rag.client"
    ),
    "LlamaIndex's class": "from voyage_rag.llama_index import VoyageEmbedding",
    "LlamaIndex's class, in use": (
        "from voyage_rag.llama_index import VoyageEmbedding as V; V('m', api_key='key')"
    ),
}

OF_PEERS = {
    "voyageai": "import voyageai",
    "langchain-voyageai": "from langchain_voyageai import VoyageAIEmbeddings",
    "llama-index-embeddings-voyageai": (
        "from llama_index.embeddings.voyageai import VoyageEmbedding"
    ),
}

TIMED = """
import os, time
if {core} is not None:
    os.sched_setaffinity(0, {{{core}}})
start = time.perf_counter()
{statement}
print(time.perf_counter() - start)
"""


def import_times(runs: int, *, peers: bool) -> dict[str, float]:
    """Return the median milliseconds of each statement over a number of runs."""
    statements = [(name, "", statement) for name, statement in STATEMENTS.items()]
    if peers:
        statements += [(name, name, statement) for name, statement in OF_PEERS.items()]
    seconds: dict[str, list[float]] = {name: [] for name, _, _ in statements}
    for _ in range(runs + 1):
        for name, owner, statement in statements:
            seconds[name].append(_seconds(python_of(owner), statement))
    return {name: 1_000 * median(taken[1:]) for name, taken in seconds.items()}


def _seconds(python: str, statement: str) -> float:
    script = TIMED.format(core=cores()[1], statement=statement)
    done = subprocess.run(  # noqa: S603
        [python, "-c", script], check=True, capture_output=True, text=True
    )
    return float(done.stdout)
