"""The texts, media and documents of nodes, and their names in errors."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import pairwise
from os.path import commonprefix
from typing import Any, TypeAlias

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.callbacks.base import global_stack_trace_ids
from llama_index.core.schema import BaseNode, ImageNode, MediaResource, MetadataMode, Node

from voyage_rag.errors import VoyageError
from voyage_rag.llama_index.methods import batch_events
from voyage_rag.media import Image, Video

LOG = logging.getLogger("voyage_rag")

FILE_NAMES = ("file_path", "file_name")
"""Metadata fields in which LlamaIndex's readers store the origin of a document."""

MAX_NAMED = 3

Medium: TypeAlias = Image | Video | dict[str, str]

INSERTIONS = ({"insert", "ainsert"}, {"insert_nodes", "ainsert_nodes"})
"""Traces of an index that inserts one document and embeds its nodes."""


@dataclass(slots=True)
class NodeBatch:
    """Nodes that are being embedded.

    Attributes:
        texts: Their texts, with the metadata that they mark for embedding.
        embeddings: Their vectors, after they are embedded.
    """

    nodes: Sequence[BaseNode]
    texts: list[str]
    embeddings: list[Any]

    @property
    def contents(self) -> list[list[object]]:
        """Their texts with images and videos, for a multimodal model."""
        return [content_of(node, text) for node, text in zip(self.nodes, self.texts, strict=True)]

    @property
    def documents(self) -> list[Hashable]:
        """The identifier of the source document of each node, or None.

        If a parser created nodes of several sizes, each size is a separate document; otherwise a
        document would contain every sentence several times.
        """
        levels = _levels(self.nodes)
        if not any(levels):
            return [node.ref_doc_id for node in self.nodes]
        return [
            None if node.ref_doc_id is None else (node.ref_doc_id, level)
            for node, level in zip(self.nodes, levels, strict=True)
        ]

    def embedded(self, embeddings: list[Any]) -> Sequence[BaseNode]:
        """Set these vectors, and return the nodes."""
        self.embeddings = embeddings
        for node, embedding in zip(self.nodes, embeddings, strict=True):
            node.embedding = embedding
        return self.nodes


def _levels(nodes: Sequence[BaseNode]) -> list[int]:
    """Return the number of a node's ancestors among the nodes."""
    by_id = {node.node_id: node for node in nodes}
    levels: dict[str, int] = {}

    def level(node: BaseNode) -> int:
        parent = node.parent_node
        if parent is None or parent.node_id not in by_id:
            return 0
        if parent.node_id not in levels:
            levels[parent.node_id] = level(by_id[parent.node_id])
        return levels[parent.node_id] + 1

    return [level(node) for node in nodes]


def are_of_one_document() -> bool:
    """Whether an index is inserting one document, which the texts are the chunks of."""
    traces = global_stack_trace_ids.get()[-2:]
    return len(traces) == len(INSERTIONS) and all(
        trace in expected for trace, expected in zip(traces, INSERTIONS, strict=True)
    )


def passes_of(chunks: Sequence[str]) -> list[int]:
    """Return, for each chunk of one document, the number of the pass that created it.

    A hierarchical parser splits a document once per chunk size and lists these passes in order.
    Each pass covers the whole document and splits the chunks of the previous pass. Each chunk may
    begin with metadata.
    """
    header = len(commonprefix(chunks))  # noqa: RUF071 - of texts
    bodies = [chunk[header:] for chunk in chunks]
    first, last = bodies[0], bodies[-1]
    starts = [0]
    for number, (before, body) in enumerate(pairwise(bodies), start=1):
        if first.startswith(body) and (before.endswith(last) or last.endswith(before)):
            starts.append(number)
    passes = [bodies[start:end] for start, end in pairwise([*starts, len(bodies)])]
    if not all(_splits(coarse, fine) for coarse, fine in pairwise(passes)):
        return [0] * len(chunks)  # the document repeats itself
    return [number for number, bodies in enumerate(passes) for _ in bodies]


def _splits(coarse: Sequence[str], fine: Sequence[str]) -> bool:
    """Whether `fine` contains the chunks of `coarse`, split further, or the same single chunk."""
    wholes = iter(coarse)
    whole, searched = next(wholes), 0
    for part in fine:
        while (at := whole.find(part, searched)) < 0:
            following = next(wholes, None)
            if following is None:
                return False
            whole, searched = following, 0
        searched = at + 1  # parts may overlap, but each begins at a different position
    return len(coarse) < len(fine) or len(coarse) == len(fine) == 1


def warn_of_orphans(nodes: Sequence[BaseNode]) -> None:
    """Warn about nodes without a source document, unless there is only one node."""
    orphans = [node for node in nodes if node.ref_doc_id is None]
    if len(orphans) > 1:
        LOG.warning(
            "%d nodes have no source document (ref_doc_id), for example %s: each of them is "
            "embedded separately, without the context of other nodes",
            len(orphans),
            orphans[0].node_id,
        )


def has_media(node: BaseNode) -> bool:
    """Whether a node contains an image or a video."""
    return bool(_media_of(node))


def content_of(node: BaseNode, text: str) -> list[object]:
    """Return the content of a node for a multimodal model: its text, if any, and its media."""
    has_text = node.get_content(metadata_mode=MetadataMode.NONE) or not has_media(node)
    words = [{"type": "text", "text": text}] if has_text else []
    return [*words, *_media_of(node)]


def _media_of(node: BaseNode) -> list[Medium]:
    if isinstance(node, ImageNode):
        if node.image is not None:
            return [Image(_data_url(node.image))]
        if node.image_path:
            return [Image(node.image_path)]
        return [_at(node.image_url, "image")] if node.image_url else []
    if not isinstance(node, Node):
        return []
    resources = (node.image_resource, Image), (node.video_resource, Video)
    media = [_medium(resource, kind) for resource, kind in resources if resource is not None]
    return [medium for medium in media if medium is not None]


def _medium(resource: MediaResource, kind: type[Image | Video]) -> Medium | None:
    if resource.data is not None:
        return kind(_data_url(resource.data.decode("ascii", "replace")))
    if resource.path:
        return kind(resource.path)
    return _at(str(resource.url), kind.__name__.lower()) if resource.url else None


def _data_url(data: str) -> str:
    """Return data, which LlamaIndex keeps in base64, as a URL. The client checks and decodes it."""
    return data if data.startswith("data:") else f"data:;base64,{''.join(data.split())}"


def _at(url: str, kind: str) -> Medium:
    """Return a medium as a dictionary with a URL. In this form, the client rejects local paths."""
    delivery = "base64" if url.startswith("data:") else "url"
    return {"type": f"{kind}_{delivery}", f"{kind}_{delivery}": url}


@contextmanager
def embedding_nodes(model: BaseEmbedding, nodes: Sequence[BaseNode]) -> Iterator[NodeBatch]:
    """Wrap the embedding of nodes in the events of LlamaIndex's base class.

    If it fails, the finished nodes receive their vectors, and the error names the others.
    """
    texts = [node.get_content(metadata_mode=MetadataMode.EMBED) for node in nodes]
    batch = NodeBatch(nodes, texts, [])
    with naming_nodes(nodes), batch_events(model, [texts]) as embeddings:
        yield batch
        embeddings.extend(batch.embeddings)


@contextmanager
def naming_nodes(nodes: Sequence[BaseNode]) -> Iterator[None]:
    """Add the names of the affected nodes to an error, and assign the finished vectors."""
    token = _are_known.set(True)
    try:
        yield
    except VoyageError as error:
        finished: Mapping[int, Any] = getattr(error.partial, "vectors", {})
        for position, vector in finished.items():
            nodes[position].embedding = vector.tolist()
        concerned = [nodes[position] for position in error.indices if position < len(nodes)]
        if concerned and len(concerned) < len(nodes):
            names = "; ".join(map(_name, concerned[:MAX_NAMED]))
            more = f"; and {len(concerned) - MAX_NAMED} others" * (len(concerned) > MAX_NAMED)
            error.message += f" (node {names}{more})"
        raise
    finally:
        _are_known.reset(token)


_are_known: ContextVar[bool] = ContextVar("nodes are known", default=False)


def nodes_are_known() -> bool:
    """Whether the texts belong to nodes that this package has examined."""
    return _are_known.get()


def _name(node: BaseNode) -> str:
    file = next((node.metadata[key] for key in FILE_NAMES if node.metadata.get(key)), None)
    parts = [node.node_id, f"document {node.ref_doc_id}" if node.ref_doc_id else "", file]
    return ", ".join(str(part) for part in parts if part)
