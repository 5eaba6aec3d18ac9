"""The stores of LangChain: how each is opened, and how each filters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from stores.place import TABLE, Place


@dataclass(frozen=True, slots=True)
class Store:
    """A kind of store.

    Attributes:
        opened: An empty store for vectors of so many numbers, closed in the end.
        only: The arguments of a search that leave one topic.
    """

    opened: Callable[[Place, Embeddings, int], AbstractAsyncContextManager[VectorStore]]
    only: Callable[[str], dict[str, Any]]


@asynccontextmanager
async def chroma(place: Place, embeddings: Embeddings, _length: int) -> AsyncIterator[VectorStore]:
    """On disk, without telemetry."""
    from chromadb.config import Settings
    from langchain_chroma import Chroma

    yield Chroma(
        TABLE,
        embeddings,
        persist_directory=str(place.folder),
        client_settings=Settings(anonymized_telemetry=False, is_persistent=True),
        collection_configuration={"hnsw": {"space": "cosine"}},
    )


@asynccontextmanager
async def qdrant(
    place: Place, embeddings: Embeddings, length: int, datatype: str = "float32"
) -> AsyncIterator[VectorStore]:
    """Local mode, on disk."""
    from langchain_qdrant import QdrantVectorStore
    from qdrant_client import QdrantClient, models

    kind = models.VectorParams(
        size=length, distance=models.Distance.COSINE, datatype=models.Datatype(datatype)
    )
    with closing(QdrantClient(path=str(place.folder))) as client:
        client.create_collection(TABLE, kind)
        yield QdrantVectorStore(client, TABLE, embeddings)


def qdrant_topic(topic: str) -> dict[str, Any]:
    """Qdrant's filter."""
    from qdrant_client import models

    field = models.FieldCondition(key="metadata.topic", match=models.MatchValue(value=topic))
    return {"filter": models.Filter(must=[field])}


@asynccontextmanager
async def lancedb(place: Place, embeddings: Embeddings, _length: int) -> AsyncIterator[VectorStore]:
    """On disk."""
    from langchain_community.vectorstores import LanceDB

    yield LanceDB(uri=str(place.folder), embedding=embeddings, table_name=TABLE, mode="append")


@asynccontextmanager
async def faiss(
    _place: Place, embeddings: Embeddings, length: int, whole: str = ""
) -> AsyncIterator[VectorStore]:
    """In memory."""
    from langchain_community.docstore.in_memory import InMemoryDocstore
    from langchain_community.vectorstores import FAISS

    yield FAISS(embeddings, faiss_index(length, whole), InMemoryDocstore(), {})


@asynccontextmanager
async def postgres(
    place: Place, embeddings: Embeddings, length: int, column: str = "vector"
) -> AsyncIterator[VectorStore]:
    """A table with a column for vectors and one for the topic."""
    import psycopg
    from langchain_postgres import Column, PGEngine, PGVectorStore

    engine = PGEngine.from_connection_string(place.postgres_by("psycopg"))
    engine.init_vectorstore_table(
        TABLE, length, schema_name=place.schema, metadata_columns=[Column("topic", "TEXT")]
    )
    with psycopg.connect(place.postgres) as connection:
        connection.execute(
            f"ALTER TABLE {place.schema}.{TABLE} ALTER COLUMN embedding TYPE {column}({length})"
        )
    yield PGVectorStore.create_sync(
        engine, embeddings, TABLE, schema_name=place.schema, metadata_columns=["topic"]
    )
    await engine.close() if place.is_async else asyncio.run(engine.close())


@asynccontextmanager
async def pgvector(
    place: Place, embeddings: Embeddings, _length: int
) -> AsyncIterator[VectorStore]:
    """The older class of pgvector, over SQLAlchemy."""
    from langchain_postgres import PGVector
    from sqlalchemy import create_engine
    from sqlalchemy.ext.asyncio import create_async_engine

    make: Any = create_async_engine if place.is_async else create_engine
    schema = {"options": f"-csearch_path={place.schema},public"}
    engine = make(place.postgres_by("psycopg"), connect_args=schema)
    yield PGVector(
        embeddings,
        connection=engine,
        collection_name=place.schema,
        create_extension=False,
        async_mode=place.is_async,
    )
    await engine.dispose() if place.is_async else engine.dispose()


def faiss_index(length: int, whole: str) -> Any:
    """An index of 4-byte floats, or of whole numbers in a byte each."""
    from faiss import IndexFlatL2, IndexScalarQuantizer, ScalarQuantizer

    if not whole:
        return IndexFlatL2(length)
    return IndexScalarQuantizer(length, getattr(ScalarQuantizer, f"QT_8bit_{whole}"))


def by_field(topic: str) -> dict[str, Any]:
    """The filter of most stores."""
    return {"filter": {"topic": topic}}


def by_sql(topic: str) -> dict[str, Any]:
    """LanceDB's filter. By default it filters what it found, and may leave nothing."""
    return {"filter": f"metadata.topic = '{topic}'", "prefilter": True}


OF_FLOATS = {
    "chroma": Store(chroma, by_field),
    "qdrant": Store(qdrant, qdrant_topic),
    "lancedb": Store(lancedb, by_sql),
    "faiss": Store(faiss, by_field),
    "postgres": Store(postgres, by_field),
}

ALL = OF_FLOATS | {"pgvector": Store(pgvector, by_field)}
"""Every class that keeps floats."""

CELLS = {
    **{(name, "float"): store for name, store in OF_FLOATS.items()},
    **{(name, "int8"): store for name, store in OF_FLOATS.items()},
    **{(name, "uint8"): store for name, store in OF_FLOATS.items()},
    ("qdrant declared uint8", "uint8"): Store(partial(qdrant, datatype="uint8"), qdrant_topic),
    ("lancedb", "ubinary"): Store(lancedb, by_sql),
    ("faiss of int8", "int8"): Store(partial(faiss, whole="direct_signed"), by_field),
    ("faiss of uint8", "uint8"): Store(partial(faiss, whole="direct"), by_field),
    ("postgres halfvec", "float"): Store(partial(postgres, column="halfvec"), by_field),
    ("postgres halfvec", "int8"): Store(partial(postgres, column="halfvec"), by_field),
}
"""What is tested, by store and output_dtype; a store that is only named keeps floats."""

NEED_INTEGERS = {("lancedb", "ubinary")}
"""LanceDB takes whole numbers for packed bits, which floats are not."""
