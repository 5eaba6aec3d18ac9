"""Any object in any parameter of any method: a result, or an error of ours before it is sent."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable
from typing import Any

from langchain_core.documents import Document
from llama_index.core.schema import NodeWithScore, TextNode
from pydantic import ValidationError

from fakes import KEY, FakeService, base64_of, ok, served, voyage_over
from fuzz.objects import Choices, HostileError
from voyage_rag import (
    AsyncClient,
    Client,
    InvalidInputError,
    Voyage,
    VoyageError,
    langchain,
    llama_index,
)
from voyage_rag.construction import UnknownParameterError
from voyage_rag.hosts.messages import Response

CONTEXT, MEDIA = "voyage-context-4", "voyage-multimodal-3.5"
TEXTS, RANKS = "voyage-of-tests", "rerank-of-tests"

Call = tuple[Callable[[Voyage], Any], str, dict[str, Any]]


def _on(make: Callable[[Voyage], Any], method: str, **arguments: Any) -> Call:
    return make, method, arguments


def _itself(voyage: Voyage) -> Voyage:
    return voyage


def _embeddings(model: str) -> Callable[[Voyage], Any]:
    return lambda voyage: langchain.VoyageAIEmbeddings(model=model, client=voyage)


def _pictures(voyage: Voyage) -> Any:
    return langchain.VoyageAIMultimodalEmbeddings(client=voyage)


def _ranker(voyage: Voyage) -> Any:
    return langchain.VoyageAIRerank(model=RANKS, client=voyage)


def _embedding(model: str) -> Callable[[Voyage], Any]:
    return lambda voyage: llama_index.VoyageEmbedding(model, client=voyage)


def _node_ranker(voyage: Voyage) -> Any:
    return llama_index.VoyageAIRerank(RANKS, client=voyage)


NODE = TextNode(text="a")
CALLS: list[Call] = [
    _on(_itself, "embed", texts=["a", "b"], model=TEXTS),
    _on(_itself, "embed", texts=["a", "b"], model=MEDIA),
    _on(_itself, "embed_iter", texts=["a", "b"], model=TEXTS),
    _on(_itself, "contextualized_embed", inputs=[["a"], ["b"]], model=CONTEXT),
    _on(_itself, "embed_chunks", chunks=["a", "b"], documents=[0, 1], model=CONTEXT),
    _on(_itself, "multimodal_embed", inputs=[["a"]], model=MEDIA),
    _on(_itself, "count_tokens", texts=["a", "b"], model=TEXTS),
    _on(_itself, "count_usage", inputs=[["a"]], model=MEDIA),
    _on(_itself, "rerank", query="q", documents=["a", "b"], model=RANKS),
    _on(_embeddings(TEXTS), "embed_documents", texts=["a"]),
    _on(_embeddings(TEXTS), "embed_query", text="a"),
    _on(_embeddings(CONTEXT), "embed_documents", texts=["a"]),
    _on(_embeddings(CONTEXT), "for_documents", documents=[Document("a")], by="source"),
    _on(_pictures, "embed_documents", texts=["a"]),
    _on(_pictures, "embed_multimodal", inputs=[["a"]], input_type="document"),
    _on(_pictures, "embed_images", uris=["a"]),
    _on(_ranker, "rerank", documents=["a"], query="q"),
    _on(_ranker, "compress_documents", documents=[Document("a")], query="q"),
    _on(_embedding(TEXTS), "get_text_embedding_batch", texts=["a"]),
    _on(_embedding(TEXTS), "get_text_embedding", text="a"),
    _on(_embedding(TEXTS), "get_query_embedding", query="a"),
    _on(_embedding(TEXTS), "get_general_text_embedding", text="a", input_type=None),
    _on(_embedding(MEDIA), "get_image_embedding", img_file_path="a"),
    _on(_embedding(MEDIA), "get_image_embedding_batch", img_file_paths=["a"]),
    _on(_embedding(MEDIA), "get_video_embedding", video_path="a"),
    _on(_embedding(MEDIA), "get_multimodal_embeddings", inputs=[["a"]], input_type=None),
    _on(_embedding(CONTEXT), "__call__", nodes=[NODE]),
    _on(_embedding(MEDIA), "__call__", nodes=[NODE]),
    _on(_node_ranker, "postprocess_nodes", nodes=[NodeWithScore(node=NODE)], query_str="q"),
]
"""A good call of every method."""

KINDS: dict[type, dict[str, Any]] = {
    Voyage: {"api_key": KEY},
    Client: {"api_key": KEY},
    AsyncClient: {"api_key": KEY},
    langchain.VoyageAIEmbeddings: {"model": TEXTS, "api_key": KEY},
    langchain.VoyageAIMultimodalEmbeddings: {"api_key": KEY},
    langchain.VoyageAIRerank: {"model": RANKS, "api_key": KEY},
    llama_index.VoyageEmbedding: {"model_name": TEXTS, "api_key": KEY},
    llama_index.VoyageContextualEmbedding: {"api_key": KEY},
    llama_index.VoyageAIRerank: {"model": RANKS, "api_key": KEY},
    llama_index.VoyageAutoChunker: {"api_key": KEY},
}
"""Every class, and what it needs."""

OTHERS_FIELDS = {"callback_manager", "callbacks", "embeddings_cache", "rate_limiter", "id_func"}
NOT_FED = {"self", "kwargs", "show_progress_bar", "show_progress", "cache", "http_client", "clock"}
NOT_FED |= {"callbacks", "query_bundle"}  # the frameworks' own
LOOP = asyncio.new_event_loop()


def parameters_of(kind: type) -> list[str]:
    """What a constructor takes."""
    names = {*inspect.signature(kind).parameters, *getattr(kind, "model_fields", ())}
    return sorted(names - OTHERS_FIELDS - NOT_FED - {"http_async_client", "args", "parameters"})


PARAMETERS = {kind: parameters_of(kind) for kind in KINDS}
SERVICE = FakeService()
VOYAGE = voyage_over(SERVICE, max_retries=0)
OWNERS = [make(VOYAGE) for make, _, _ in CALLS]
SIGNATURES = [
    sorted({*inspect.signature(getattr(type(owner), name)).parameters} - NOT_FED)
    for owner, (_, name, _) in zip(OWNERS, CALLS, strict=True)
]


def respond(body: bytes) -> Response:
    """A good response of every endpoint."""
    asked = json.loads(body)
    if "inputs" not in asked:
        return served(body)
    numbers = [{"index": i, "embedding": base64_of([1.0, 2.0])} for i in range(1_000)]
    if isinstance(asked["inputs"][0], dict):
        return ok({"data": numbers[: len(asked["inputs"])], "usage": {"total_tokens": 1}})
    documents = [
        {"index": at, "data": numbers[: 1 if isinstance(given, str) else len(given)]}
        for at, given in enumerate(asked["inputs"])
    ]
    return ok({"data": documents, "usage": {"total_tokens": 1}})


SERVICE.always = respond


def arguments(data: bytes) -> None:
    """One call that the bytes choose, with any object in one of its parameters or two."""
    choices = Choices(data)
    if choices.below(8) == 0:
        _construct(choices)
    else:
        _call(choices)


def _construct(choices: Choices) -> None:
    kind = choices.of(list(KINDS))
    given = KINDS[kind] | {choices.of(PARAMETERS[kind]): choices.anything()}
    try:
        shown = repr(kind(**given))
    except (VoyageError, ValidationError, UnknownParameterError) as error:
        shown = str(error)
    except HostileError:
        return
    assert KEY not in shown


def _call(choices: Choices) -> None:
    number = choices.below(len(CALLS))
    (_, method, good), owner, names = CALLS[number], OWNERS[number], SIGNATURES[number]
    given = good | {choices.of(names): choices.anything() for _ in range(1 + choices.below(2))}
    for name in {"by", "chunk_fn"} & set(given):
        if callable(given[name]):
            given[name] = good.get(name)  # what a function of the caller's raises is passed on
    twin = _twin(owner, method) if choices.below(4) == 0 else None
    SERVICE.attempts.clear()
    try:
        if twin is not None:
            LOOP.run_until_complete(_awaited(twin, given))
        else:
            found = getattr(owner, method)(**given)
            if method == "embed_iter":
                list(found)
    except (VoyageError, ValidationError) as error:
        _check(error)
    except HostileError:
        pass


def _check(error: Exception) -> None:
    """It has a message, and was raised before anything was sent if it is about an argument."""
    assert str(error)
    if isinstance(error, InvalidInputError | ValidationError):
        assert not SERVICE.attempts


def _twin(owner: Any, method: str) -> Any:
    return getattr(owner, "acall" if method == "__call__" else f"a{method}", None)


async def _awaited(method: Callable[..., Any], given: dict[str, Any]) -> None:
    found = method(**given)
    if inspect.isasyncgen(found):
        async for _ in found:
            pass
    else:
        await found
