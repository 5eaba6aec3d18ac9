"""Documents of chunks, each embedded once however many callers ask for it at the same time."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

from anyio import CapacityLimiter, to_thread

from voyage_rag.errors import InvalidInputError, InvalidRequestError, VoyageError
from voyage_rag.langchain.chunks import Chunks
from voyage_rag.locks import lock_for

if TYPE_CHECKING:
    from voyage_rag.client import Voyage
    from voyage_rag.types import Vector

MOST_VECTORS_KEPT = 65_536
"""Vectors that wait for a store to write them: 256 MiB of 1,024 floats each."""


class ContextualModel(Protocol):
    """What embeds documents: `VoyageAIEmbeddings` with a contextualized model."""

    model: str

    @property
    def voyage(self) -> Voyage:
        """The client."""
        ...

    @property
    def chunk_options(self) -> dict[str, Any]:
        """The options of `Voyage.embed_chunks`."""
        ...

    def as_numbers(self, vectors: Iterable[Vector]) -> list[list[float]]:
        """Vectors as LangChain's lists."""
        ...

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Vectors of texts that have no document."""
        ...

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Async variant of `embed_documents`."""
        ...

    def embed_query(self, text: str) -> list[float]:
        """The vector of a query."""
        ...

    async def aembed_query(self, text: str) -> list[float]:
        """Async variant of `embed_query`."""
        ...


@dataclass(frozen=True, slots=True)
class EmbeddedDocument:
    """A document's chunks and their vectors, position by position."""

    chunks: Chunks
    vectors: Sequence[Vector]


class SplitDocuments:
    """Embeds documents that are split into chunks."""

    def __init__(self, model: ContextualModel) -> None:
        self.model = model

    def embed(self, documents: Mapping[Chunks, Hashable]) -> list[EmbeddedDocument]:
        """One result per document, in order."""
        found = self.model.voyage.embed_chunks(*self._flat(documents), **self.model.chunk_options)
        return list(self._results(documents, dict(enumerate(found.vectors))).values())

    async def aembed(self, documents: Mapping[Chunks, Hashable]) -> list[EmbeddedDocument]:
        """Async variant of `embed`."""
        call = self.model.voyage.aembed_chunks(*self._flat(documents), **self.model.chunk_options)
        return list(self._results(documents, dict(enumerate((await call).vectors))).values())

    def finished(
        self, documents: Mapping[Chunks, Hashable], partial: Any
    ) -> dict[int, EmbeddedDocument]:
        """The results that a failed call has completed, by position."""
        return self._results(documents, partial.vectors)

    def _flat(self, documents: Mapping[Chunks, Hashable]) -> tuple[list[str], list[Hashable]]:
        """All chunks, and for each what its document is called."""
        names: list[Hashable] = list(documents.values())
        if len(set(names)) < len(names):
            names = list(enumerate(names))
        return (
            [chunk for chunks in documents for chunk in chunks],
            [name for name, chunks in zip(names, documents, strict=True) for _ in chunks],
        )

    def _results(
        self, documents: Mapping[Chunks, Hashable], vectors: Mapping[int, Vector]
    ) -> dict[int, EmbeddedDocument]:
        results, start = {}, 0
        for number, chunks in enumerate(documents):
            positions = range(start, start + len(chunks))
            if all(position in vectors for position in positions):
                results[number] = EmbeddedDocument(chunks, [vectors[at] for at in positions])
            start = positions.stop
        return results


class UnsplitDocuments:
    """Has the service split documents, each of which is given as one text."""

    def __init__(self, model: ContextualModel, chunking: Mapping[str, Any]) -> None:
        self.model = model
        self._chunking = chunking

    def embed(self, documents: Mapping[Chunks, Hashable]) -> list[EmbeddedDocument]:
        """One result per document, in order."""
        texts = [text for (text,) in documents]
        found = self.model.voyage.contextualized_embed(texts, **self._options)
        return list(map(_split_by_service, found.results))

    async def aembed(self, documents: Mapping[Chunks, Hashable]) -> list[EmbeddedDocument]:
        """Async variant of `embed`."""
        texts = [text for (text,) in documents]
        found = await self.model.voyage.acontextualized_embed(texts, **self._options)
        return list(map(_split_by_service, found.results))

    def finished(
        self,
        documents: Mapping[Chunks, Hashable],  # noqa: ARG002 - the other class needs them
        partial: Any,
    ) -> dict[int, EmbeddedDocument]:
        """The results that a failed call has completed, by position."""
        return {number: _split_by_service(result) for number, result in partial.results.items()}

    @property
    def _options(self) -> dict[str, Any]:
        return {
            **{k: v for k, v in self.model.chunk_options.items() if k != "empty_text"},
            **self._chunking,
        }


def _split_by_service(result: Any) -> EmbeddedDocument:
    return EmbeddedDocument(tuple(result.chunk_texts or ()), result.vectors)


class DocumentVectors:
    """Embedded documents by their chunks, kept until a store has written them.

    A document that several threads or tasks ask for at the same time is sent once. If the caller
    that sends it fails, the others get its error; if it is cancelled, or if its input was refused,
    which may be due to another document, they send theirs.
    """

    def __init__(self, embedder: SplitDocuments | UnsplitDocuments) -> None:
        self._embedder = embedder
        self._known: dict[Chunks, Future[EmbeddedDocument]] = {}
        self._lock = lock_for(self)

    def get(self, documents: Mapping[Chunks, Hashable]) -> dict[Chunks, EmbeddedDocument]:
        """The vectors of documents, each with the name that warnings are to use."""
        found: dict[Chunks, EmbeddedDocument] = {}
        while missing := {c: name for c, name in documents.items() if c not in found}:
            own, others = self._claim(missing)
            if own:
                with self._settled(own) as results:
                    results.extend(self._embedder.embed(own))
            for chunks, future in others.items():
                try:
                    found[chunks] = future.result()
                except CancelledError:
                    continue
        return found

    async def aget(self, documents: Mapping[Chunks, Hashable]) -> dict[Chunks, EmbeddedDocument]:
        """Async variant of `get`."""
        found: dict[Chunks, EmbeddedDocument] = {}
        while missing := {c: name for c, name in documents.items() if c not in found}:
            own, others = self._claim(missing)
            if own:
                with self._settled(own) as results:
                    results.extend(await self._embedder.aembed(own))
            for chunks, future in others.items():
                try:
                    found[chunks] = await _result(future)
                except CancelledError:
                    continue
        return found

    def forget(self, documents: Sequence[Chunks]) -> None:
        """Drop what a store has written, and the oldest of what has waited for long."""
        with self._lock:
            for chunks in documents:
                self._known.pop(chunks, None)
            kept = sum(map(len, self._known))
            for chunks in [c for c, future in self._known.items() if future.done()]:
                if kept <= MOST_VECTORS_KEPT:
                    break
                kept -= len(chunks)
                del self._known[chunks]

    def _claim(
        self, documents: Mapping[Chunks, Hashable]
    ) -> tuple[dict[Chunks, Hashable], dict[Chunks, Future[EmbeddedDocument]]]:
        """Documents that the caller has to send, and the results of all."""
        with self._lock:
            own = {c: name for c, name in documents.items() if c not in self._known}
            self._known |= {chunks: Future() for chunks in own}
            return own, {chunks: self._known[chunks] for chunks in documents}

    @contextmanager
    def _settled(self, own: Mapping[Chunks, Hashable]) -> Iterator[list[EmbeddedDocument]]:
        """Publish the results that the context appends, or its failure."""
        results: list[EmbeddedDocument] = []
        failure: BaseException | None = None
        finished: Mapping[int, EmbeddedDocument] = {}
        try:
            yield results
            finished = dict(enumerate(results))
        except VoyageError as error:
            failure = error
            if error.partial is not None:
                finished = self._embedder.finished(own, error.partial)
            raise
        except BaseException as error:
            failure = error
            raise
        finally:
            self._publish(own, finished, failure)

    def _publish(
        self,
        own: Mapping[Chunks, Hashable],
        finished: Mapping[int, EmbeddedDocument],
        failure: BaseException | None,
    ) -> None:
        concerns_others = isinstance(failure, VoyageError) and not isinstance(
            failure, (InvalidInputError, InvalidRequestError)
        )
        with self._lock:
            for number, chunks in enumerate(own):
                future = self._known[chunks]
                if number in finished:
                    future.set_result(finished[number])
                    continue
                del self._known[chunks]
                if concerns_others:
                    future.set_exception(failure)
                else:
                    future.cancel()


async def _result(future: Future[EmbeddedDocument]) -> EmbeddedDocument:
    """A result that a thread or another task will set, without blocking the event loop."""
    if not future.done():
        wait = partial(_wait, future)
        await to_thread.run_sync(wait, abandon_on_cancel=True, limiter=CapacityLimiter(inf))
    return future.result()


def _wait(future: Future[EmbeddedDocument]) -> None:
    try:
        future.exception()
    except CancelledError:
        return
