"""If a library mocks or records httpx, all requests go through httpx."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from pytest_httpx import HTTPXMock
from vcr import VCR

from conftest import Runner
from fakes import KEY, MODEL, HTTPService, embedded
from voyage_rag import Voyage
from voyage_rag.io.http.transport import is_httpx_replaced

NOBODY = "https://voyage.invalid/v1"
ANSWER = embedded([[1.0, 2.0]])


def test_pytest_httpx_responds(runner: Runner, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=f"{NOBODY}/embeddings", json=ANSWER)

    found = runner.call(Voyage(KEY, base_url=NOBODY), "embed", ["a text"], MODEL)

    assert found.embeddings == [[1.0, 2.0]]
    request = httpx_mock.get_request()
    assert request is not None
    assert request.headers["authorization"] == f"Bearer {KEY}"


def test_respx_responds(runner: Runner) -> None:
    with respx.mock as mock:
        route = mock.post(f"{NOBODY}/embeddings").respond(json=ANSWER)
        found = runner.call(Voyage(KEY, base_url=NOBODY), "embed", ["a text"], MODEL)

    assert found.embeddings == [[1.0, 2.0]]
    assert route.call_count == 1


def test_what_respx_does_not_know_is_not_sent(runner: Runner, http_service: HTTPService) -> None:
    voyage = Voyage(KEY, base_url=http_service.url, max_retries=0)

    with respx.mock, pytest.raises(AssertionError, match="not mocked"):
        runner.call(voyage, "embed", ["a text"], MODEL)

    assert http_service.received == []


def test_vcrpy_records_and_plays(runner: Runner, http_service: HTTPService, tmp_path: Path) -> None:
    cassette = str(tmp_path / "cassette.yaml")
    voyage = Voyage(KEY, base_url=http_service.url)

    with VCR().use_cassette(cassette, filter_headers=["authorization"]):
        recorded = runner.call(voyage, "embed", ["a text"], MODEL)
    with VCR().use_cassette(cassette, record_mode="none"):
        played = runner.call(voyage, "embed", ["a text"], MODEL)

    assert played.embeddings == recorded.embeddings
    assert len(http_service.received) == 1


def test_a_client_made_before_and_used_after_a_mock_uses_its_own_connections(
    runner: Runner, http_service: HTTPService
) -> None:
    voyage = Voyage(KEY, base_url=http_service.url)

    with respx.mock as mock:
        mock.post(f"{http_service.url}/embeddings").respond(json=ANSWER)
        mocked = runner.call(voyage, "embed", ["a text"], MODEL)
    served = runner.call(voyage, "embed", ["a text"], MODEL)

    assert mocked.embeddings == [[1.0, 2.0]]
    assert served.embeddings != mocked.embeddings
    assert len(http_service.received) == 1


@contextmanager
def traced() -> Iterator[None]:
    """Wrap a function as tracers do: the wrapper has its attributes."""
    original: Any = httpx.HTTPTransport.handle_request

    class Wrapper:
        __code__ = original.__code__

        def __get__(self, instance: object, owner: type) -> Callable[..., Any]:
            return original.__get__(instance, owner) if instance is not None else self

        __call__ = staticmethod(original)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx.HTTPTransport, "handle_request", Wrapper())
        yield


@contextmanager
def decorated() -> Iterator[None]:
    original = httpx.HTTPTransport.handle_request

    @wraps(original)
    def handle_request(self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        return original(self, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx.HTTPTransport, "handle_request", handle_request)
        yield


@pytest.mark.parametrize(("change", "counts"), [(traced, False), (decorated, True)])
def test_tracing_does_not_count_as_mocking(
    change: Callable[[], AbstractContextManager[None]], counts: bool
) -> None:
    assert not is_httpx_replaced()
    with change():
        assert is_httpx_replaced() is counts
    assert not is_httpx_replaced()
