"""Suggest the closest name for an unknown parameter or model.

Besides misspellings, this covers names of other packages: OpenAI's, Cohere's, and those that this
package replaces.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from voyage_rag.models import MODELS, kind_of

SIMILARITY = 0.6
"""Minimum `difflib` ratio of two names for a suggestion."""

SYNONYMS: dict[str, tuple[str, ...]] = {
    "input": ("texts", "inputs"),
    "inputs": ("texts",),
    "sentences": ("texts",),
    "contents": ("texts", "inputs"),
    "docs": ("documents",),
    "passages": ("documents",),
    "model": ("model", "model_name"),
    "model_id": ("model", "model_name"),
    "model_name": ("model",),
    "dimension": ("output_dimension",),
    "dimensions": ("output_dimension",),
    "dims": ("output_dimension",),
    "embedding_size": ("output_dimension",),
    "embedding_type": ("output_dtype",),
    "embedding_types": ("output_dtype",),
    "encoding_format": ("output_dtype",),
    "dtype": ("output_dtype",),
    "chunk_size": ("batch_size", "embed_batch_size"),
    "batch_size": ("embed_batch_size",),
    "embed_batch_size": ("batch_size",),
    "max_batch_size": ("batch_size", "embed_batch_size"),
    "top_n": ("top_k",),
    "top_k": ("top_n",),
    "truncate": ("truncation",),
    "skip_empty": ("empty_text",),
    "show_progress": ("show_progress_bar",),
    "progress_bar": ("show_progress_bar",),
    "request_timeout": ("timeout",),
    "num_retries": ("max_retries",),
    "num_workers": ("concurrency",),
    "max_workers": ("concurrency",),
    "max_concurrent_requests": ("concurrency",),
    "max_concurrency": ("concurrency",),
    "rpm": ("requests_per_minute",),
    "tpm": ("tokens_per_minute",),
    "api_base": ("base_url",),
    "proxy": ("http_client",),
    "proxies": ("http_client",),
    "verify": ("http_client",),
    "verify_ssl": ("http_client",),
    "ssl_verify": ("http_client",),
    "http_async_client": ("async_http_client",),
    "async_http_client": ("http_async_client",),
    "async_client": ("async_http_client", "http_async_client"),
    "headers": ("http_client",),
    "default_headers": ("http_client",),
    "extra_headers": ("http_client",),
    "user_agent": ("http_client",),
    "endpoint": ("base_url",),
    "voyageai_api_key": ("api_key",),
    "openai_api_key": ("api_key",),
    "cohere_api_key": ("api_key",),
    "key": ("api_key",),
    "token": ("api_key",),
    "cache_folder": ("cache",),
    "cache_dir": ("cache",),
}
"""Parameters of other packages, and their names in this package."""

OTHER_MODELS = {
    "text-embedding-3-small": "voyage-4-lite",
    "text-embedding-3-large": "voyage-4-large",
    "text-embedding-ada-002": "voyage-4",
    "embed-v4.0": "voyage-multimodal-3.5",
    "embed-english-v3.0": "voyage-4",
    "embed-multilingual-v3.0": "voyage-4",
    "rerank-v3.5": "rerank-3",
    "rerank-english-v3.0": "rerank-3",
    "rerank-multilingual-v3.0": "rerank-3",
}
"""Models of OpenAI and Cohere, and the corresponding Voyage model."""


def similar_parameter(name: str, known: Iterable[str]) -> str | None:
    """Return the closest known parameter, or None."""
    names = list(known)
    synonyms = [synonym for synonym in SYNONYMS.get(name.lower(), ()) if synonym in names]
    similar = difflib.get_close_matches(name.lower(), names, 1, SIMILARITY)
    return next(iter(synonyms or similar), None)


def similar_model(name: str) -> str | None:
    """Return the closest model of the catalogue; None if `name` is a model or resembles none."""
    if name in MODELS:
        return None
    plain = name.strip().lower().rpartition("/")[2].rpartition(":")[2].replace("_", "-")
    if plain in MODELS or plain in OTHER_MODELS:
        return OTHER_MODELS.get(plain, plain)
    kind = kind_of(plain)
    current = [row.name for row in MODELS.values() if row.status != "deprecated"]
    same_kind = [model for model in current if MODELS[model].kind == kind]
    similar = difflib.get_close_matches(plain, same_kind, 1, SIMILARITY)
    return next(iter(similar or difflib.get_close_matches(plain, current, 1, SIMILARITY)), None)


def unknown_parameter(name: str, known: Iterable[str]) -> str:
    """Return an error message that suggests the closest parameter."""
    names = list(known)
    similar = similar_parameter(name, names)
    if similar:
        return f"unknown parameter {name!r}: did you mean {similar!r}?"
    return f"unknown parameter {name!r}; the parameters are {', '.join(names)}"
