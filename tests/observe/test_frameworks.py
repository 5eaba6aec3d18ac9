"""Observers and usage through both frameworks and the drop-in client."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.runnables import RunnableLambda
from langchain_core.runnables.config import run_in_executor
from llama_index.core.schema import NodeWithScore, TextNode

from voyage_rag import AsyncClient, ConfigurationError, Voyage
from voyage_rag.emulator import Emulator
from voyage_rag.events import CallDone, Event
from voyage_rag.langchain import VoyageAIEmbeddings, VoyageAIMultimodalEmbeddings
from voyage_rag.langchain import VoyageAIRerank as LangChainRerank
from voyage_rag.llama_index import (
    VoyageAIRerank,
    VoyageContextualEmbedding,
    VoyageEmbedding,
)
from voyage_rag.observe import track_usage

TEXT = "the cat sleeps on the sofa"
KEY = "pa-a-key-that-must-stay-secret"

CLASSES: list[tuple[type, str]] = [
    (VoyageAIEmbeddings, "voyage-4"),
    (VoyageAIMultimodalEmbeddings, "voyage-multimodal-3.5"),
    (LangChainRerank, "rerank-3"),
    (VoyageEmbedding, "voyage-4"),
    (VoyageContextualEmbedding, "voyage-context-4"),
    (VoyageAIRerank, "rerank-3"),
]


class Recorder(list[Event]):
    """An observer that cannot be pickled."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        self.append(event)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Emulator() as url:
        yield url


def made(kind: type, model: str, url: str, **options: Any) -> Any:
    name = "model_name" if "model_name" in kind.model_fields else "model"  # type: ignore[attr-defined]
    return kind(**{name: model, "api_key": KEY, "base_url": url} | options)


def use(thing: Any) -> None:
    """Make one call of the class."""
    if isinstance(thing, LangChainRerank):
        thing.compress_documents([Document("a cat")], "cat")
    elif isinstance(thing, VoyageAIRerank):
        thing.postprocess_nodes([NodeWithScore(node=TextNode(text="a cat"))], query_str="cat")
    elif hasattr(thing, "embed_query"):
        thing.embed_query(TEXT)
    else:
        thing.get_query_embedding(TEXT)


@pytest.mark.parametrize(("kind", "model"), CLASSES)
def test_every_class_takes_observers_and_knows_its_usage(kind: type, model: str, url: str) -> None:
    """With the price, since the models are known."""
    kept = Recorder()
    thing = made(kind, model, url, observers=[kept])
    use(thing)

    [done] = [event for event in kept if isinstance(event, CallDone)]
    assert done.model == model
    assert thing.usage == done.usage
    assert thing.usage.dollars > 0
    assert [*thing.usage.by_model] == [model]
    thing.voyage.close()


@pytest.mark.parametrize(("kind", "model"), CLASSES)
def test_copies_keep_observers_and_serialised_forms_do_not(
    kind: type, model: str, url: str
) -> None:
    """Neither pickles nor dictionaries; nor does an observer keep an object from being copied."""
    kept = Recorder()
    thing = made(kind, model, url, observers=[kept])
    for twin in (copy.deepcopy(thing), thing.model_copy()):
        assert twin.observers[0] is kept
        use(twin)
        assert twin.voyage.observers[0] is kept
        twin.voyage.close()

    unpickled = pickle.loads(pickle.dumps(thing))
    assert [*unpickled.observers] == []
    assert "observers" not in thing.model_dump()
    assert "observers" not in repr(thing)
    assert "observers" not in str(kind.model_json_schema())  # type: ignore[attr-defined]


@pytest.mark.parametrize("wrong", [7, [7]])
def test_what_is_no_observer_is_refused(wrong: Any, url: str) -> None:
    """When the object is made, by name."""
    with pytest.raises((ConfigurationError, ValueError), match="observer"):
        made(VoyageAIEmbeddings, "voyage-4", url, observers=wrong)


def test_observers_of_a_client_that_is_given_are_its_own(url: str) -> None:
    """Additional observers would receive no events, so they are refused."""
    kept = Recorder()
    voyage = Voyage(KEY, base_url=url, observers=[kept])
    use(VoyageAIEmbeddings(model="voyage-4", client=voyage))
    assert kept

    with pytest.raises(ConfigurationError, match="observers"):
        VoyageAIEmbeddings(model="voyage-4", client=voyage, observers=[Recorder()])
    voyage.close()


def test_observers_can_be_changed(url: str) -> None:
    """As other fields."""
    kept = Recorder()
    thing = made(VoyageAIEmbeddings, "voyage-4", url)
    other = thing.model_copy(update={"observers": [kept]})
    use(other)
    assert kept
    other.voyage.close()


def test_the_vendors_async_client_knows_its_usage(url: str) -> None:
    """And takes observers."""
    kept = Recorder()

    async def program() -> int:
        async with AsyncClient(KEY, base_url=url, observers=[kept]) as client:
            await client.embed(["cat"], "voyage-4")
            return client.usage.total_tokens

    assert asyncio.run(program()) == 1
    assert kept


def test_chunks_in_context_know_their_usage(url: str) -> None:
    """Those of the embeddings they are made of."""
    embeddings = made(VoyageAIEmbeddings, "voyage-context-4", url)
    chunks = [Document("one chunk", metadata={"source": "a"})]
    contextual = embeddings.for_documents(chunks)
    contextual.embed_documents(["one chunk"])
    assert contextual.usage == embeddings.usage
    assert contextual.usage.total_tokens > 0
    embeddings.voyage.close()


def test_langchains_executors_count(url: str) -> None:
    """`batch` and `run_in_executor` copy the context, so a block around them counts."""
    embeddings = made(VoyageAIEmbeddings, "voyage-4", url)

    with track_usage() as usage:
        RunnableLambda(embeddings.embed_query).batch(["cat", "dog", "cow"])
    assert usage.requests == 3

    async def program() -> int:
        with track_usage() as usage:
            await run_in_executor(None, embeddings.embed_query, "cat")
        return usage.requests

    assert asyncio.run(program()) == 1
    embeddings.voyage.close()


def test_llama_indexs_tasks_count(url: str) -> None:
    """Batches that are gathered; and sync calls in a loop's thread pool."""
    embedding = made(VoyageEmbedding, "voyage-4", url, embed_batch_size=1)

    async def program() -> tuple[int, int]:
        with track_usage() as usage:
            await embedding.aget_text_embedding_batch([TEXT, f"{TEXT} 2", f"{TEXT} 3"])
            gathered = usage.total_tokens
            await asyncio.to_thread(embedding.get_text_embedding, TEXT)
        await embedding.voyage.aclose()
        return gathered, usage.total_tokens

    gathered, all_of_them = asyncio.run(program())
    assert 0 < gathered < all_of_them
    assert all_of_them == embedding.usage.total_tokens


def test_usage_of_a_plain_thread_is_not_counted(url: str) -> None:
    """It starts with an empty context: documented, and the same for every context variable."""
    embeddings = made(VoyageAIEmbeddings, "voyage-4", url)
    with track_usage() as usage, ThreadPoolExecutor(1) as pool:
        pool.submit(embeddings.embed_query, "cat").result()
    assert usage.requests == 0
    assert embeddings.usage.requests == 1
    embeddings.voyage.close()
