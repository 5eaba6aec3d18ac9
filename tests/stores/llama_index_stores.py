"""The stores of LlamaIndex, and how each is opened."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from llama_index.core.vector_stores.types import BasePydanticVectorStore

from stores.place import TABLE, Place

OF_LLAMA_INDEX = ("_node_content", "_node_type", "document_id", "doc_id", "ref_doc_id")
"""What LlamaIndex adds to a node's metadata."""


@dataclass(frozen=True, slots=True)
class Store:
    """A kind of store.

    Attributes:
        opened: An empty store for vectors of so many numbers, closed in the end.
        filters: Whether LlamaIndex's class for it takes filters.
        deletes: By what it deletes: the document; the node; or nothing, since what it sends to its
            table is refused there.
    """

    opened: Callable[[Place, int], AbstractAsyncContextManager[BasePydanticVectorStore]]
    filters: bool = True
    deletes: Literal["document", "node", "nothing"] = "document"


@asynccontextmanager
async def chroma(place: Place, _length: int) -> AsyncIterator[BasePydanticVectorStore]:
    """On disk, without telemetry."""
    from chromadb import PersistentClient
    from chromadb.config import Settings
    from llama_index.vector_stores.chroma import ChromaVectorStore

    client = PersistentClient(str(place.folder), Settings(anonymized_telemetry=False))
    collection = client.create_collection(TABLE, configuration={"hnsw": {"space": "cosine"}})
    yield ChromaVectorStore(chroma_collection=collection)


@asynccontextmanager
async def qdrant(
    place: Place, length: int, datatype: str = "float32"
) -> AsyncIterator[BasePydanticVectorStore]:
    """Local mode, on disk, where one client at a time may be: the sync or the async one."""
    from llama_index.vector_stores.qdrant import QdrantVectorStore
    from qdrant_client import AsyncQdrantClient, QdrantClient, models

    kind = models.VectorParams(
        size=length, distance=models.Distance.COSINE, datatype=models.Datatype(datatype)
    )
    where = str(place.folder)
    if place.is_async:
        aclient = AsyncQdrantClient(path=where)
        yield QdrantVectorStore(TABLE, aclient=aclient, dense_config=kind, index_doc_id=False)
        await aclient.close()
    else:
        with closing(QdrantClient(path=where)) as client:
            yield QdrantVectorStore(TABLE, client, dense_config=kind, index_doc_id=False)


@asynccontextmanager
async def lancedb(
    place: Place, length: int, *, packed: bool = False
) -> AsyncIterator[BasePydanticVectorStore]:
    """On disk. A column of bytes, which LanceDB compares bit by bit, has to be there before."""
    import pyarrow as pa
    from lancedb import connect
    from llama_index.vector_stores.lancedb import LanceDBVectorStore

    if packed:
        strings = [pa.field(name, pa.string()) for name in ("id", "doc_id", "text")]
        metadata = pa.struct([pa.field(name, pa.string()) for name in ("topic", *OF_LLAMA_INDEX)])
        vector = pa.field("vector", pa.list_(pa.uint8(), length))
        schema = pa.schema([vector, *strings, pa.field("metadata", metadata)])
        connect(place.folder).create_table(TABLE, schema=schema)
    yield LanceDBVectorStore(uri=str(place.folder), table_name=TABLE)


@asynccontextmanager
async def faiss(
    _place: Place, length: int, whole: str = ""
) -> AsyncIterator[BasePydanticVectorStore]:
    """In memory, of a kind that can delete."""
    from faiss import IndexIDMap2
    from llama_index.vector_stores.faiss import FaissMapVectorStore

    from stores.langchain_stores import faiss_index

    index = faiss_index(length, whole)
    yield FaissMapVectorStore(IndexIDMap2(index))


@asynccontextmanager
async def postgres(
    place: Place, length: int, *, halfvec: bool = False
) -> AsyncIterator[BasePydanticVectorStore]:
    """A table with a column for vectors."""
    from llama_index.vector_stores.postgres import PGVectorStore

    opened = PGVectorStore(
        connection_string=place.postgres_by("psycopg2"),
        async_connection_string=place.postgres_by("asyncpg"),
        schema_name=place.schema,
        table_name=TABLE,
        embed_dim=length,
        use_halfvec=halfvec,
    )
    yield opened
    await opened.close()


OF_FLOATS = {
    "chroma": Store(chroma),
    "qdrant": Store(qdrant),
    "lancedb": Store(lancedb, deletes="nothing"),
    "faiss": Store(faiss, filters=False, deletes="node"),
    "postgres": Store(postgres),
}

CELLS: dict[tuple[str, Any], Store] = {
    **{(name, "float"): store for name, store in OF_FLOATS.items()},
    **{(name, "int8"): store for name, store in OF_FLOATS.items()},
    **{(name, "uint8"): store for name, store in OF_FLOATS.items()},
    ("qdrant declared uint8", "uint8"): Store(partial(qdrant, datatype="uint8")),
    ("lancedb of bits", "ubinary"): Store(partial(lancedb, packed=True), deletes="nothing"),
    ("faiss of int8", "int8"): Store(
        partial(faiss, whole="direct_signed"), filters=False, deletes="node"
    ),
    ("faiss of uint8", "uint8"): Store(
        partial(faiss, whole="direct"), filters=False, deletes="node"
    ),
    ("postgres halfvec", "float"): Store(partial(postgres, halfvec=True)),
    ("postgres halfvec", "int8"): Store(partial(postgres, halfvec=True)),
}
"""What is tested, by store and output_dtype; a store that is only named keeps floats."""
