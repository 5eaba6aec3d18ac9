"""LlamaIndex's node postprocessor interface for Voyage rerankers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar, Literal, Self

from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore, QueryBundle
from pydantic import ConfigDict, Field, SecretStr

from voyage_rag.checks import instances, plain
from voyage_rag.construction import constructor
from voyage_rag.errors import InvalidInputError
from voyage_rag.llama_index.methods import traced
from voyage_rag.llama_index.nodes import has_media
from voyage_rag.rerankers import UNSET, RerankOptions, Unset
from voyage_rag.types import RerankingResult

dispatcher = get_dispatcher(__name__)

RETRIEVAL_SCORE = "retrieval_score"
"""Metadata field in which LlamaIndex's rerankers keep the retrieval score of a node."""


class VoyageAIRerank(RerankOptions, BaseNodePostprocessor):
    """Voyage AI reranker for LlamaIndex: a node postprocessor, sync and async.

    Accepts the parameters of `llama_index.postprocessor.voyageai_rerank.VoyageAIRerank`, those of
    `voyage_rag.rerankers.RerankOptions` and `voyage_rag.connection.Connection`, and the following.
    An unknown parameter raises an error that suggests the closest name.

    Args:
        model: A reranker, for example `rerank-3`.
        api_key: The API key, also accepted as `voyage_api_key`. Default: the key file, then
            `VOYAGE_API_KEY`.
        top_n: Number of nodes to keep; None keeps all of them.
        truncation: Truncate query and texts to the model's limits. False raises an error for longer
            ones.
        top_k: The older name of `top_n`.
        kwargs: `callback_manager`, the attributes below and the parameters named above.

    Attributes:
        metadata_mode: The metadata in the text to rank, by LlamaIndex's names: `embed` (the
            default), `none`, `llm` or `all`.
        image_nodes: How to treat nodes with an image and no text. `error` (the default) raises an
            error, `skip` omits them.
        keep_retrieval_score: Keep the retrieval score of a node in its metadata as
            `retrieval_score`, which language models do not see. It changes the hash of the node, by
            which LlamaIndex's fusion retriever recognises nodes.

    Setup:
        Run `pip install 'voyage-rag[llama-index]'`, and set `VOYAGE_API_KEY`.

    Examples:
        >>> from llama_index.core.schema import NodeWithScore, TextNode
        >>> from voyage_rag.llama_index import VoyageAIRerank
        >>> reranker = VoyageAIRerank("rerank-3", top_n=1)
        >>> texts = ["Send an email.", "Read a CSV file."]
        >>> nodes = [NodeWithScore(node=TextNode(text=text)) for text in texts]
        >>> reranker.postprocess_nodes(nodes, query_str="parse csv")[0].text
        'Read a CSV file.'
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    top_n: Annotated[int, Field(ge=1)] | None = None
    metadata_mode: MetadataMode = MetadataMode.EMBED
    keep_retrieval_score: bool = False
    image_nodes: Literal["error", "skip"] = "error"

    @constructor
    def __init__(
        self,
        model: str,
        api_key: str | SecretStr | None = None,
        top_n: int | None = None,
        truncation: bool = True,
        top_k: int | None = None,
        **kwargs: Any,
    ) -> None:
        if api_key is not None:
            kwargs["voyage_api_key"] = api_key
        fields: dict[str, Any] = {
            "model": model,
            "top_n": top_k if top_n is None else top_n,
            "truncation": truncation,
            "callback_manager": kwargs.pop("callback_manager", None) or CallbackManager([]),
        }
        super().__init__(**fields | kwargs)
        self.connect()

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex serialises this class."""
        return "VoyageAIRerank"

    def postprocess_nodes(
        self,
        nodes: list[NodeWithScore],
        query_bundle: QueryBundle | None = None,
        query_str: str | None = None,
        *,
        top_n: int | Unset | None = UNSET,
    ) -> list[NodeWithScore]:
        """Rank nodes.

        Args:
            nodes: The retrieved nodes.
            query_bundle: The search query.
            query_str: The search query as a string.
            top_n: Overrides `top_n` of this object; None returns all nodes.

        Returns:
            The nodes with their scores, most relevant first.

        Raises:
            VoyageError: See `voyage_rag.Voyage.rerank`.
        """
        one = self if top_n is UNSET else self._with(top_n)
        return super(VoyageAIRerank, one).postprocess_nodes(nodes, query_bundle, query_str)

    async def apostprocess_nodes(
        self,
        nodes: list[NodeWithScore],
        query_bundle: QueryBundle | None = None,
        query_str: str | None = None,
        *,
        top_n: int | Unset | None = UNSET,
    ) -> list[NodeWithScore]:
        """Async variant of `postprocess_nodes`."""
        one = self if top_n is UNSET else self._with(top_n)
        return await super(VoyageAIRerank, one).apostprocess_nodes(nodes, query_bundle, query_str)

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        nodes = self._rankable(nodes)
        with self._ranking_events(nodes, query_bundle) as ranked:
            found = self.voyage.rerank(*self._arguments(nodes, query_bundle), **self._rules)
            ranked.extend(self._nodes(nodes, found.results))
        return ranked

    @traced
    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        nodes = self._rankable(nodes)
        with self._ranking_events(nodes, query_bundle) as ranked:
            found = await self.voyage.arerank(*self._arguments(nodes, query_bundle), **self._rules)
            ranked.extend(self._nodes(nodes, found.results))
        return ranked

    def _with(self, top_n: object) -> Self:
        top_n = plain(top_n)
        if top_n is not None and (type(top_n) is not int or top_n < 1):
            raise InvalidInputError(
                f"top_n must be a whole number of at least 1 or None, not {repr(top_n)[:60]}"
            )
        return self.model_copy(update={"top_n": top_n})

    def _rankable(self, nodes: list[NodeWithScore]) -> list[NodeWithScore]:
        """Return the nodes with text. Raise an error for nodes with an image only, or omit them."""
        nodes = instances("nodes", nodes, NodeWithScore)
        images = [at for at, found in enumerate(nodes) if _is_image_alone(found.node)]
        if images and self.image_nodes == "error":
            raise InvalidInputError(
                f"node {images[0]} has an image and no text, and rerankers accept text only: give "
                "it a description, or pass image_nodes='skip' to omit such nodes",
                indices=tuple(images),
            )
        return [found for at, found in enumerate(nodes) if at not in {*images}]

    def _arguments(
        self, nodes: Sequence[NodeWithScore], query_bundle: QueryBundle | None
    ) -> tuple[str, list[str], str, int | None]:
        if query_bundle is None:
            raise InvalidInputError("no query: pass query_bundle or query_str")
        texts = [node.node.get_content(metadata_mode=self.metadata_mode) for node in nodes]
        return query_bundle.query_str, texts, self.model, self.top_n

    def _nodes(
        self, nodes: Sequence[NodeWithScore], results: Sequence[RerankingResult]
    ) -> list[NodeWithScore]:
        return [
            NodeWithScore(node=self._scored(nodes[result.index]), score=result.relevance_score)
            for result in results
        ]

    def _scored(self, found: NodeWithScore) -> BaseNode:
        node = found.node
        is_ranked_before = RETRIEVAL_SCORE in node.metadata
        if not self.keep_retrieval_score or found.score is None or is_ranked_before:
            return node
        return node.model_copy(
            update={
                "metadata": {**node.metadata, RETRIEVAL_SCORE: found.score},
                "excluded_embed_metadata_keys": [
                    *node.excluded_embed_metadata_keys,
                    RETRIEVAL_SCORE,
                ],
                "excluded_llm_metadata_keys": [*node.excluded_llm_metadata_keys, RETRIEVAL_SCORE],
            }
        )

    @contextmanager
    def _ranking_events(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None
    ) -> Iterator[list[NodeWithScore]]:
        """Emit the start, and the end even after a failure."""
        if query_bundle is not None and not isinstance(query_bundle.query_str, str):
            kind = type(query_bundle.query_str).__name__
            raise InvalidInputError(f"query must be a string, not {kind}")
        ranked: list[NodeWithScore] = []
        top_n = self.top_n or len(nodes)
        dispatcher.event(
            ReRankStartEvent(query=query_bundle, nodes=nodes, top_n=top_n, model_name=self.model)
        )
        payload: dict[str, Any] = {
            EventPayload.NODES: nodes,
            EventPayload.MODEL_NAME: self.model,
            EventPayload.QUERY_STR: query_bundle.query_str if query_bundle else "",
            EventPayload.TOP_K: top_n,
        }
        try:
            with self.callback_manager.event(CBEventType.RERANKING, payload=payload) as event:
                yield ranked
                event.on_end(payload={EventPayload.NODES: ranked})
        finally:
            dispatcher.event(ReRankEndEvent(nodes=ranked))


def _is_image_alone(node: BaseNode) -> bool:
    return has_media(node) and not node.get_content(metadata_mode=MetadataMode.NONE).strip()
