"""Chunks with their documents' context in any vector store."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.vectorstores import InMemoryVectorStore

from voyage_rag import InvalidInputError, ServerError
from voyage_rag.emulator import Emulator
from voyage_rag.emulator.faults import status
from voyage_rag.langchain import ContextualEmbeddings, VoyageAIEmbeddings

if TYPE_CHECKING:
    from conftest import Runner

MODEL = "voyage-context-4"
SAME = "It is due on the third of each month."
CONTRACT = ["The tenant pays the rent in advance.", SAME]
SOUP = ["Chop two onions.", SAME, "Simmer for an hour."]


def chunks(**documents: list[str]) -> list[Document]:
    return [
        Document(page_content=text, metadata={"source": name})
        for name, texts in documents.items()
        for text in texts
    ]


@pytest.fixture
def embeddings(make: Any) -> VoyageAIEmbeddings:
    return make(VoyageAIEmbeddings, model=MODEL, output_dimension=256)


@pytest.fixture
def contextual(embeddings: VoyageAIEmbeddings) -> ContextualEmbeddings:
    return embeddings.for_documents(chunks(contract=CONTRACT, soup=SOUP))


def expected(embeddings: VoyageAIEmbeddings, *documents: list[str]) -> list[Any]:
    """The vectors of each document, by the client."""
    found = embeddings.voyage.contextualized_embed(
        documents, MODEL, "document", output_dimension=256
    )
    return [result.embeddings for result in found.results]


@pytest.mark.parametrize("runner", ["sync", "asyncio"], indirect=True)
def test_a_store_is_filled_in_context_and_searched_as_usual(
    contextual: ContextualEmbeddings,
    embeddings: VoyageAIEmbeddings,
    emulator: Emulator,
    runner: Runner,
) -> None:
    """`from_documents` of the store, and its retriever, unchanged."""
    documents = chunks(contract=CONTRACT, soup=SOUP)

    async def run() -> Any:
        if runner.is_sync:
            store = InMemoryVectorStore.from_documents(documents, contextual)
            return store, store.as_retriever(search_kwargs={"k": 1}).invoke("onions?")
        store = await InMemoryVectorStore.afrom_documents(documents, contextual)
        return store, await store.as_retriever(search_kwargs={"k": 1}).ainvoke("onions?")

    store, found = runner.run(run)

    assert found[0].metadata["source"] == "soup"
    assert [request.body["inputs"] for request in emulator.requests] == [
        [CONTRACT, SOUP],
        [["onions?"]],
    ]
    assert [request.body["input_type"] for request in emulator.requests] == ["document", "query"]
    contract, soup = expected(embeddings, CONTRACT, SOUP)
    assert [entry["vector"] for entry in store.store.values()] == contract + soup


def test_the_same_words_have_the_vector_of_their_own_document(
    contextual: ContextualEmbeddings, embeddings: VoyageAIEmbeddings, runner: Runner
) -> None:
    """Handed out in the order of the chunks, which is the order a store asks in."""
    contract, soup = expected(embeddings, CONTRACT, SOUP)
    assert contract[1] != soup[1]
    assert runner.call(contextual, "embed_documents", CONTRACT + SOUP) == contract + soup


def test_more_documents_can_be_added(
    contextual: ContextualEmbeddings, embeddings: VoyageAIEmbeddings, runner: Runner
) -> None:
    """By `include`, before the store's ordinary `add_documents`."""
    letter = ["Dear aunt,", "the garden is in bloom."]

    async def run() -> InMemoryVectorStore:
        store = InMemoryVectorStore(contextual)
        await runner.ask(store, "add_documents", chunks(contract=CONTRACT, soup=SOUP))
        contextual.include(chunks(letter=letter))
        await runner.ask(store, "add_documents", chunks(letter=letter))
        return store

    vectors = [entry["vector"] for entry in runner.run(run).store.values()]
    [last] = expected(embeddings, letter)
    assert vectors[-2:] == last


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    documents=st.lists(
        st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f", "g"]), min_size=1, max_size=6),
        min_size=1,
        max_size=5,
    ),
    batch=st.integers(1, 7),
)
def test_a_chunk_gets_its_own_vector_or_is_refused(
    documents: list[list[str]], batch: int, embeddings: VoyageAIEmbeddings, emulator: Emulator
) -> None:
    """Whatever batches a store asks in; duplicates within and across documents included."""
    contextual = embeddings.for_documents(
        chunks(**{f"d{number}": texts for number, texts in enumerate(documents)})
    )
    texts = [text for chunks in documents for text in chunks]
    own = [vector for vectors in expected(embeddings, *documents) for vector in vectors]
    emulator.requests.clear()
    for start in range(0, len(texts), batch):
        try:
            found = contextual.embed_documents(texts[start : start + batch])
        except InvalidInputError as error:
            assert "ContextualVectorStore" in str(error)  # noqa: PT017
            continue
        assert found == own[start : start + batch]
    asked = [tuple(chunks) for request in emulator.requests for chunks in request.body["inputs"]]
    assert len(asked) == len({*asked}) or len({*map(tuple, documents)}) < len(documents)


def test_a_document_that_is_added_later_does_not_get_the_vectors_of_one_that_was_there(
    embeddings: VoyageAIEmbeddings, emulator: Emulator, runner: Runner
) -> None:
    """As LangChain's index() asks: documents that are in the store already are left out."""
    old, new = ["Introduction", "Of cats."], ["Introduction", "Of dogs."]
    contextual = embeddings.for_documents(chunks(old=old, new=new))
    [vectors] = expected(embeddings, new)
    emulator.requests.clear()

    assert runner.call(contextual, "embed_documents", new) == vectors
    assert [request.body["inputs"] for request in emulator.requests] == [[new]]


@pytest.mark.parametrize("texts", [["Introduction"], ["Introduction", "Introduction"]])
def test_a_text_of_an_unknown_document_is_refused(
    embeddings: VoyageAIEmbeddings, emulator: Emulator, runner: Runner, texts: list[str]
) -> None:
    contextual = embeddings.for_documents(
        chunks(old=["Introduction", "Of cats."], new=["Introduction", "Of dogs."])
    )
    with pytest.raises(InvalidInputError, match=r"text 0 occurs several times.*Contextual"):
        runner.call(contextual, "embed_documents", texts)
    assert emulator.requests == []


def test_chunks_are_found_in_any_order(
    contextual: ContextualEmbeddings, embeddings: VoyageAIEmbeddings, runner: Runner
) -> None:
    _, soup = expected(embeddings, CONTRACT, SOUP)
    found = runner.call(contextual, "embed_documents", [SOUP[2], SOUP[0]])
    assert found == [soup[2], soup[0]]


def test_threads_that_fill_a_store_together_send_a_document_once(
    contextual: ContextualEmbeddings, embeddings: VoyageAIEmbeddings, emulator: Emulator
) -> None:
    [soup] = expected(embeddings, SOUP)
    emulator.requests.clear()
    ready = threading.Barrier(20)

    def ask(number: int) -> Any:
        ready.wait(10)
        return contextual.embed_documents([SOUP[0] if number % 2 else SOUP[2]])[0]

    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(ask, range(20)))
    assert found == [soup[0] if number % 2 else soup[2] for number in range(20)]
    assert [request.body["inputs"] for request in emulator.requests] == [[SOUP]]


def test_tasks_that_fill_a_store_together_send_a_document_once(
    contextual: ContextualEmbeddings,
    embeddings: VoyageAIEmbeddings,
    emulator: Emulator,
    runner: Runner,
) -> None:
    if runner.is_sync:
        pytest.skip("threads have a test of their own")
    soup = expected(embeddings, SOUP)[0]
    emulator.requests.clear()
    found: list[Any] = []

    async def ask() -> None:
        found.append(await contextual.aembed_documents(SOUP[:1]))

    async def program() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(ask)
        await embeddings.voyage.aclose()

    runner.run(program)
    assert found == [soup[:1]] * 5
    assert [request.body["inputs"] for request in emulator.requests] == [[SOUP]]


def test_a_function_can_say_what_belongs_together(
    embeddings: VoyageAIEmbeddings, emulator: Emulator, runner: Runner
) -> None:
    documents = [
        Document(page_content=text, metadata={"path": f"{name}#{number}"})
        for name, texts in (("contract", CONTRACT), ("soup", SOUP))
        for number, text in enumerate(texts)
    ]
    contextual = embeddings.for_documents(
        documents, by=lambda document: document.metadata["path"].partition("#")[0]
    )
    runner.call(contextual, "embed_documents", CONTRACT + SOUP)
    assert emulator.requests[0].body["inputs"] == [CONTRACT, SOUP]


def test_another_metadata_field_can_say_it(
    embeddings: VoyageAIEmbeddings, emulator: Emulator
) -> None:
    documents = [Document(page_content=text, metadata={"id": 7}) for text in SOUP]
    embeddings.for_documents(documents, by="id").embed_documents(SOUP)
    assert emulator.requests[0].body["inputs"] == [SOUP]


@pytest.mark.parametrize(
    ("metadata", "by", "said"),
    [
        ({}, "source", r"metadata\['source'\] does not identify the document of chunk 1"),
        ({"source": ["a"]}, "source", r"metadata\['source'\] does not identify"),
        ({}, lambda document: document.metadata.get("source"), "the function does not identify"),
    ],
)
def test_a_chunk_of_no_document_is_refused_with_the_remedy(
    embeddings: VoyageAIEmbeddings, metadata: dict[str, Any], by: Any, said: str
) -> None:
    documents = [*chunks(a=["x"]), Document(page_content="y", metadata=metadata)]
    with pytest.raises(InvalidInputError, match=said) as caught:
        embeddings.for_documents(documents, by=by)
    assert "by='title'" in str(caught.value)


def test_a_text_that_is_no_chunk_is_refused_with_the_remedy(
    contextual: ContextualEmbeddings, emulator: Emulator, runner: Runner
) -> None:
    with pytest.raises(
        InvalidInputError, match=r"text 1 is not a registered chunk.*include\(chunks\)"
    ):
        runner.call(contextual, "embed_documents", [SOUP[0], "something else"])
    assert emulator.requests == []


def test_a_store_may_try_one_text_before_it_is_given_chunks(
    contextual: ContextualEmbeddings,
    embeddings: VoyageAIEmbeddings,
    emulator: Emulator,
    runner: Runner,
) -> None:
    """As Qdrant's does, to see how long vectors are; later such a text is a forgotten chunk."""

    async def program() -> None:
        tried = await runner.ask(contextual, "embed_documents", ["dummy_text"])
        assert [len(vector) for vector in tried] == [256]
        await runner.ask(contextual, "embed_documents", SOUP)
        with pytest.raises(InvalidInputError, match="text 0 is not a registered chunk"):
            await runner.ask(contextual, "embed_documents", ["dummy_text"])
        await runner.ask(embeddings.voyage, "close")

    runner.run(program)
    assert [request.body["inputs"] for request in emulator.requests] == [
        [["dummy_text"]],
        [SOUP],
    ]


def test_a_failure_loses_nothing(embeddings: VoyageAIEmbeddings, runner: Runner) -> None:
    """Asked again, the same chunks get the same vectors."""
    contract, soup = expected(embeddings, CONTRACT, SOUP)
    with Emulator(faults=[status(500)]) as url:
        failing = VoyageAIEmbeddings(
            model=MODEL, api_key="pa-x", base_url=url, output_dimension=256, max_retries=0
        )
        contextual = failing.for_documents(chunks(contract=CONTRACT, soup=SOUP))

        async def run() -> Any:
            with pytest.raises(ServerError):
                await runner.ask(contextual, "embed_documents", CONTRACT + SOUP)
            return await runner.ask(contextual, "embed_documents", CONTRACT + SOUP)

        assert runner.run(run) == contract + soup
        failing.voyage.close()


def test_vectors_are_forgotten_when_all_chunks_of_a_document_were_asked_for(
    contextual: ContextualEmbeddings, emulator: Emulator
) -> None:
    """They would fill the memory; those of a document that is not complete are kept."""
    contextual.embed_documents([*CONTRACT, SOUP[0]])
    contextual.embed_documents(SOUP[2:])
    assert [request.body["inputs"] for request in emulator.requests] == [[CONTRACT, SOUP]]
    contextual.embed_documents(SOUP[:2])
    contextual.embed_documents(SOUP)
    contextual.embed_documents(CONTRACT)
    inputs = [request.body["inputs"] for request in emulator.requests]
    assert inputs == [[CONTRACT, SOUP], [SOUP], [CONTRACT]]


def test_other_models_have_no_documents(make: Any) -> None:
    embeddings = make(VoyageAIEmbeddings, model="voyage-4")
    with pytest.raises(InvalidInputError, match="'voyage-4' does not embed chunks in context"):
        embeddings.for_documents([])


@pytest.mark.parametrize("count", [1, 5, 100])
def test_plain_texts_keep_one_vector_each(
    embeddings: VoyageAIEmbeddings,
    emulator: Emulator,
    runner: Runner,
    count: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Without documents, each text is embedded separately, whatever its length, with a warning."""
    texts = [f"text {number} " * number for number in range(1, count + 1)]
    with caplog.at_level(logging.WARNING, "voyage_rag"):
        found = runner.call(embeddings, "embed_documents", texts)
    assert found == [vector for [vector] in expected(embeddings, *([text] for text in texts))]
    assert emulator.requests[0].path == "/v1/contextualizedembeddings"
    assert ["for_documents" in record.getMessage() for record in caplog.records] == [True] * (
        count > 1
    )


def test_a_text_beyond_the_window_is_an_error_and_not_two_vectors(
    embeddings: VoyageAIEmbeddings, runner: Runner
) -> None:
    """Which would give every later text the vector of another."""
    with pytest.raises(Exception, match="That is your input 1: ~") as caught:
        runner.call(embeddings, "embed_documents", ["a", "word " * 40_000, "b"])
    assert caught.value.indices == (1,)
    assert "ContextualVectorStore(store, embeddings, auto_chunk=True)" in str(caught.value)


def test_a_long_document_in_a_store(
    embeddings: VoyageAIEmbeddings, caplog: pytest.LogCaptureFixture
) -> None:
    """In windows, with a warning, and every chunk has a vector."""
    texts = [f"Chapter {number}. " + "word " * 1_000 for number in range(45)]
    documents = chunks(book=texts)
    with caplog.at_level(logging.WARNING, "voyage_rag"):
        store = asyncio.run(
            InMemoryVectorStore.afrom_documents(documents, embeddings.for_documents(documents))
        )
    assert len(store.store) == 45
    assert "longer than the model's window" in caplog.text
