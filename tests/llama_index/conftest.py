"""LlamaIndex's classes over an emulator on loopback, and the events they emit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from llama_index.core.callbacks import CallbackManager, CBEventType
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent

from voyage_rag.emulator import Emulator
from voyage_rag.llama_index import VoyageAIRerank, VoyageEmbedding

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
    """Make an object that uses the emulator, and close it after the test."""
    made = []

    def of(kind: type, *args: Any, **options: Any) -> Any:
        made.append(kind(*args, **{"api_key": KEY, "base_url": emulator.url} | options))
        return made[-1]

    yield of
    for one in made:
        one.voyage.close()


@pytest.fixture
def embedding(make: Make) -> VoyageEmbedding:
    """Return the embedding that most tests need."""
    return make(VoyageEmbedding, "voyage-4", output_dimension=256)


@pytest.fixture
def reranker(make: Make) -> VoyageAIRerank:
    """Return the reranker that most tests need."""
    return make(VoyageAIRerank, "rerank-3-lite")


class Callbacks(BaseCallbackHandler):
    """A handler of LlamaIndex's older events that keeps them."""

    def __init__(self) -> None:
        super().__init__(event_starts_to_ignore=[], event_ends_to_ignore=[])
        self.starts: list[tuple[CBEventType, Any]] = []
        self.ends: list[tuple[CBEventType, Any]] = []

    def on_event_start(self, event_type: CBEventType, payload: Any = None, **_: Any) -> str:
        self.starts.append((event_type, payload))
        return ""

    def on_event_end(self, event_type: CBEventType, payload: Any = None, **_: Any) -> None:
        self.ends.append((event_type, payload))

    def start_trace(self, trace_id: str | None = None) -> None:
        pass

    def end_trace(self, trace_id: str | None = None, trace_map: Any = None) -> None:
        pass

    @property
    def manager(self) -> CallbackManager:
        return CallbackManager([self])


@pytest.fixture
def callbacks() -> Callbacks:
    """To be given to an object as `callback_manager=callbacks.manager`."""
    return Callbacks()


class _Keeper(BaseEventHandler):
    kept: list[Any] = []  # noqa: RUF012 - a pydantic field

    def handle(self, event: BaseEvent, **_: Any) -> None:
        self.kept.append(event)


@pytest.fixture
def events() -> Iterator[list[BaseEvent]]:
    """All events of LlamaIndex's instrumentation."""
    keeper, root = _Keeper(), get_dispatcher()
    root.add_event_handler(keeper)
    yield keeper.kept
    root.event_handlers.remove(keeper)
