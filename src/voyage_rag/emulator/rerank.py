"""POST /v1/rerank. Source: "Rerankers" in Voyage's API reference."""

from voyage_rag.emulator import relevance, rules, tokens
from voyage_rag.emulator.embeddings import fit
from voyage_rag.emulator.limits import LONGEST_BATCH, RERANK_MODELS, RerankModel
from voyage_rag.emulator.rules import Argument, Arguments
from voyage_rag.emulator.work import Endpoint, Payload, Work


def _prepare(arguments: Arguments) -> Work:
    name = arguments["model"]
    model = rules.find_model(name, RERANK_MODELS, list(RERANK_MODELS))
    rules.check_batch_size(name, len(arguments["documents"]), LONGEST_BATCH)
    query, documents = _fit_pairs(arguments, model)
    # The query is read with every document, and billed so.
    billed = tokens.count(query) * len(documents) + sum(map(tokens.count, documents))
    rules.check_batch_tokens(name, billed, model.batch)

    def produce() -> Payload:
        return {
            "object": "list",
            "data": _rank(query, documents, arguments),
            "model": name,
            "usage": {"total_tokens": billed},
        }

    return Work(name, billed, False, produce)


def _fit_pairs(arguments: Arguments, model: RerankModel) -> tuple[str, list[str]]:
    query, truncation = arguments["query"], arguments["truncation"]
    if tokens.count(query) > model.query:
        if not truncation:
            rules.refuse(
                arguments["model"],
                "The query has too many tokens and does not fit into the model's query limit of "
                f"{model.query} tokens. Please lower the number of tokens or use truncation.",
            )
        query = tokens.cut(query, model.query)
    room = model.pair - tokens.count(query)
    return query, [
        fit(document, index, arguments["model"], room, truncation=truncation)
        for index, document in enumerate(arguments["documents"])
    ]


def _rank(query: str, documents: list[str], arguments: Arguments) -> list[Payload]:
    """Return the best first, ties in the order given."""
    ranked = [
        {"relevance_score": relevance.score(query, document), "index": index}
        for index, document in enumerate(documents)
    ]
    ranked.sort(key=lambda result: -result["relevance_score"])
    if arguments["return_documents"]:
        given = arguments["documents"]
        ranked = [result | {"document": given[int(result["index"])]} for result in ranked]
    return ranked[: arguments["top_k"]]


ENDPOINT = Endpoint(
    "/v1/rerank",
    (
        Argument("query", rules.text, required=True),
        Argument("documents", rules.texts, required=True),
        Argument("model", rules.text, required=True),
        Argument("top_k", rules.between(1)),
        Argument("return_documents", rules.flag, default=False),
        rules.TRUNCATION,
    ),
    _prepare,
)
