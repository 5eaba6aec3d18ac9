"""The spans that LlamaIndex's instrumentation reports, and a tracer shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.schema import Document, NodeWithScore, TextNode

from pictures import png
from voyage_rag.llama_index import (
    VoyageAIRerank,
    VoyageAutoChunker,
    VoyageContextualEmbedding,
    VoyageEmbedding,
)

if TYPE_CHECKING:
    from conftest import Runner

both = pytest.mark.parametrize("runner", ["sync", "asyncio"], indirect=True)
"""LlamaIndex's base classes need asyncio."""

QUERY = "Where does the cat sleep?"

CALLS = {
    "get_query_embedding": (VoyageEmbedding, "voyage-4", QUERY),
    "get_text_embedding": (VoyageEmbedding, "voyage-4", QUERY),
    "get_text_embedding_batch": (VoyageEmbedding, "voyage-4", [QUERY]),
    "get_image_embedding": (VoyageEmbedding, "voyage-multimodal-3.5", png()),
}


@pytest.fixture
def handler() -> Iterator[SimpleSpanHandler]:
    """LlamaIndex's handler that keeps spans."""
    handler, root = SimpleSpanHandler(), get_dispatcher()
    root.add_span_handler(handler)
    yield handler
    root.span_handlers.remove(handler)


def reported(handler: SimpleSpanHandler) -> set[str]:
    return {span.id_.partition("-")[0].partition(".")[2] for span in handler.completed_spans}


@both
@pytest.mark.parametrize("verb", CALLS)
def test_only_methods_of_llama_index_are_spans(
    make: Any, handler: SimpleSpanHandler, verb: str, runner: Runner
) -> None:
    """Not the methods of this package that they call, which a trace would count again."""
    kind, model, given = CALLS[verb]
    embedding = make(kind, model)
    runner.call(embedding, verb, given)
    a = "" if runner.is_sync else "a"
    spans = reported(handler)
    assert spans
    assert spans <= {f"{a}{verb}", f"_{a}{verb}"}


@both
@pytest.mark.parametrize("kind", [VoyageContextualEmbedding, VoyageAutoChunker])
def test_a_transformation_is_a_span(
    make: Any, kind: type, handler: SimpleSpanHandler, runner: Runner
) -> None:
    """Async as well, for which LlamaIndex has none by default."""
    transformation, documents = make(kind), [Document(text=QUERY)]

    async def program() -> None:
        if runner.is_sync:
            transformation(documents)
        else:
            await transformation.acall(documents)

    runner.run(program)
    names = {"__call__"} if runner.is_sync else {"acall", "_aparse_nodes"}
    assert not names.isdisjoint(reported(handler))


@both
def test_a_ranking_is_a_span(
    reranker: VoyageAIRerank, handler: SimpleSpanHandler, runner: Runner
) -> None:
    """Async as well."""
    runner.call(
        reranker, "postprocess_nodes", [NodeWithScore(node=TextNode(text="a"))], query_str=QUERY
    )
    name = "_postprocess_nodes" if runner.is_sync else "_apostprocess_nodes"
    assert reported(handler) == {name}
