"""`Voyage`: the methods of the API, each in a sync and an async variant."""

from __future__ import annotations

from voyage_rag.client.contextualized import ContextualizedVerbs
from voyage_rag.client.multimodal import MultimodalVerbs
from voyage_rag.client.reranking import RerankingVerbs
from voyage_rag.client.text import TextVerbs


class Voyage(TextVerbs, ContextualizedVerbs, MultimodalVerbs, RerankingVerbs):
    """A client of the Voyage AI API, for threads and event loops alike.

    One object serves any number of threads, asyncio and trio loops; it connects when first used and
    keeps its connections. A pickle for worker processes of `multiprocessing` contains the key, any
    other only its fingerprint (see `voyage_rag.secret`).

    Args:
        api_key: The key; else a key file, else `VOYAGE_API_KEY` (docs: "API Key and Python
            Client").
        max_retries: Further attempts after a 429, 408, 5xx, a lost connection, a timeout or an
            unusable response. 6 by default, and for a 429 as many as `total_timeout` allows.
        timeout: Seconds one attempt may take. 60 unless given.
        base_url: Address of the API; else `VOYAGE_BASE_URL`, else the host the key belongs to.
        api_key_path: A file that holds the key; else `VOYAGE_API_KEY_PATH`.
        host: Where the models run, of `voyage_rag.hosts`, instead of a key and an address.
        total_timeout: Seconds one request may take with all its attempts and the waits between
            them; None for no limit.
        concurrency: Requests in flight at once for one call. 16 unless given.
        requests_per_minute: The account's limit per model, never exceeded; discovered if it is
            not given (docs: "Rate Limits").
        tokens_per_minute: The same, of tokens.
        cache: A SQLite file: vectors and scores in it are not paid for again, in any run.
            `:memory:` keeps vectors and scores as long as this object.
        cache_max_bytes: Bytes that the cache may have; a tenth is dropped when it is full.
        tokenizer: A model's `tokenizer.json` (docs: "Tokenization"), to plan by exact counts; they
            are estimated and learnt without it. Needs `pip install 'voyage-rag[tokenizers]'`.
        allow_insecure_http: Let the key travel over plain http to another machine.
        http_client: Your own `httpx.Client` for sync calls: proxies, TLS, tracing. You close it.
        async_http_client: Your own `httpx.AsyncClient` for async calls, in one event loop.
        observers: Functions that receive the events of its calls (see `voyage_rag.events`). They
            are not pickled.
        clock: Replaces the system clock, in tests.

    Raises:
        ConfigurationError: No key, or an invalid setting; the message names it.
    """
