"""Errors that a LlamaIndex application gets."""

import json

import voyageai
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.embeddings.voyageai import VoyageEmbedding
from llama_index.postprocessor.voyageai_rerank import VoyageAIRerank

NODES = [NodeWithScore(node=TextNode(text="a"), score=0.5)]


def kind(call) -> str:
    """What a caller would catch."""
    try:
        call()
    except voyageai.error.InvalidRequestError:
        return "InvalidRequestError"
    except Exception as error:  # noqa: BLE001
        return type(error).__name__
    return "none"


print(
    json.dumps(
        {
            "a wrong key": kind(
                lambda: VoyageEmbedding("voyage-4", "invalid").get_query_embedding("a")
            ),
            "an unknown model": kind(lambda: VoyageEmbedding("voyage-99").get_query_embedding("a")),
            "a dimension there is not": kind(
                lambda: VoyageEmbedding("voyage-4", output_dimension=100).get_query_embedding("a")
            ),
            "a wrong key to rank": kind(
                lambda: VoyageAIRerank("rerank-2.5", "invalid").postprocess_nodes(
                    NODES, query_str="a"
                )
            ),
        }
    )
)
