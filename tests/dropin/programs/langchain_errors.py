"""Errors that a LangChain application gets."""

import json

from langchain_voyageai import VoyageAIEmbeddings, VoyageAIRerank


def kind(call) -> str:
    """What a caller would catch."""
    try:
        call()
    except ValueError:  # pydantic's, among others
        return "ValueError"
    except Exception as error:  # noqa: BLE001
        return type(error).__name__
    return "none"


print(
    json.dumps(
        {
            "a wrong key": kind(
                lambda: VoyageAIEmbeddings(model="voyage-4", api_key="invalid").embed_query("a")
            ),
            "an unknown model": kind(
                lambda: VoyageAIEmbeddings(model="voyage-99").embed_query("a")
            ),
            "an unknown parameter": kind(lambda: VoyageAIEmbeddings(model="voyage-4", modle="a")),
            "no model": kind(VoyageAIEmbeddings),
            "a dimension there is not": kind(
                lambda: VoyageAIEmbeddings(model="voyage-4", output_dimension=100).embed_query("a")
            ),
            "a wrong key to rank": kind(
                lambda: VoyageAIRerank(model="rerank-2.5", api_key="invalid").compress_documents(
                    [], "a"
                )
            ),
        }
    )
)
