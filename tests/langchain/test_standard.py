"""LangChain's own standard suites."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.embeddings import Embeddings
from langchain_tests.integration_tests import EmbeddingsIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests

from voyage_rag.langchain import VoyageAIEmbeddings

KEY = "pa-from-the-environment"


class TestUnit(EmbeddingsUnitTests):
    """Construction, with the key as an argument and from the environment."""

    @property
    def embeddings_class(self) -> type[Embeddings]:
        return VoyageAIEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"model": "voyage-4", "api_key": KEY}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        environment = {"VOYAGE_API_KEY": KEY}
        return environment, {"model": "voyage-4"}, {"voyage_api_key": KEY, "model": "voyage-4"}


@pytest.mark.anyio
class TestIntegration(EmbeddingsIntegrationTests):
    """Embedding documents and queries; the async half on asyncio and on trio."""

    @property
    def embeddings_class(self) -> type[Embeddings]:
        return VoyageAIEmbeddings

    @pytest.fixture
    def model(self, embeddings: VoyageAIEmbeddings) -> Embeddings:
        return embeddings
