"""A program of Voyage's own client: every verb, and its errors, sync and async."""

import asyncio
import json

import voyageai
from PIL import Image

TEXTS = ["Rent is due on the first day of the month.", "The tenant pays for water."]
DOCUMENTS = [["The tenant pays rent.", "And for water."], ["Peel the onions.", "Fry them."]]
RED = Image.new("RGB", (64, 64), "red")
QUERY = "who pays for water?"


def shown(embedded) -> dict:
    """Vectors and bill."""
    return {"embeddings": embedded.embeddings, "total_tokens": embedded.total_tokens}


def shown_chunks(embedded) -> dict:
    """The same of chunks in context."""
    results = [(result.index, result.embeddings) for result in embedded.results]
    return {"results": results, "total_tokens": embedded.total_tokens}


def shown_ranking(ranking) -> dict:
    """The ranking and its bill."""
    results = [(r.index, r.document, r.relevance_score) for r in ranking.results]
    return {"results": results, "total_tokens": ranking.total_tokens}


def shown_media(embedded) -> dict:
    """Vectors, and what is counted of text and images."""
    return shown(embedded) | {
        "text_tokens": embedded.text_tokens,
        "image_pixels": embedded.image_pixels,
    }


def kind(call) -> str:
    """Which of the client's errors a call ends with."""
    try:
        call()
    except voyageai.error.InvalidRequestError:
        return "invalid request"
    except voyageai.error.AuthenticationError:
        return "authentication"
    except voyageai.error.VoyageError:
        return "another"
    return "none"


vo = voyageai.Client(max_retries=2, timeout=30)
reported = {
    "embed": shown(vo.embed(TEXTS, model="voyage-4", input_type="document")),
    "by position": shown(vo.embed(TEXTS, "voyage-4", "query", True, "int8", 256)),
    "without a prompt": shown(vo.embed(TEXTS, "voyage-3.5")),
    "binary": shown(vo.embed(TEXTS, "voyage-4", output_dtype="binary", output_dimension=2048)),
    "chunks": shown_chunks(vo.contextualized_embed(DOCUMENTS, "voyage-context-3", "document")),
    "query for chunks": shown_chunks(
        vo.contextualized_embed([[QUERY]], model="voyage-context-3", input_type="query")
    ),
    "chunks of a function": shown_chunks(
        vo.contextualized_embed(
            [[". ".join(chunks)] for chunks in DOCUMENTS],
            "voyage-context-3",
            "document",
            chunk_fn=lambda text: text.split(". "),
        )
    ),
    "media": shown_media(vo.multimodal_embed([["red", RED], ["words"]], "voyage-multimodal-3.5")),
    "ranking": shown_ranking(vo.rerank(QUERY, TEXTS, "rerank-2.5", 1)),
    "ranking of all": shown_ranking(vo.rerank(QUERY, TEXTS, model="rerank-2.5", truncation=False)),
    "an unknown model": kind(lambda: vo.embed(TEXTS, model="voyage-99")),
    "a wrong key": kind(lambda: voyageai.Client("invalid").embed(TEXTS, model="voyage-4")),
    "a dimension there is not": kind(
        lambda: vo.embed(TEXTS, model="voyage-4", output_dimension=100)
    ),
}


async def again() -> dict:
    """The same with the async client."""
    avo = voyageai.AsyncClient()
    return {
        "embed": shown(await avo.embed(TEXTS, model="voyage-4", input_type="document")),
        "chunks": shown_chunks(
            await avo.contextualized_embed(DOCUMENTS, "voyage-context-3", "document")
        ),
        "media": shown_media(await avo.multimodal_embed([["red", RED]], "voyage-multimodal-3.5")),
        "ranking": shown_ranking(await avo.rerank(QUERY, TEXTS, "rerank-2.5", 1)),
    }


print(json.dumps(reported | {"async": asyncio.run(again())}))
