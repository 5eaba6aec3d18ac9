"""LangChain's classes over an emulator on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from voyage_rag.emulator import Emulator
from voyage_rag.langchain import VoyageAIEmbeddings, VoyageAIRerank

KEY = "pa-a-key-that-must-stay-secret"

Make = Callable[..., Any]


@pytest.fixture(scope="session")
def _emulator() -> Iterator[Emulator]:
    emulator = Emulator()
    with emulator:
        yield emulator


@pytest.fixture
def emulator(_emulator: Emulator) -> Emulator:
    """One emulator for all tests, with no requests so far."""
    _emulator.requests.clear()
    return _emulator


@pytest.fixture
def make(emulator: Emulator) -> Iterator[Make]:
    """Make an object that talks to the emulator, and close it after the test."""
    made = []

    def of(kind: type, **options: Any) -> Any:
        defaults = {"api_key": KEY, "base_url": emulator.url, "concurrency": 4}
        made.append(kind(**defaults | options))
        return made[-1]

    yield of
    for one in made:
        one.voyage.close()


@pytest.fixture
def embeddings(make: Make) -> VoyageAIEmbeddings:
    """Return the embeddings that most tests need."""
    return make(VoyageAIEmbeddings, model="voyage-4", output_dimension=256)


@pytest.fixture
def reranker(make: Make) -> VoyageAIRerank:
    """Return the reranker that most tests need."""
    return make(VoyageAIRerank, model="rerank-3-lite")
