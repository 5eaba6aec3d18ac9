"""A LlamaIndex application: an index, a retriever, a reranker as postprocessor."""

import asyncio
import json

from llama_index.core import Document, QueryBundle, VectorStoreIndex
from llama_index.core.node_parser import SentenceSplitter
from llama_index.embeddings.voyageai import VoyageEmbedding
from llama_index.postprocessor.voyageai_rerank import VoyageAIRerank

TEXTS = [
    "The cat sleeps on the sofa in the living room.",
    "The night train to Lyon leaves at ten.",
    "Onions are fried in butter until golden.",
    "The cat travels in a basket under the train seat.",
    "Rent is due on the first day of the month.",
]
QUERY = "Where does the cat sleep?"

embedding = VoyageEmbedding(
    model_name="voyage-4", embed_batch_size=2, truncation=True, output_dimension=512
)
reranker = VoyageAIRerank(model="rerank-2.5", top_n=3, truncation=True)
index = VectorStoreIndex.from_documents(
    [Document(text=text, metadata={"number": number}) for number, text in enumerate(TEXTS)],
    transformations=[SentenceSplitter(chunk_size=64, chunk_overlap=0)],
    embed_model=embedding,
)
found = index.as_retriever(similarity_top_k=4).retrieve(QUERY)
kept = reranker.postprocess_nodes(found, query_bundle=QueryBundle(QUERY))


async def again() -> dict:
    """The same with async calls."""
    return {
        "vectors": await embedding.aget_text_embedding_batch(TEXTS),
        "query": await embedding.aget_query_embedding(QUERY),
        "general": await embedding.aget_general_text_embedding("a text", input_type="query"),
        "ranked": shown(await reranker.apostprocess_nodes(found, query_str=QUERY)),
    }


def shown(nodes: list) -> list:
    """Text, document and score."""
    return [(node.text, node.metadata["number"], node.score) for node in nodes]


print(
    json.dumps(
        {
            "vectors": embedding.get_text_embedding_batch(TEXTS),
            "query": embedding.get_query_embedding(QUERY),
            "general": embedding.get_general_text_embedding("a text"),
            "found": shown(found),
            "kept": shown(kept),
            "nothing to rank": reranker.postprocess_nodes([], query_str=QUERY),
            "name": embedding.class_name(),
            "rerank name": reranker.class_name(),
            "async": asyncio.run(again()),
        }
    )
)
