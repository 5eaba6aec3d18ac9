"""A LangChain application: documents in a store, a retriever, a reranker, sync and async."""

import asyncio
import json

from langchain_core.documents import Document
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_voyageai import VoyageAIEmbeddings, VoyageAIRerank

TEXTS = [
    "The cat sleeps on the sofa in the living room.",
    "The night train to Lyon leaves at ten.",
    "Onions are fried in butter until golden.",
    "The cat travels in a basket under the train seat.",
    "Rent is due on the first day of the month.",
]
QUERY = "Where does the cat sleep?"

embeddings = VoyageAIEmbeddings(
    model="voyage-4", batch_size=2, output_dimension=512, truncation=True
)
documents = [
    Document(page_content=text, metadata={"number": number}) for number, text in enumerate(TEXTS)
]
store = InMemoryVectorStore.from_documents(documents, embeddings)
found = store.similarity_search_with_score(QUERY, k=4)
reranker = VoyageAIRerank(model="rerank-2.5", top_k=3)
kept = reranker.compress_documents([document for document, _ in found], QUERY)


async def again() -> dict:
    """The same with async calls."""
    vectors = await embeddings.aembed_documents(TEXTS)
    query = await embeddings.aembed_query(QUERY)
    ranked = await reranker.acompress_documents(documents, QUERY)
    return {
        "vectors": vectors,
        "query": query,
        "ranked": [(one.page_content, one.metadata) for one in ranked],
    }


print(
    json.dumps(
        {
            "vectors": embeddings.embed_documents(TEXTS),
            "query": embeddings.embed_query(QUERY),
            "found": [(document.metadata, score) for document, score in found],
            "kept": [(document.page_content, document.metadata) for document in kept],
            "nothing to rank": reranker.compress_documents([], QUERY),
            "async": asyncio.run(again()),
        }
    )
)
