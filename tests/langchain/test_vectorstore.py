"""A vector store around any other, whose chunks have the context of their documents."""

from __future__ import annotations

import logging
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.indexing import InMemoryRecordManager, aindex, index
from langchain_core.vectorstores import InMemoryVectorStore

from voyage_rag import ConfigurationError, InvalidInputError, ServerError
from voyage_rag.emulator import Emulator
from voyage_rag.emulator.faults import status
from voyage_rag.langchain import ContextualVectorStore, VoyageAIEmbeddings

if TYPE_CHECKING:
    from conftest import Runner

MODEL = "voyage-context-4"
A = ["Introduction", "Cats sleep in the sun.", "Contact us."]
B = ["Introduction", "Dogs run through the snow.", "Contact us."]
TEXT = "Cats sleep in the sun. " * 30 + "Dogs run through the snow. " * 30

pytestmark = pytest.mark.filterwarnings("ignore:Using SHA-1 for document hashing")
both = pytest.mark.parametrize("runner", ["sync", "asyncio"], indirect=True)
"""LangChain's stores run in executors of asyncio."""


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
def inner(embeddings: VoyageAIEmbeddings) -> InMemoryVectorStore:
    return InMemoryVectorStore(embeddings)


@pytest.fixture
def store(inner: InMemoryVectorStore, embeddings: VoyageAIEmbeddings) -> ContextualVectorStore:
    return ContextualVectorStore(inner, embeddings)


def expected(embeddings: VoyageAIEmbeddings, *documents: list[str]) -> list[Any]:
    """The vectors of each document, by the client."""
    found = embeddings.voyage.contextualized_embed(
        documents, MODEL, "document", output_dimension=256
    )
    return [result.embeddings for result in found.results]


def held(inner: InMemoryVectorStore) -> list[tuple[str, str, list[float]]]:
    """Source, text and vector of all that a store holds."""
    return sorted(
        (entry["metadata"]["source"], entry["text"], entry["vector"])
        for entry in inner.store.values()
    )


def right(embeddings: VoyageAIEmbeddings, **documents: list[str]) -> list[Any]:
    """The same, as it should be."""
    vectors = expected(embeddings, *documents.values())
    return sorted(
        (name, text, vector)
        for (name, texts), its in zip(documents.items(), vectors, strict=True)
        for text, vector in zip(texts, its, strict=True)
    )


# ── adding ────────────────────────────────────────────────────────────────────────────────────────


@both
def test_chunks_have_the_vectors_of_their_own_documents(
    store: ContextualVectorStore,
    inner: InMemoryVectorStore,
    embeddings: VoyageAIEmbeddings,
    emulator: Emulator,
    runner: Runner,
) -> None:
    """Mixed, with equal chunks in both, in one request; ids come back in order."""
    mixed = [one for pair in zip(chunks(a=A), chunks(b=B), strict=True) for one in pair]
    ids = runner.call(store, "add_documents", mixed, ids=list("123456"))
    assert ids == list("123456")
    assert [request.body["inputs"] for request in emulator.requests] == [[A, B]]
    assert held(inner) == right(embeddings, a=A, b=B)
    assert [inner.store[id_]["text"] for id_ in ids] == [one.page_content for one in mixed]


@both
def test_texts_with_metadata_are_chunks_too(
    store: ContextualVectorStore,
    inner: InMemoryVectorStore,
    embeddings: VoyageAIEmbeddings,
    runner: Runner,
) -> None:
    runner.call(store, "add_texts", A, [{"source": "a"}] * 3, ids=list("xyz"))
    assert held(inner) == right(embeddings, a=A)


@both
def test_a_retriever_adds_and_finds(
    store: ContextualVectorStore, inner: InMemoryVectorStore, emulator: Emulator, runner: Runner
) -> None:
    async def program() -> Any:
        retriever = store.as_retriever(search_kwargs={"k": 1})
        if runner.is_sync:
            retriever.add_documents(chunks(a=A, b=B))
            return retriever.invoke("snow?"), store.similarity_search("snow?", k=1)
        await retriever.aadd_documents(chunks(a=A, b=B))
        return await retriever.ainvoke("snow?"), await store.asimilarity_search("snow?", k=1)

    for found in runner.run(program):
        assert [one.page_content for one in found] == [B[1]]
    assert [request.body["input_type"] for request in emulator.requests[1:]] == ["query"] * 2


@both
@pytest.mark.parametrize(
    ("verb", "args"),
    [
        ("similarity_search_with_score", ("snow?", 1)),
        ("similarity_search_by_vector", ([1.0] * 256, 1)),
        ("max_marginal_relevance_search", ("snow?", 1)),
        ("search", ("snow?", "mmr")),
        ("get_by_ids", (["1"],)),
    ],
)
def test_searches_are_those_of_the_wrapped_store(
    store: ContextualVectorStore, inner: InMemoryVectorStore, runner: Runner, verb: str, args: Any
) -> None:
    runner.call(store, "add_documents", chunks(a=A, b=B), ids=list("123456"))
    assert runner.call(store, verb, *args) == runner.call(inner, verb, *args) != []


@both
def test_what_a_store_failed_to_write_is_not_paid_for_again(
    store: ContextualVectorStore,
    inner: InMemoryVectorStore,
    embeddings: VoyageAIEmbeddings,
    emulator: Emulator,
    runner: Runner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = "add_documents" if runner.is_sync else "aadd_documents"
    write, failures = getattr(inner, name), [ConnectionError("gone")]

    def fail_once(*args: Any, **options: Any) -> Any:
        if failures:
            raise failures.pop()
        return write(*args, **options)

    monkeypatch.setattr(inner, name, fail_once)

    async def program() -> None:
        with pytest.raises(ConnectionError):
            await runner.ask(store, "add_documents", chunks(a=A, b=B))
        await runner.ask(store, "add_documents", chunks(a=A, b=B))

    runner.run(program)
    assert [request.body["inputs"] for request in emulator.requests] == [[A, B]]
    assert held(inner) == right(embeddings, a=A, b=B)
    emulator.requests.clear()
    runner.call(store, "add_documents", chunks(a=A))
    assert [request.body["inputs"] for request in emulator.requests] == [[A]]  # not kept forever


@both
def test_what_was_finished_before_a_failure_is_not_paid_for_again(
    embeddings: VoyageAIEmbeddings, runner: Runner
) -> None:
    """Two requests, of which the second fails."""
    emulator = Emulator(faults=[None, status(500)])
    with emulator:
        failing = VoyageAIEmbeddings(
            model=MODEL,
            api_key="pa-x",
            base_url=emulator.url,
            max_retries=0,
            concurrency=1,
            output_dimension=256,
        )
        inner = InMemoryVectorStore(failing)
        store = ContextualVectorStore(inner, failing)
        long = {name: [f"{name} {n} " + "word " * 3_000 for n in range(9)] for name in "abcdef"}

        async def program() -> None:
            with pytest.raises(ServerError):
                await runner.ask(store, "add_documents", chunks(**long))
            await runner.ask(store, "add_documents", chunks(**long))
            await runner.ask(failing.voyage, "close")

        runner.run(program)
        sent = [tuple(texts) for one in emulator.requests for texts in one.body["inputs"]]
        failed = [tuple(texts) for texts in emulator.requests[1].body["inputs"]]
        failing.voyage.close()
    assert held(inner) == right(embeddings, **long)
    assert {text for text in sent if sent.count(text) > 1} == {*failed}


def test_threads_add_one_document_with_one_request(
    store: ContextualVectorStore, emulator: Emulator
) -> None:
    ready = threading.Barrier(8)

    def add(_: int) -> None:
        ready.wait(10)
        store.add_documents(store.include(chunks(a=A))[:1])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(8)))
    assert [request.body["inputs"] for request in emulator.requests] == [[A]]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    documents=st.lists(
        st.lists(st.sampled_from("abcde"), min_size=1, max_size=5), min_size=1, max_size=5
    ),
    batch=st.integers(1, 6),
    order=st.randoms(use_true_random=False),
)
def test_announced_chunks_may_come_one_by_one_and_in_any_order(
    documents: list[list[str]],
    batch: int,
    order: Any,
    embeddings: VoyageAIEmbeddings,
    emulator: Emulator,
) -> None:
    """Each has the vector of its place in its document, and each document is sent once."""
    inner = InMemoryVectorStore(embeddings)
    store = ContextualVectorStore(inner, embeddings)
    named = {f"d{number}": texts for number, texts in enumerate(documents)}
    announced = store.include(chunks(**named))
    order.shuffle(announced)
    emulator.requests.clear()
    for start in range(0, len(announced), batch):
        store.add_documents(announced[start : start + batch])
    sent = [tuple(texts) for one in emulator.requests for texts in one.body["inputs"]]
    assert held(inner) == right(embeddings, **named)
    if len({*map(tuple, documents)}) == len(documents):
        assert sorted(sent) == sorted(map(tuple, documents))


def test_announced_chunks_are_recognised_in_another_process_if_all_are_there(
    inner: InMemoryVectorStore, embeddings: VoyageAIEmbeddings
) -> None:
    announced = ContextualVectorStore(inner, embeddings).include(chunks(a=A, b=B))
    other = ContextualVectorStore(inner, embeddings)
    other.add_documents(announced[::-1])
    assert held(inner) == right(embeddings, a=A, b=B)
    with pytest.raises(InvalidInputError, match=r"chunk 0 was added without.*include\(chunks\)"):
        ContextualVectorStore(inner, embeddings).add_documents(announced[:2])


def test_a_chunk_that_was_changed_after_it_was_announced_is_refused(
    store: ContextualVectorStore, emulator: Emulator
) -> None:
    announced = store.include(chunks(a=A))
    announced[1].page_content = "Something else."
    with pytest.raises(InvalidInputError, match="chunk 1 has changed"):
        store.add_documents(announced)
    assert emulator.requests == []


def test_parts_of_a_document_that_was_not_announced_are_warned_of_once(
    store: ContextualVectorStore, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "voyage_rag"):
        store.add_documents(chunks(a=A))
        store.add_documents(chunks(a=A))
        assert caplog.records == []
        store.add_documents(chunks(a=A[:2]))
        store.add_documents(chunks(a=A[2:]))
    [record] = caplog.records
    assert "chunks of 'a' were already added" in record.getMessage()
    assert "include(chunks)" in record.getMessage()


# ── LangChain's indexing ──────────────────────────────────────────────────────────────────────────


@both
@pytest.mark.parametrize("cleanup", [None, "incremental", "full", "scoped_full"])
@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_index_keeps_every_document_whole(
    store: ContextualVectorStore,
    inner: InMemoryVectorStore,
    embeddings: VoyageAIEmbeddings,
    runner: Runner,
    cleanup: Any,
    batch_size: int,
) -> None:
    """First A, then A and B, then a changed A: nothing has a vector of another document."""
    records = InMemoryRecordManager("tests")
    records.create_schema()
    options: dict[str, Any] = {"cleanup": cleanup, "source_id_key": "source"}
    options |= {"batch_size": batch_size, "key_encoder": "sha256"}
    changed = [*A[:1], "Cats sleep in the shade.", *A[2:]]

    async def program() -> None:
        for documents in ({"a": A}, {"a": A, "b": B}, {"a": changed, "b": B}):
            listed = store.include(chunks(**documents))
            if runner.is_sync:
                index(listed, records, store, **options)
            else:
                await aindex(listed, records, store, **options)

    runner.run(program)
    if cleanup is None:
        assert [one for one in right(embeddings, a=changed, b=B) if one not in held(inner)] == []
    else:
        assert held(inner) == right(embeddings, a=changed, b=B)


def test_index_without_announcement_gives_a_new_document_its_own_vectors(
    store: ContextualVectorStore, inner: InMemoryVectorStore, embeddings: VoyageAIEmbeddings
) -> None:
    records = InMemoryRecordManager("tests")
    records.create_schema()
    for documents in ({"a": A}, {"a": A, "b": B}):
        index(chunks(**documents), records, store, key_encoder="sha256")
    assert held(inner) == right(embeddings, a=A, b=B)


# ── documents that the service splits ─────────────────────────────────────────────────────────────


@pytest.fixture
def automatic(inner: InMemoryVectorStore, embeddings: VoyageAIEmbeddings) -> ContextualVectorStore:
    return ContextualVectorStore(inner, embeddings, auto_chunk=True, chunk_size=32)


@both
def test_the_service_splits_documents(
    automatic: ContextualVectorStore,
    inner: InMemoryVectorStore,
    embeddings: VoyageAIEmbeddings,
    emulator: Emulator,
    runner: Runner,
) -> None:
    """Chunks are slices of the document, and their vectors those of the same answer."""
    document = Document(page_content=TEXT, metadata={"source": "pets"})
    ids = runner.call(automatic, "add_documents", [document], ids=["pets"])

    [request] = emulator.requests
    assert request.body["inputs"] == [[TEXT]]
    assert request.body["chunk_size"] == 32
    [result] = embeddings.voyage.contextualized_embed(
        [TEXT],
        MODEL,
        "document",
        output_dimension=256,
        enable_auto_chunking=True,
        chunk_size=32,
    ).results
    stored = [inner.store[id_] for id_ in ids]
    assert [entry["text"] for entry in stored] == result.chunk_texts
    assert [entry["vector"] for entry in stored] == result.embeddings
    assert "".join(entry["text"] for entry in stored) == TEXT
    for entry in stored:
        start = entry["metadata"]["start_index"]
        assert TEXT[start : start + len(entry["text"])] == entry["text"]
    starts = [entry["metadata"]["start_index"] for entry in stored]
    assert starts == sorted({*starts})


@both
def test_a_document_is_replaced_and_deleted_with_all_its_chunks(
    automatic: ContextualVectorStore, inner: InMemoryVectorStore, runner: Runner
) -> None:
    async def program() -> None:
        long = Document(page_content=TEXT * 3, metadata={"source": "a"})
        short = Document(page_content=TEXT, metadata={"source": "a"})
        other = Document(page_content="Another one.", metadata={"source": "b"})
        await runner.ask(automatic, "add_documents", [long, other], ids=["a", "b"])
        assert len(inner.store) > 33
        await runner.ask(automatic, "add_documents", [short], ids=["a"])
        kept = sorted(
            (entry["metadata"]["start_index"], entry["text"])
            for entry in inner.store.values()
            if entry["metadata"]["source"] == "a"
        )
        assert "".join(text for _, text in kept) == TEXT
        await runner.ask(automatic, "delete", ["a", "nobody"])
        assert [entry["text"] for entry in inner.store.values()] == ["Another one."]
        await runner.ask(automatic, "delete", list(inner.store))
        assert inner.store == {}

    runner.run(program)


def test_index_takes_unsplit_documents(
    automatic: ContextualVectorStore, inner: InMemoryVectorStore, emulator: Emulator
) -> None:
    records = InMemoryRecordManager("tests")
    records.create_schema()
    documents = [Document(page_content=text, metadata={"source": text[:4]}) for text in (TEXT, "x")]
    for listed, requests in ((documents, 1), (documents, 1), (documents[1:], 1)):
        index(
            listed,
            records,
            automatic,
            cleanup="full",
            source_id_key="source",
            key_encoder="sha256",
        )
        assert len(emulator.requests) == requests
    assert [entry["text"] for entry in inner.store.values()] == ["x"]


def test_two_documents_of_one_text_are_sent_once_and_kept_twice(
    automatic: ContextualVectorStore, inner: InMemoryVectorStore, emulator: Emulator
) -> None:
    twice = [Document(page_content=TEXT, metadata={"source": name}) for name in "ab"]
    ids = automatic.add_documents(twice)
    assert len(ids) == len(inner.store) == len({*ids})
    assert [request.body["inputs"] for request in emulator.requests] == [[[TEXT]]]


@both
def test_ids_are_checked_before_anything_is_sent(
    automatic: ContextualVectorStore, emulator: Emulator, runner: Runner
) -> None:
    """The chunks of two documents with one id would overwrite each other."""
    documents = [Document(page_content=text, id="a") for text in (TEXT, "x")]
    with pytest.raises(InvalidInputError, match=r"documents\[0\] and documents\[1\] .* id 'a'"):
        runner.call(automatic, "add_documents", documents)
    with pytest.raises(InvalidInputError, match="2 documents and 1 ids"):
        runner.call(automatic, "add_documents", documents, ids=["a"])
    assert emulator.requests == []


def test_a_document_without_words_has_no_chunks(
    automatic: ContextualVectorStore, inner: InMemoryVectorStore, emulator: Emulator
) -> None:
    assert automatic.add_documents([Document(page_content=" \n", metadata={"source": "a"})]) == []
    assert inner.store == {}
    assert emulator.requests == []


# ── what cannot work ──────────────────────────────────────────────────────────────────────────────


class Deaf(InMemoryVectorStore):
    """Asks another embeddings object than the one it shows."""

    @property
    def embeddings(self) -> Any:
        return None


class Changing(Embeddings):
    """Embeddings in the way of the store's, which change texts."""

    def __init__(self, of: Embeddings) -> None:
        self.of = of

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.of.embed_documents([text.lower() for text in texts])

    def embed_query(self, text: str) -> list[float]:
        return self.of.embed_query(text)


def test_a_store_that_embeds_by_itself_is_noticed_and_undone(
    embeddings: VoyageAIEmbeddings, make: Any
) -> None:
    inner = Deaf(make(VoyageAIEmbeddings, model="voyage-4"))
    with pytest.raises(ConfigurationError, match="did not request the vectors"):
        ContextualVectorStore(inner, embeddings).add_documents(chunks(a=A))
    assert inner.store == {}


def test_a_store_that_changes_texts_is_refused(embeddings: VoyageAIEmbeddings) -> None:
    inner = Deaf(Changing(embeddings))
    with pytest.raises(InvalidInputError, match="not a chunk of this call"):
        ContextualVectorStore(inner, embeddings).add_documents(chunks(a=A))
    assert inner.store == {}


def test_what_cannot_work_is_refused_when_it_is_made(
    inner: InMemoryVectorStore, embeddings: VoyageAIEmbeddings, make: Any
) -> None:
    other = make(VoyageAIEmbeddings, model=MODEL)
    plain = make(VoyageAIEmbeddings, model="voyage-4")
    for arguments, options, said in [
        ((inner, other), {}, "another embeddings object"),
        ((InMemoryVectorStore(plain), plain), {}, "'voyage-4' does not embed chunks in context"),
        (
            (ContextualVectorStore(inner, embeddings), embeddings),
            {},
            "vectorstore must be a LangChain vector store",
        ),
        ((embeddings, embeddings), {}, "vectorstore must be a LangChain vector store"),
        ((inner, inner), {}, "embeddings must be a VoyageAIEmbeddings"),
        ((inner, embeddings), {"chunk_size": 9}, "require auto_chunk=True"),
    ]:
        with pytest.raises(ConfigurationError, match=said):
            ContextualVectorStore(*arguments, **options)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="create the store first"):
        ContextualVectorStore.from_texts(["a"], embeddings)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (Document(page_content="x"), r"metadata\['source'\] does not identify .* chunk 1"),
        (Document(page_content="", metadata={"source": "a.md"}), r"documents\[1\] \('a.md'\)"),
    ],
)
def test_bad_chunks_are_refused_before_anything_is_sent(
    store: ContextualVectorStore, emulator: Emulator, document: Document, said: str
) -> None:
    with pytest.raises(InvalidInputError, match=said):
        store.add_documents([*chunks(a=A[:1]), document])
    assert emulator.requests == []


@pytest.mark.parametrize("copied", [deepcopy, lambda store: pickle.loads(pickle.dumps(store))])
def test_a_store_can_be_copied_and_pickled(store: ContextualVectorStore, copied: Any) -> None:
    """As the store that it wraps; the copy knows the registered documents."""
    registered = store.include(chunks(a=A))
    copy = copied(store)

    assert copy.add_documents(registered[1:2])
    assert copy.similarity_search("Cats", k=1)[0].page_content == A[1]
    assert not store.similarity_search("Cats", k=1)
