"""LangChain's embeddings of other models: the defaults, and chunks by themselves."""

import json

from langchain_voyageai import VoyageAIEmbeddings

TEXTS = ["Rent is due on the first day of the month.", "The tenant pays for water."]

reported = {}
for model in ("voyage-3.5", "voyage-4-lite", "voyage-context-3", "voyage-code-3"):
    embeddings = VoyageAIEmbeddings(model=model)
    reported[model] = [*embeddings.embed_documents(TEXTS), embeddings.embed_query("who pays?")]
print(json.dumps(reported))
