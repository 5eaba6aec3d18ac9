"""Names that are nearly right, or of another package, lead to ours."""

from __future__ import annotations

import inspect

import pytest

from fakes import KEY, FakeService, failed, voyage_over
from voyage_rag import InvalidRequestError, Voyage
from voyage_rag.models import MODELS
from voyage_rag.suggestions import OTHER_MODELS, SYNONYMS, similar_model, similar_parameter

VOYAGE = list(inspect.signature(Voyage).parameters)
VERBS = ["embed", "rerank", "contextualized_embed", "multimodal_embed"]


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("max_retry", VOYAGE, "max_retries"),
        ("retries", VOYAGE, "max_retries"),
        ("apikey", VOYAGE, "api_key"),
        ("api_base", VOYAGE, "base_url"),
        ("rpm", VOYAGE, "requests_per_minute"),
        ("dimensions", ["output_dimension", "model"], "output_dimension"),
        ("chunk_size", ["batch_size", "model"], "batch_size"),
        ("chunk_size", ["embed_batch_size", "model"], "embed_batch_size"),
        ("top_n", ["top_k"], "top_k"),
        ("embedding_type", ["embeddings_cache", "output_dtype"], "output_dtype"),
        ("skip_empty", ["empty_text", "model"], "empty_text"),
        ("user_agent", VOYAGE, "http_client"),
        ("top_k", ["top_n"], "top_n"),
        ("model", ["model_name"], "model_name"),
        ("input", ["texts", "input_type"], "texts"),
        ("proxies", VOYAGE, "http_client"),
        ("ssl_verify", VOYAGE, "http_client"),
        ("http_async_client", VOYAGE, "async_http_client"),
        ("async_http_client", ["http_client", "http_async_client"], "http_async_client"),
        ("zzz", VOYAGE, None),
    ],
)
def test_the_parameter_that_was_meant(name: str, known: list[str], meant: str | None) -> None:
    assert similar_parameter(name, known) == meant


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("voyage4", "voyage-4"),
        ("Voyage-4", "voyage-4"),
        ("voyage_4_lite", "voyage-4-lite"),
        ("voyageai/voyage-4", "voyage-4"),
        ("voyageai:voyage-4-large", "voyage-4-large"),
        ("voyage-context4", "voyage-context-4"),
        ("voyage-multimodal-3-5", "voyage-multimodal-3.5"),
        ("rerank3", "rerank-3"),
        ("rerank-3-light", "rerank-3-lite"),
        ("text-embedding-3-small", "voyage-4-lite"),
        ("rerank-english-v3.0", "rerank-3"),
        ("voyage-4", None),
        ("gemini-embedding-001", None),
        ("", None),
    ],
)
def test_the_model_that_was_meant(name: str, meant: str | None) -> None:
    assert similar_model(name) == meant


def test_every_suggestion_can_be_followed() -> None:
    assert set(OTHER_MODELS.values()) <= set(MODELS)
    parameters = {*VOYAGE, "top_n", "model_name", "embed_batch_size", "show_progress_bar"}
    parameters.add("http_async_client")
    for verb in VERBS:
        parameters |= set(inspect.signature(getattr(Voyage, verb)).parameters)
    assert {name for names in SYNONYMS.values() for name in names} <= parameters


def test_the_client_names_the_parameter_that_was_meant() -> None:
    with pytest.raises(
        TypeError, match=r"Voyage: unknown parameter 'max_retry': did you mean 'max_r"
    ):
        Voyage(KEY, max_retry=3)  # type: ignore[call-arg]
    assert "max_retries" in inspect.signature(Voyage).parameters


@pytest.mark.parametrize(
    ("verb", "given", "meant"),
    [
        ("embed", "output_dimention", "output_dimension"),
        ("aembed", "dimensions", "output_dimension"),
        ("embed_iter", "batchsize", "batch_size"),
        ("contextualized_embed", "chunk_func", "chunk_fn"),
        ("multimodal_embed", "show_progress", "show_progress_bar"),
        ("rerank", "top_n", "top_k"),
    ],
)
def test_a_verb_names_the_parameter_that_was_meant(verb: str, given: str, meant: str) -> None:
    method = getattr(Voyage(KEY), verb)
    message = rf"^{verb}: unknown parameter '{given}': .* '{meant}'\?"
    if inspect.iscoroutinefunction(method):
        with pytest.raises(TypeError, match=message):
            method(["a"], **{given: 1}).send(None)
    else:
        with pytest.raises(TypeError, match=message):
            method(["a"], **{given: 1})
    shown = inspect.signature(getattr(Voyage, verb)).parameters
    assert meant in shown
    assert given not in shown


@pytest.mark.parametrize("verb", ["aembed", "acontextualized_embed", "arerank"])
def test_frameworks_still_see_that_a_verb_is_a_coroutine(verb: str) -> None:
    assert inspect.iscoroutinefunction(getattr(Voyage, verb))


def test_a_refused_model_comes_with_the_one_that_was_meant(runner) -> None:
    """The catalogue restricts no model: the service refuses it, and its list is outdated."""
    service = FakeService(always=lambda body: failed(400, "Model voyage4 is not supported."))
    with pytest.raises(InvalidRequestError, match="Did you mean 'voyage-4'") as caught:
        runner.call(voyage_over(service), "embed", ["a"], "voyage4")
    assert "is not supported" in str(caught.value)


def test_an_error_about_something_else_names_no_model() -> None:
    service = FakeService(always=lambda body: failed(400, "The example is too long."))
    with pytest.raises(InvalidRequestError) as caught:
        voyage_over(service).embed(["a"], "voyage4")
    assert "mean" not in str(caught.value)
