"""The migration page is complete, and what it states is true."""

from __future__ import annotations

import inspect
import json
from itertools import chain
from typing import Any

import pytest

import voyage_rag
from migration import SIGNATURES, becomes, imports
from voyage_rag import langchain, llama_index

THEIRS: dict[str, dict[str, list[str]]] = json.loads(SIGNATURES.read_text("utf-8"))

OURS: dict[str, Any] = {
    "langchain_voyageai.VoyageAIEmbeddings": langchain.VoyageAIEmbeddings,
    "langchain_voyageai.VoyageAIRerank": langchain.VoyageAIRerank,
    "llama_index.embeddings.voyageai.VoyageEmbedding": llama_index.VoyageEmbedding,
    "llama_index.postprocessor.voyageai_rerank.VoyageAIRerank": llama_index.VoyageAIRerank,
    "voyageai.Client": voyage_rag.Client,
    "voyageai.AsyncClient": voyage_rag.AsyncClient,
}
SAME = "the same"
"""How a row begins whose parameter or method is here, too."""


IMPORTS = """
from langchain_voyageai import VoyageAIEmbeddings, VoyageAIRerank
from langchain_voyageai.embeddings import VoyageAIEmbeddings
from langchain_voyageai.rerank import VoyageAIRerank
from llama_index.embeddings.voyageai import VoyageEmbedding
from llama_index.embeddings.voyageai.base import VoyageEmbedding
from llama_index.postprocessor.voyageai_rerank import VoyageAIRerank
import voyageai.error as ve; ve.RateLimitError
import voyageai.error; voyageai.error.RateLimitError
import voyageai; voyageai.Client, voyageai.error.VoyageError
from voyageai.error import APIConnectionError, InvalidRequestError, RateLimitError, Timeout
from voyageai.video_utils import Video
from voyageai.client import Client
from voyageai.client import Client as VoyageClient
from voyageai.client_async import AsyncClient
from voyageai.object import ContextualizedEmbeddingsObject, EmbeddingsObject
from voyageai.object import MultimodalEmbeddingsObject, RerankingObject
from voyageai import AsyncClient, Client
"""
"""How programs in public repositories import the other packages."""


def test_every_import_works_after_its_change() -> None:
    """All rows are used, and no other import is left."""
    changed, unused = IMPORTS, imports()
    for theirs, ours in imports().items():
        if f"\n{theirs}" in changed:
            changed = changed.replace(f"\n{theirs}", f"\n{ours}")
            del unused[theirs]
    assert not unused
    for statement in changed.strip().splitlines():
        exec(statement, {})


@pytest.mark.parametrize("kind", THEIRS)
def test_every_parameter_and_method_of_the_other_packages_is_in_the_table(kind: str) -> None:
    """And no row is superfluous."""
    named = set(THEIRS[kind]["__init__"]) | {
        f"{name}({', '.join(given)})" for name, given in THEIRS[kind].items() if name != "__init__"
    }

    assert becomes(kind).keys() == named


@pytest.mark.parametrize("kind", THEIRS)
def test_what_is_said_to_be_the_same_is_there(kind: str) -> None:
    """Parameters by name, methods with parameters of these names in this order."""
    for named, reported in becomes(kind).items():
        if not reported.startswith(SAME):
            continue
        method, called, given = named.partition("(")
        if not called:
            assert method in accepted(OURS[kind]), named
        else:
            expected = [one for one in given.rstrip(")").split(", ") if one]
            ours = list(inspect.signature(getattr(OURS[kind], method)).parameters)
            ours = [one for one in ours if one not in {"self", "cls"}]
            assert ours[: len(expected)] == expected, named


def accepted(kind: Any) -> set[str]:
    """What the constructor takes by name."""
    fields = getattr(kind, "model_fields", {})
    aliases = [getattr(field.validation_alias, "choices", ()) for field in fields.values()]
    return {*inspect.signature(kind).parameters, *fields, *chain.from_iterable(aliases)}


def test_every_class_of_the_other_packages_is_covered() -> None:
    """The file of their signatures is about these six."""
    assert THEIRS.keys() == OURS.keys()
