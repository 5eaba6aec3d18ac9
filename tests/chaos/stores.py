"""Chunked documents in stores that fail, crash and are reloaded.

Documents are made of few sentences, so that many chunks are equal. After every step each vector is
compared with the one of its document's version; after every step that succeeded the documents are
compared with those that were given.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from langchain_core.documents import Document as Chunk
from langchain_core.indexing import InMemoryRecordManager, index
from langchain_core.vectorstores import InMemoryVectorStore
from llama_index.core import StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.node_parser import TextSplitter
from llama_index.core.schema import Document

from voyage_rag import Voyage, VoyageError
from voyage_rag.emulator import Emulator
from voyage_rag.emulator.faults import RandomFaults, status
from voyage_rag.langchain import ContextualVectorStore, VoyageAIEmbeddings
from voyage_rag.llama_index import VoyageContextualEmbedding

MODEL = "voyage-context-4"
DIMENSION = 256
SENTENCES = [f"Sentence {letter} of the manual." for letter in "abcdefg"]
NAMES = [f"page {number}" for number in range(8)]
FAILURES = 0.15
"""Of requests, and of what is written."""

Corpus = dict[str, list[str]]


@dataclass(slots=True)
class StoreOutcome:
    """What became of one store.

    Attributes:
        store: Its name.
        steps: How many there were.
        failed: How many of them failed on the way.
        wrong: Vectors that are not those of their chunk.
        lost: Documents that were missing or incomplete after a step that succeeded.
        seconds: How long it took.
    """

    store: str
    steps: int = 0
    failed: int = 0
    wrong: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Reference:
    """The vectors of documents, from a service without faults."""

    def __init__(self, voyage: Voyage) -> None:
        self._voyage = voyage
        self._known: dict[tuple[str, ...], list[list[float]]] = {}

    def of(self, chunks: tuple[str, ...]) -> list[list[float]]:
        """One vector per chunk."""
        if chunks not in self._known:
            found = self._voyage.contextualized_embed(
                [list(chunks)], MODEL, "document", output_dimension=DIMENSION
            )
            self._known[chunks] = found.results[0].embeddings
        return self._known[chunks]


class FailingStore(InMemoryVectorStore):
    """A store that fails before it writes, after a part, or after everything."""

    random: Random

    def add_documents(self, documents: list[Chunk], ids: Any = None, **options: Any) -> list[str]:
        if self.random.random() > FAILURES:
            return super().add_documents(documents, ids, **options)
        some = self.random.randint(0, len(documents))
        if some:
            super().add_documents(documents[:some], ids and ids[:some], **options)
        raise ConnectionError("the store is gone")

    def delete(self, ids: Any = None, **options: Any) -> None:
        if self.random.random() < FAILURES:
            raise ConnectionError("the store is gone")
        super().delete(ids, **options)


def changed(corpus: Corpus, random: Random) -> Corpus:
    """Return a corpus with one page added, removed or changed."""
    corpus = dict(corpus)
    name = random.choice(NAMES)
    if name in corpus and random.random() < 0.3:
        del corpus[name]
    else:
        texts = random.choices(SENTENCES, k=random.randint(1, 5))
        # Chunks that are all equal are taken for the passes of a hierarchical parser.
        corpus[name] = texts if len(set(texts)) > 1 else texts[:1]
    return corpus


# ── LangChain ─────────────────────────────────────────────────────────────────────────────────────


def run_langchain(steps: int, seed: int) -> StoreOutcome:
    """Run `index()` over a store that fails, with every cleanup mode."""
    random, outcome = Random(seed), StoreOutcome("LangChain index()")
    begun = time.monotonic()
    with _services(seed) as (url, reference):
        embeddings = VoyageAIEmbeddings(
            model=MODEL, api_key="pa-x", base_url=url, max_retries=0, output_dimension=DIMENSION
        )
        inner = FailingStore(embeddings)
        inner.random = random
        records = InMemoryRecordManager("chaos")
        records.create_schema()
        store = ContextualVectorStore(inner, embeddings)
        versions: dict[str, tuple[str, ...]] = {}
        corpus: Corpus = {}
        stored: Corpus = {}
        for _ in range(steps):
            outcome.steps += 1
            if random.random() < 0.1:  # another process, which knows nothing of announcements
                store = ContextualVectorStore(inner, embeddings)
            corpus = changed(corpus, random)
            cleanup: Any = random.choice(["full", "incremental", "scoped_full"])
            given = corpus
            if cleanup != "full":
                given = dict(random.sample([*corpus.items()], k=min(2, len(corpus))))
            announced = store.include(_chunks(given))
            for chunk in announced:
                versions[chunk.metadata["document_hash"]] = tuple(given[chunk.metadata["source"]])
            try:
                index(
                    announced,
                    records,
                    store,
                    cleanup=cleanup,
                    source_id_key="source",
                    batch_size=random.choice([1, 3, 100]),
                    key_encoder="sha256",
                )
            except (ConnectionError, VoyageError):
                outcome.failed += 1
                stored = {n: t for n, t in stored.items() if n not in given and cleanup != "full"}
            else:
                stored = dict(given) if cleanup == "full" else stored | given
                outcome.lost += _missing(inner, stored, versions)
            outcome.wrong += _wrong(inner, reference, versions)
        embeddings.voyage.close()
    outcome.seconds = time.monotonic() - begun
    return outcome


def _chunks(corpus: Corpus) -> list[Chunk]:
    return [
        Chunk(page_content=text, metadata={"source": name})
        for name, texts in corpus.items()
        for text in texts
    ]


def _wrong(
    inner: InMemoryVectorStore, reference: Reference, versions: dict[str, tuple[str, ...]]
) -> list[str]:
    """Return the stored chunks whose vector is not that of their position in their document."""
    return [
        f"{entry['metadata']['source']}, chunk {number}: {entry['text']!r}"
        for entry in inner.store.values()
        for number in [entry["metadata"]["chunk_number"]]
        if reference.of(versions[entry["metadata"]["document_hash"]])[number] != entry["vector"]
    ]


def _missing(
    inner: InMemoryVectorStore, corpus: Corpus, versions: dict[str, tuple[str, ...]]
) -> list[str]:
    """Documents of which the store does not hold every chunk.

    It may hold more: chunks of a version that a failing store wrote in part, before LangChain took
    note of them.
    """
    held = {
        (
            entry["metadata"]["source"],
            versions[entry["metadata"]["document_hash"]],
            entry["metadata"]["chunk_number"],
        )
        for entry in inner.store.values()
    }
    return [
        name
        for name, texts in corpus.items()
        if any((name, tuple(texts), number) not in held for number in range(len(texts)))
    ]


# ── LlamaIndex ────────────────────────────────────────────────────────────────────────────────────


class Lines(TextSplitter):
    """One chunk per line."""

    def split_text(self, text: str) -> list[str]:
        return text.splitlines()


def run_llama_index(steps: int, seed: int) -> StoreOutcome:
    """Documents inserted, updated, refreshed and deleted, and the index reloaded in between."""
    random, outcome = Random(seed), StoreOutcome("LlamaIndex index")
    begun = time.monotonic()
    with _services(seed) as (url, reference), tempfile.TemporaryDirectory() as folder:
        embedding = VoyageContextualEmbedding(
            MODEL, "pa-x", base_url=url, max_retries=0, output_dimension=DIMENSION
        )
        made: Any = VectorStoreIndex([], embed_model=embedding, transformations=[Lines()])
        corpus: Corpus = {}
        for _ in range(steps):
            outcome.steps += 1
            if random.random() < 0.1:
                made = _reloaded(made, embedding, folder, random)
            after = changed(corpus, random)
            try:
                _apply(made, corpus, after, random)
            except VoyageError:
                outcome.failed += 1  # what was deleted comes with the next refresh
                corpus = {}
            else:
                corpus = after
                outcome.lost += _missing_nodes(made, corpus)
            outcome.wrong += _wrong_nodes(made, reference)
        embedding.voyage.close()
    outcome.seconds = time.monotonic() - begun
    return outcome


def _apply(made: Any, before: Corpus, after: Corpus, random: Random) -> None:
    """Change an index from one corpus to another."""
    for name in {*before, *made.ref_doc_info} - after.keys():
        made.delete_ref_doc(name, delete_from_docstore=True)
    documents = [Document(text="\n".join(texts), id_=name) for name, texts in after.items()]
    if not before or random.random() < 0.5:
        made.refresh_ref_docs(documents)
        return
    for document in documents:
        if document.id_ not in before:
            if document.id_ in made.ref_doc_info:
                made.delete_ref_doc(document.id_, delete_from_docstore=True)
            made.insert(document)
        elif before[document.id_] != after[document.id_]:
            made.update_ref_doc(document)


def _reloaded(made: Any, embedding: Any, folder: str, random: Random) -> Any:
    made.storage_context.persist(folder)
    storage = StorageContext.from_defaults(persist_dir=folder)
    steps = random.choice([[Lines()], [Lines(), embedding]])
    return load_index_from_storage(storage, embed_model=embedding, transformations=steps)


def _nodes(made: Any) -> dict[str, list[tuple[str, list[float]]]]:
    """Return the texts and vectors of an index by document, ordered by text."""
    vectors = made.vector_store.data.embedding_dict
    nodes: dict[str, list[Any]] = {}
    for id_, vector in vectors.items():
        node = made.docstore.get_node(id_)
        nodes.setdefault(node.ref_doc_id, []).append((node.start_char_idx, node.text, vector))
    return {
        name: [(text, vector) for _, text, vector in sorted(its)] for name, its in nodes.items()
    }


def _wrong_nodes(made: Any, reference: Reference) -> list[str]:
    return [
        f"{name}, chunk {number}"
        for name, its in _nodes(made).items()
        for number, (_, vector) in enumerate(its)
        if reference.of(tuple(text for text, _ in its))[number] != vector
    ]


def _missing_nodes(made: Any, corpus: Corpus) -> list[str]:
    held = {name: [text for text, _ in its] for name, its in _nodes(made).items()}
    return [name for name in {*held, *corpus} if held.get(name) != corpus.get(name)]


# ── services ──────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _services(seed: int) -> Iterator[tuple[str, Reference]]:
    """Return a service that fails and one that does not."""
    failing = Emulator(faults=RandomFaults(FAILURES, seed, (status(500), status(503))))
    with failing as url, Emulator() as sound, Voyage("pa-x", base_url=sound) as voyage:
        yield url, Reference(voyage)


RUNS = (run_langchain, run_llama_index)
