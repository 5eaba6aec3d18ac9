"""Parameters of LangChain's classes, for editors and type checkers."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from typing import TYPE_CHECKING, TypedDict

from pydantic import SecretStr

from voyage_rag.client import Voyage
from voyage_rag.events import Observer
from voyage_rag.hosts import Host
from voyage_rag.models import OutputDtype
from voyage_rag.types import BlankDocuments, EmptyText, InputType, InvalidText

if TYPE_CHECKING:
    import httpx


class ConnectionParameters(TypedDict, total=False):
    """The fields of `voyage_rag.connection.Connection`."""

    voyage_api_key: str | SecretStr | None
    api_key_path: str | PathLike[str] | None
    base_url: str | None
    timeout: float | None
    max_retries: int | None
    total_timeout: float | None
    query_max_retries: int | None
    query_total_timeout: float | None
    hedge_after: float | None
    concurrency: int | None
    requests_per_minute: float | None
    tokens_per_minute: float | None
    cache: str | PathLike[str] | None
    cache_max_bytes: int | None
    tokenizer: str | PathLike[str] | None
    allow_insecure_http: bool
    observers: Iterable[Observer]
    host: Host | None
    http_client: httpx.Client | None
    http_async_client: httpx.AsyncClient | None
    client: Voyage | None
    api_key_fingerprint: str | None
    host_name: str | None
    own_http_client: bool


class RerankParameters(ConnectionParameters, total=False):
    """The fields of `VoyageAIRerank` except its model."""

    top_k: int | None
    truncation: bool
    blank_documents: BlankDocuments
    invalid_text: InvalidText
    score_threshold: float | None


class EmbeddingParameters(ConnectionParameters, total=False):
    """The fields of `VoyageAIEmbeddings` except its model."""

    batch_size: int | None
    truncation: bool
    output_dimension: int | None
    output_dtype: OutputDtype | None
    integers: bool
    show_progress_bar: bool
    empty_text: EmptyText
    invalid_text: InvalidText
    document_input_type: InputType | None
    query_input_type: InputType | None
    query_model: str | None
    query_client: Voyage | None
    query_cache: int
