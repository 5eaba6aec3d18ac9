"""POST /v1/rerank. Source: "Rerankers" in Voyage's API reference."""

from typing import Any

from voyage_rag.emulator import arguments as args
from voyage_rag.emulator import model_limits, relevance
from voyage_rag.emulator.embeddings import fit
from voyage_rag.emulator.model_limits import RERANK_MODELS, RerankModel
from voyage_rag.emulator.responses import Payload
from voyage_rag.emulator.tokens import EmulatedTokenizer


def _check_documents(value: Any) -> str | None:
    if isinstance(value, list) and not all(isinstance(item, str) for item in value):
        return "Error for argument: '{}' is not a valid string"  # partly from a live response
    return args.texts(value)


def _accept(arguments: args.ArgumentValues, tokens: EmulatedTokenizer) -> args.AcceptedRequest:
    name = arguments["model"]
    model = model_limits.find_model(name, RERANK_MODELS)
    model_limits.check_input_count(name, len(arguments["documents"]))
    query, documents = _fit_pairs(arguments, model, tokens)
    # The query is read, and counted, once for each document.
    pairs = [tokens.count(query) + tokens.count(document) for document in documents]
    model_limits.check_request_tokens(name, sum(pairs), model.batch)
    billed = sum(max(0, pair - model.unbilled) for pair in pairs)

    def compute() -> Payload:
        return {
            "object": "list",
            "data": _rank(query, documents, arguments),
            "model": name,
            "usage": {"total_tokens": billed},
        }

    return args.AcceptedRequest(name, billed, False, compute)


def _fit_pairs(
    arguments: args.ArgumentValues, model: RerankModel, tokens: EmulatedTokenizer
) -> tuple[str, list[str]]:
    name, query, truncation = arguments["model"], arguments["query"], arguments["truncation"]
    if tokens.count(query) > model.query:
        if not truncation:
            model_limits.reject(
                name,
                "The query has too many tokens and does not fit into the model's query limit of "
                f"{model.query} tokens. Please lower the number of tokens or use truncation.",
            )
        query = tokens.cut(query, model.query)
    limit = model.pair - tokens.count(query)
    return query, [
        fit(document, index, name, limit, tokens, truncation=truncation)
        for index, document in enumerate(arguments["documents"])
    ]


def _rank(query: str, documents: list[str], arguments: args.ArgumentValues) -> list[Payload]:
    """Return the results by descending score, ties in the order of the documents."""
    ranked: list[Payload] = [
        {"relevance_score": relevance.score(query, document), "index": index}
        for index, document in enumerate(documents)
    ]
    ranked.sort(key=lambda result: -result["relevance_score"])
    if arguments["return_documents"]:
        for result in ranked:
            result["document"] = arguments["documents"][result["index"]]
    return ranked[: arguments["top_k"]]


ENDPOINT = args.EmulatedEndpoint(
    "/v1/rerank",
    (
        args.Argument("query", args.text, required=True),
        args.Argument("documents", _check_documents, required=True),
        args.Argument("model", args.text, required=True),
        args.Argument("top_k", args.integer_between(1)),
        args.Argument("return_documents", args.boolean, default=False),
        args.TRUNCATION,
    ),
    _accept,
)
