"""LlamaIndex's embeddings by position, in every number type, with the older name of top_n."""

import json

from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.embeddings.voyageai import VoyageEmbedding
from llama_index.postprocessor.voyageai_rerank import VoyageAIRerank

TEXTS = ["Rent is due on the first day of the month.", "The tenant pays for water."]

reported = {}
for dtype in ("float", "int8", "uint8", "binary", "ubinary"):
    embedding = VoyageEmbedding("voyage-4", "key", 10, None, dtype, 256)
    reported[dtype] = [
        *embedding.get_text_embedding_batch(TEXTS),
        embedding.get_query_embedding("who pays?"),
    ]
nodes = [NodeWithScore(node=TextNode(text=text), score=0.5) for text in TEXTS]
ranked = VoyageAIRerank("rerank-2.5", "key", top_k=1).postprocess_nodes(nodes, query_str="water")
reported["ranked"] = [(node.text, node.score) for node in ranked]
print(json.dumps(reported))
