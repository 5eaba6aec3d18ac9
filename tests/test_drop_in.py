"""Small programs written for Voyage's own client run as they are."""

from __future__ import annotations

import inspect
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

import voyage_rag
from fakes import (
    KEY,
    MODEL,
    RERANKER,
    FakeClock,
    FakeService,
    failed,
    score_of,
    vector_of,
    voyage_over,
)
from voyage_rag.emulator import Emulator

DOCUMENTS = ["The Mediterranean diet", "Photosynthesis in plants", "20th-century innovations"]


def test_a_sync_program_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The quick start of the vendor's documentation, with one line changed."""
    import voyage_rag as voyageai

    monkeypatch.setenv("VOYAGE_API_KEY", KEY)
    vo = voyageai.Client()
    monkeypatch.setattr(vo.driver, "sender", FakeService())

    result = vo.embed(DOCUMENTS, model=MODEL, input_type="document")
    query = vo.embed(["When is the call?"], model=MODEL, input_type="query").embeddings[0]
    reranking = vo.rerank("When is the call?", DOCUMENTS, model=RERANKER, top_k=2)

    assert [vector_of(text) for text in DOCUMENTS] == result.embeddings
    assert vector_of("When is the call?") == query
    assert sum(map(len, DOCUMENTS)) == result.total_tokens == reranking.total_tokens
    assert len(reranking.results) == 2
    for r in reranking.results:
        assert DOCUMENTS[r.index] == r.document
        assert score_of("When is the call?", r.document) == r.relevance_score


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_async_program_runs(backend: str) -> None:
    """`AsyncClient` is awaited under the plain names."""

    async def program() -> None:
        async with voyage_rag.AsyncClient(KEY, max_retries=2, timeout=30, clock=FakeClock()) as vo:
            vo.voyage.driver.sender = FakeService(failed(429))  # type: ignore[assignment]
            result = await vo.embed(DOCUMENTS, model=MODEL, input_type="document")
            reranking = await vo.rerank("q", DOCUMENTS, model=RERANKER, top_k=1)
            assert [vector_of(text) for text in DOCUMENTS] == result.embeddings
            assert max(score_of("q", text) for text in DOCUMENTS) == (
                reranking.results[0].relevance_score
            )

    anyio.run(program, backend=backend)


def test_the_async_client_has_the_parameters_of_the_sync_one() -> None:
    """For editors, `help` and type checkers, and in the message about a wrong name."""
    vo = voyage_rag.AsyncClient(KEY)
    for name in ("embed", "contextualized_embed", "multimodal_embed", "rerank"):
        theirs = inspect.signature(getattr(voyage_rag.Voyage, f"a{name}"))
        assert inspect.signature(getattr(voyage_rag.AsyncClient, name)) == theirs
        assert inspect.iscoroutinefunction(getattr(vo, name))
    assert inspect.signature(voyage_rag.AsyncClient) == inspect.signature(voyage_rag.Voyage)
    with pytest.raises(TypeError, match=r"AsyncClient: unknown parameter 'apikey'.*'api_key'"):
        voyage_rag.AsyncClient(apikey="k")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"unknown parameter 'input'.*'texts'"):
        anyio.run(partial(vo.embed, input=["a"], model=MODEL))  # type: ignore[call-arg]


def test_the_async_client_calls_its_own_voyage() -> None:
    """Which a program may replace by one of a subclass, or of a test."""

    class Other(voyage_rag.Voyage):
        async def arerank(self, *_: object, **__: object) -> Any:
            return "other"

    vo = voyage_rag.AsyncClient(KEY)
    vo.voyage = Other(KEY)
    assert anyio.run(vo.rerank, "q", DOCUMENTS, RERANKER) == "other"


def test_a_program_catches_the_vendors_errors() -> None:
    """Under the names of its `error` module, with the message for the user."""
    cases = {400: "InvalidRequestError", 401: "AuthenticationError", 429: "RateLimitError"}
    cases |= {500: "ServerError", 502: "ServiceUnavailableError"}
    for status, name in cases.items():
        vo = voyage_over(FakeService(failed(status, "reported")), max_retries=0)
        with pytest.raises(getattr(voyage_rag.error, name)) as caught:
            vo.embed(["a"], MODEL)
        assert caught.value.user_message.startswith("reported")
        assert status == caught.value.http_status


def test_a_program_catches_what_never_reached_the_service() -> None:
    """Under the name that the vendor's client has for the service's refusal."""
    service = FakeService()
    vo = voyage_over(service)
    for call in (
        lambda: vo.embed([""], MODEL),
        lambda: vo.embed(["a"], "voyage-4", output_dimension=100),
        lambda: vo.rerank("q", ["a"], RERANKER, top_k=0),
    ):
        with pytest.raises(voyage_rag.error.InvalidRequestError) as caught:
            call()
        assert isinstance(caught.value, ValueError)
    assert service.bodies == []


def test_without_a_model_the_vendors_default_is_taken_with_a_warning() -> None:
    """The warning names the line of the call, sync and async."""
    service = FakeService(*[failed(400)] * 3)
    vo = voyage_over(service)

    async def awaited() -> None:
        await vo.aembed(["a"])

    for call in (
        lambda: vo.embed(["a"]),
        lambda: anyio.run(awaited),
        lambda: list(vo.embed_iter(["a"])),
    ):
        with (
            pytest.warns(UserWarning, match="voyage-2") as warned,
            pytest.raises(voyage_rag.InvalidRequestError),
        ):
            call()
        assert __file__ == warned[0].filename
    assert [body["model"] for body in service.bodies] == ["voyage-2"] * 3


def test_results_travel_between_processes() -> None:
    """Whatever a call returns can be pickled, and is equal afterwards."""
    vo = voyage_over(FakeService())
    ranking = vo.rerank("q", DOCUMENTS, RERANKER)
    embedded = vo.embed(DOCUMENTS, MODEL)

    assert ranking == pickle.loads(pickle.dumps(ranking))
    assert embedded.embeddings == pickle.loads(pickle.dumps(embedded)).embeddings


def test_a_video_is_made_as_in_voyages_own_client(tmp_path: Path) -> None:
    """Read when it is sent, or immediately from an open file. It is never optimised here."""
    from voyage_rag.video_utils import Video

    path = tmp_path / "x.mp4"
    path.write_bytes(b"film")
    assert Video is voyage_rag.Video
    assert Video.from_path(str(path), model=MODEL).to_bytes() == b"film"
    with path.open("rb") as opened:
        video = Video.from_file(opened, model=MODEL, optimize=False)
    video.to_file(tmp_path / "y.mp4")
    assert (tmp_path / "y.mp4").read_bytes() == b"film"
    with pytest.raises(voyage_rag.InvalidInputError, match="optimize=True needs ffmpeg"):
        Video.from_path(path, model=MODEL, optimize=True)
    with pytest.raises(voyage_rag.InvalidInputError, match="available only if its source"):
        Video("https://example.com/x.mp4").to_bytes()


def test_texts_are_grouped_by_their_tokens() -> None:
    """As programs do that fill each request; the estimates are not too low."""
    with Emulator() as url, voyage_rag.Client(KEY, base_url=url) as vo:
        counted = [vo.count_tokens([text], model="voyage-4") for text in DOCUMENTS]
        before = vo.count_tokens(texts=DOCUMENTS)
        billed = vo.embed(DOCUMENTS, "voyage-4").total_tokens
        assert voyage_rag.AsyncClient(KEY, base_url=url).count_tokens(DOCUMENTS) == before
        assert vo.count_tokens(DOCUMENTS, "rerank-3") == before
        with pytest.raises(voyage_rag.InvalidInputError, match=r"texts\[1\] must be a string"):
            vo.count_tokens(["a", ["b"]])  # type: ignore[list-item] # the mistake
        for model in ("", [], np.zeros(2)):
            with pytest.raises(voyage_rag.InvalidInputError, match="model must be the name"):
                vo.count_tokens(["a"], model)  # type: ignore[arg-type] # the mistake
    assert sum(counted) >= billed > 0
    assert before >= billed


def test_an_empty_input_costs_nothing_and_kinds_may_be_mixed() -> None:
    """Where Voyage's own client refuses (docs/migrate.md)."""
    vo = voyage_rag.Client(KEY)
    assert vo.multimodal_embed([], "voyage-multimodal-3.5").embeddings == []
    nothing = vo.contextualized_embed([], "voyage-context-4", "document", enable_auto_chunking=True)
    assert nothing.results == []
    assert not any(vo.count_usage([], "voyage-multimodal-3.5").values())
    with Emulator() as url:
        vo = voyage_rag.Client(KEY, base_url=url)
        mixed = [["a cat"], {"content": [{"type": "text", "text": "a cat"}]}]
        first, second = vo.multimodal_embed(mixed, "voyage-multimodal-3.5").embeddings
        vo.close()
    assert first == second
