"""LangChain's callbacks and tracers receive a ranking as a run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from langchain_core.callbacks import (
    AsyncCallbackHandler,
    AsyncCallbackManagerForRetrieverRun,
    BaseCallbackHandler,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers.base import BaseTracer

from voyage_rag import InvalidRequestError
from voyage_rag.langchain import VoyageAIRerank

if TYPE_CHECKING:
    from langchain_core.tracers.schemas import Run

    from conftest import Runner
    from voyage_rag.emulator import Emulator

KEY = "pa-a-key-that-must-stay-secret"
QUERY = "Where does the cat sleep?"
DOCUMENTS = [
    Document("Interest rates rose in March."),
    Document("The cat sleeps on the sofa in the living room."),
]


class Recorder(BaseTracer):
    """A tracer that records every run that ends, and checks that it was started."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[Run] = []

    def _persist_run(self, run: Run) -> None:
        pass

    def _end_trace(self, run: Run) -> None:
        super()._end_trace(run)
        self.runs.append(run)

    @property
    def names(self) -> list[str]:
        return [run.name for run in self.runs]


class Compressing(BaseRetriever):
    """What LangChain's ContextualCompressionRetriever does with its compressor."""

    base_compressor: BaseDocumentCompressor

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        given = self.base_compressor.compress_documents(
            DOCUMENTS, query, callbacks=run_manager.get_child()
        )
        return list(given)

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
    ) -> list[Document]:
        given = await self.base_compressor.acompress_documents(
            DOCUMENTS, query, callbacks=run_manager.get_child()
        )
        return list(given)


def test_a_ranking_is_a_run(reranker: VoyageAIRerank, runner: Runner) -> None:
    """With the query, documents, result, tokens and model."""
    kept = Recorder()
    ranked = runner.call(reranker, "compress_documents", DOCUMENTS, QUERY, callbacks=[kept])

    (run,) = kept.runs
    assert (run.name, run.error, run.run_type) == ("VoyageAIRerank", None, "chain")
    assert run.inputs == {"query": QUERY, "documents": DOCUMENTS}
    assert run.outputs
    assert run.outputs["documents"] == ranked
    assert run.outputs["usage_metadata"] == {
        "input_tokens": reranker.usage.total_tokens,
        "output_tokens": 0,
        "total_tokens": reranker.usage.total_tokens,
    }
    assert run.extra
    assert run.extra["metadata"]["ls_provider"] == "voyageai"
    assert run.extra["metadata"]["ls_model_name"] == "rerank-3-lite"
    assert KEY not in repr(run)


def test_a_failed_ranking_is_a_run(make: Any, runner: Runner) -> None:
    """That ends with the error."""
    kept, reranker = Recorder(), make(VoyageAIRerank, model="rerank-of-nobody")
    with pytest.raises(InvalidRequestError):
        runner.call(reranker, "compress_documents", DOCUMENTS, QUERY, callbacks=[kept])

    (run,) = kept.runs
    assert run.error
    assert "InvalidRequestError" in run.error


@pytest.mark.parametrize("is_async", [False, True])
def test_a_ranking_is_a_child_of_the_retrievers_run(
    reranker: VoyageAIRerank, is_async: bool
) -> None:
    """As with any compressor: the child of the retriever that compresses."""
    kept, retriever = Recorder(), Compressing(base_compressor=reranker)
    config: Any = {"callbacks": [kept]}
    if is_async:
        asyncio.run(retriever.ainvoke(QUERY, config))
    else:
        retriever.invoke(QUERY, config)

    ranking, retrieval = kept.runs
    assert ranking.name == "VoyageAIRerank"
    assert ranking.parent_run_id == retrieval.id
    assert retrieval.run_type == "retriever"


@pytest.mark.parametrize("is_async", [False, True])
def test_a_runnable_that_passes_no_callbacks_on_is_still_the_parent(
    reranker: VoyageAIRerank, is_async: bool
) -> None:
    """LangChain's context identifies the parent run."""
    kept = Recorder()
    config: Any = {"callbacks": [kept]}
    if is_async:

        async def acompress(query: str) -> Any:
            return await reranker.acompress_documents(DOCUMENTS, query)

        asyncio.run(RunnableLambda(acompress).ainvoke(QUERY, config))
    else:
        RunnableLambda(lambda query: reranker.compress_documents(DOCUMENTS, query)).invoke(
            QUERY, config
        )

    assert kept.names[0] == "VoyageAIRerank"
    assert kept.runs[0].parent_run_id == kept.runs[1].id


def test_async_handlers_are_awaited(reranker: VoyageAIRerank) -> None:
    """Start and end, in the event loop."""
    reported: list[str] = []

    class Handler(AsyncCallbackHandler):
        async def on_chain_start(self, serialized: Any, inputs: Any, **kwargs: Any) -> None:
            await asyncio.sleep(0)
            reported.append("start")

        async def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
            reported.append("end")

    asyncio.run(reranker.acompress_documents(DOCUMENTS, QUERY, callbacks=[Handler()]))
    assert reported == ["start", "end"]


def test_a_handler_that_raises_breaks_nothing(
    reranker: VoyageAIRerank, runner: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    """As with all of LangChain's; the ranking was paid for."""

    class Handler(BaseCallbackHandler):
        def on_chain_start(self, *args: Any, **kwargs: Any) -> None:
            raise ZeroDivisionError

        on_chain_end = on_chain_start

    ranked = runner.call(reranker, "compress_documents", DOCUMENTS, QUERY, callbacks=[Handler()])
    assert len(ranked) == 2
    assert "ZeroDivisionError" in caplog.text


def test_no_callbacks_no_run(reranker: VoyageAIRerank, runner: Runner, emulator: Emulator) -> None:
    """One request, and nothing else."""
    assert len(runner.call(reranker, "compress_documents", DOCUMENTS, QUERY)) == 2
    assert len(emulator.requests) == 1


def test_embeddings_have_no_callbacks_in_langchain() -> None:
    """So there are none to take part in; if that changes, so should ours."""
    import inspect

    for verb in ("embed_documents", "embed_query", "aembed_documents", "aembed_query"):
        parameters = inspect.signature(getattr(Embeddings, verb)).parameters
        assert not {"callbacks", "config", "run_manager"} & parameters.keys()
