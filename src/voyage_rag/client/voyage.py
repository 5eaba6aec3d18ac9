"""`Voyage`: the methods of the API, each in a sync and an async variant."""

from __future__ import annotations

from voyage_rag.client.contextualized import ContextualizedVerbs
from voyage_rag.client.multimodal import MultimodalVerbs
from voyage_rag.client.reranking import RerankingVerbs
from voyage_rag.client.text import TextVerbs


class Voyage(TextVerbs, ContextualizedVerbs, MultimodalVerbs, RerankingVerbs):
    """A client for the Voyage AI API, with sync and async methods.

    Any number of threads and event loops (asyncio or trio) can share one client. It opens
    connections on first use and keeps them alive. It can be pickled: worker processes of
    `multiprocessing` receive the key, any other pickle contains only the fingerprint of the key
    (see `voyage_rag.secret`).

    Args:
        api_key: The API key. Default: the key file, then `VOYAGE_API_KEY`.
        max_retries: Number of retries after a 408, 429 or 5xx response, a lost connection, a
            timeout or an invalid response. Default: 6, and as many as `total_timeout` allows for a
            429.
        timeout: Seconds per attempt. Default: 60.
        base_url: Base URL of the API. Default: `VOYAGE_BASE_URL`, then the host that the key
            belongs to.
        api_key_path: Path of a file with the key. Default: `VOYAGE_API_KEY_PATH`.
        host: An object from `voyage_rag.hosts` that describes where the models run. Replaces
            `api_key` and `base_url`.
        total_timeout: Seconds per request including all attempts and the delays between them. None
            disables the limit.
        query_max_retries: `max_retries` for queries and reranking. Default: 3.
        query_total_timeout: `total_timeout` for queries and reranking. Default: 75.
        hedge_after: Seconds without a response after which a query is sent a second time. The
            first response is used; both requests are billed. Default: never.
        concurrency: Number of concurrent requests per call. Default: 16.
        requests_per_minute: The account's limit per model, which the client does not exceed. By
            default, the client discovers the limit.
        tokens_per_minute: The account's limit of tokens per minute and model.
        cache: Path of a SQLite file that caches vectors and scores between runs, or `:memory:` to
            cache them in this object.
        cache_max_bytes: Maximum size of the cache. When it is full, a tenth is evicted.
        tokenizer: Path of the model's `tokenizer.json` for exact token counts. By default,
            counts are estimated, and corrected by the usage that the service reports. Requires
            `pip install 'voyage-rag[tokenizers]'`.
        allow_insecure_http: Allow sending the key over plain HTTP to another machine.
        http_client: An `httpx.Client` for sync calls, with your proxies, TLS settings or tracing.
            You close it.
        async_http_client: An `httpx.AsyncClient` for async calls in one event loop.
        observers: Functions that are called with each event (see `voyage_rag.events`). A pickle
            does not include them.
        clock: The source of time, for tests.

    Raises:
        ConfigurationError: There is no key, or a setting is invalid. The message names it.

    Setup:
        Set `VOYAGE_API_KEY` to a key from <https://dashboard.voyageai.com>, or pass `api_key`.

    Examples:
        >>> from voyage_rag import Voyage
        >>> voyage = Voyage()
        >>> documents = ["Read a CSV file.", "Send an email."]
        >>> result = voyage.embed(documents, model="voyage-4", input_type="document")
        >>> result.vectors
        <Vectors: 2 × 1024 numbers, float>
        >>> ranking = voyage.rerank("parse csv", documents, model="rerank-3", top_k=1)
        >>> ranking.results[0].document
        'Read a CSV file.'

        Each method has an async variant:

        >>> import asyncio
        >>> async def main():
        ...     return await voyage.aembed(documents, model="voyage-4", input_type="document")
        >>> asyncio.run(main()).vectors
        <Vectors: 2 × 1024 numbers, float>
    """
