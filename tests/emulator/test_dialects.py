"""The emulator as other services that run the models: SageMaker, Azure, OpenAI's API."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, get_args

import httpx
import numpy as np
import pytest

from voyage_rag.commands.emulate import Dialect
from voyage_rag.emulator import Emulator
from voyage_rag.emulator.options import DialectName
from voyage_rag.emulator.sagemaker_dialect import aws_fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.conftest import Asking

TEXTS = ["How do I read a file?", "io.open\nOpen a file and return a stream."]
AWS_DATE = "20261128T120000Z"


def signed(
    key: str = "AKIAEMULATED", service: str = "sagemaker", headers: str = "host;x-amz-date"
) -> dict[str, str]:
    """Headers of a signature that is well-formed."""
    scope = f"{key}/{AWS_DATE[:8]}/us-east-1/{service}/aws4_request"
    signature = f"SignedHeaders={headers}, Signature={'0a' * 32}"
    return {
        "x-amz-date": AWS_DATE,
        "authorization": f"AWS4-HMAC-SHA256 Credential={scope}, {signature}",
    }


class Service:
    """An emulator of another service, with plain requests."""

    def __init__(self, asking: Asking) -> None:
        self.asking = asking

    def send(
        self,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        method: str = "POST",
    ) -> httpx.Response:
        url = f"{self.asking.emulator.url}{path}"
        content = None if body is None else json.dumps(body)
        return self.asking.client.request(method, url, content=content, headers=headers or {})

    def invoke(self, body: Any, name: str = "my-voyage-4", **headers: str) -> httpx.Response:
        return self.send(f"/endpoints/{name}/invocations", body, signed() | headers)


@pytest.fixture
def service(emulate: Callable[..., Asking]) -> Callable[..., Service]:
    return lambda dialect, **options: Service(emulate(dialect=dialect, **options))


def vectors_of(body: dict[str, Any]) -> np.ndarray:
    return np.array([item["embedding"] for item in body["data"]], np.float64)


@pytest.fixture(scope="module")
def expected() -> dict[str | None, np.ndarray]:
    """Vectors of the Voyage API by input type."""
    with Emulator() as url:
        import httpx

        found = {}
        for kind in (None, "query", "document"):
            body = {"input": TEXTS, "model": "voyage-4", "input_type": kind}
            answer = httpx.post(
                f"{url}/embeddings",
                json=body,
                headers={"authorization": "Bearer x"},
                trust_env=False,
            )
            found[kind] = vectors_of(answer.json())
        return found


def test_sagemaker_embeds_with_the_model_of_the_endpoint(service, expected) -> None:
    """Numbers are strings, base64 is what it is elsewhere; headers are those of AWS."""
    sagemaker = service("sagemaker")
    answer = sagemaker.invoke({"input": TEXTS, "input_type": "query"})
    assert answer.status_code == 200
    assert all(isinstance(x, str) for x in answer.json()["data"][0]["embedding"])
    assert vectors_of(answer.json()) == pytest.approx(expected["query"])
    assert answer.headers["x-amzn-requestid"]
    assert "via" not in answer.headers
    coded = sagemaker.invoke({"input": TEXTS, "input_type": "query", "encoding_format": "base64"})
    raw = base64.b64decode(coded.json()["data"][0]["embedding"])
    assert np.frombuffer(raw, "<f4") == pytest.approx(expected["query"][0], abs=1e-8)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("voyage-context-4-2026", {"inputs": [["one", "two"]]}),
        ("team-rerank-2-5-lite", {"query": "file", "documents": TEXTS}),
        ("voyage-multimodal-3-5", {"inputs": [{"content": [{"type": "text", "text": "x"}]}]}),
        ("voyage-3-5-lite-a", {"input": "x", "output_dimension": 256}),
    ],
)
def test_sagemaker_serves_every_kind_of_model(service, name: str, body: dict[str, Any]) -> None:
    """By the longest name of a model in the endpoint's name."""
    answer = service("sagemaker").invoke(body, name)
    assert answer.status_code == 200, answer.text
    assert answer.json()["model"].replace(".", "-") in name


def test_sagemaker_can_be_given_its_model(service) -> None:
    """For endpoints of any name."""
    sagemaker = service("sagemaker", served_model="rerank-3")
    answer = sagemaker.invoke({"query": "x", "documents": ["a", "b"]}, "production")
    assert answer.json()["model"] == "rerank-3"


@pytest.mark.parametrize(
    ("headers", "status", "name"),
    [
        ({}, 403, "MissingAuthenticationTokenException"),
        ({"authorization": "Bearer pa-x"}, 403, "IncompleteSignatureException"),
        (signed(service="s3"), 403, "InvalidSignatureException"),
        (signed() | {"x-amz-date": "20200101T000000Z"}, 403, "InvalidSignatureException"),
        (signed(headers="host"), 403, "InvalidSignatureException"),
        (signed("AKIAINVALID"), 403, "UnrecognizedClientException"),
        (signed("AKIADENIED"), 403, "AccessDeniedException"),
        (signed() | {"x-amz-security-token": "expired"}, 403, "ExpiredTokenException"),
    ],
)
def test_sagemaker_checks_the_signature_first(
    service, headers: dict[str, str], status: int, name: str
) -> None:
    """Even of a bad body; the error's name is in a header."""
    answer = service("sagemaker").send("/endpoints/voyage-4/invocations", [], headers)
    assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (status, name)
    assert answer.json()["message"]


def test_errors_of_sagemaker(service) -> None:
    """Its own by name; those of the model with their status and body."""
    sagemaker = service("sagemaker", requests_per_minute=1)
    unknown = sagemaker.invoke({"input": "x"}, "nothing")
    assert (unknown.status_code, unknown.headers["x-amzn-errortype"]) == (400, "ValidationError")
    assert "Endpoint nothing of account" in unknown.json()["message"]
    for body, status, words in (
        ({"input": "x", "model": "voyage-4"}, 400, "'model' is not supported"),
        ({"input": ["x"] * 1001}, 400, "batch size limit is 1000"),
        ({"input": "x" * (6 * 2**20)}, 413, "Too Large"),
    ):
        failed = sagemaker.invoke(body)
        assert (failed.status_code, failed.headers["x-amzn-errortype"]) == (424, "ModelError")
        assert failed.json()["OriginalStatusCode"] == status
        assert words in json.loads(failed.json()["OriginalMessage"])["detail"]
    assert sagemaker.invoke({"input": "x"}).status_code == 200
    throttled = sagemaker.invoke({"input": "x"})
    assert throttled.headers["x-amzn-errortype"] == "ThrottlingException"
    assert (throttled.status_code, throttled.json()) == (400, {"message": "Rate exceeded"})


def test_any_error_of_aws_can_be_a_fault(service) -> None:
    """By its name."""
    sagemaker = service("sagemaker", faults=[aws_fault("ServiceUnavailable", "Busy", 503)])
    failed = sagemaker.invoke({"input": "x"})
    assert (failed.status_code, failed.headers["x-amzn-errortype"]) == (503, "ServiceUnavailable")


def test_secrets_of_every_service_are_left_out_of_the_record(service) -> None:
    """Signatures and session tokens, and the key of Azure."""
    sagemaker = service("sagemaker")
    sagemaker.invoke({"input": "x"}, **{"x-amz-security-token": "secret", "api-key": "secret"})
    (request,) = sagemaker.asking.emulator.requests
    assert "secret" not in repr(request)
    assert "AKIAEMULATED" not in repr(request)


@pytest.mark.parametrize("headers", [{"api-key": "x"}, {"authorization": "Bearer x"}])
@pytest.mark.parametrize("model", ["voyage-4", "voyage-4-embedding-model"])
def test_azure_foundry(service, expected, headers: dict[str, str], model: str) -> None:
    """Either header, and the name of the model's card; no `/v1`."""
    body = {"input": TEXTS, "model": model, "input_type": "document"}
    answer = service("azure-foundry").send("/embeddings", body, headers)
    assert vectors_of(answer.json()) == pytest.approx(expected["document"])


def test_errors_of_azure_foundry(service) -> None:
    """Of the key first; those of the model with status 424 and their own in a header."""
    foundry = service("azure-foundry")
    assert foundry.send("/embeddings", []).status_code == 401
    assert foundry.send("/v1/embeddings", [], {"api-key": "x"}).status_code == 404
    failed = foundry.send("/embeddings", {"input": [], "model": "voyage-4"}, {"api-key": "x"})
    assert failed.status_code == 424
    assert failed.headers["ms-azureml-model-error-statuscode"] == "400"
    assert "empty lists" in failed.json()["detail"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_azure_application(service, expected, method: str) -> None:
    """One model, without key, without `/v1`, by GET or POST; it says what it is."""
    application = service("azure-application")
    answer = application.send("/embeddings", {"input": TEXTS}, method=method)
    assert vectors_of(answer.json()) == pytest.approx(expected[None])
    info = application.send("/info", method="GET").json()
    assert (info["model"], info["model_loaded"], info["loading_status"]) == (
        "voyage-4",
        True,
        "loaded",
    )
    refused = application.send("/embeddings", {"input": "x", "model": "voyage-4"})
    assert (refused.status_code, "'model'" in refused.json()["detail"]) == (400, True)
    other = service("azure-application", served_model="rerank-3")
    assert other.send("/embeddings", {"input": "x"}).status_code == 404
    assert other.send("/rerank", {"query": "x", "documents": ["x"]}).status_code == 200


def test_openai_turns_prompts_into_input_types(service, expected) -> None:
    """Vectors of 2,048 dimensions, of which the first are those of the Voyage API."""
    openai = service("openai")
    prompts = {
        None: "",
        "query": "Represent the query for retrieving supporting documents: ",
        "document": "Represent the document for retrieval: ",
    }
    for kind, prompt in prompts.items():
        body = {"input": [prompt + text for text in TEXTS], "model": "voyageai/voyage-4-nano"}
        answer = openai.send("/embeddings", body).json()
        assert list(answer) == ["object", "data", "model", "usage"]
        assert list(answer["data"][0]) == ["object", "embedding", "index"]
        assert answer["model"] == body["model"]
        assert answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"] > 0
        whole = vectors_of(answer)
        assert whole.shape == (2, 2048)
        short = whole[:, :1024] / np.linalg.norm(whole[:, :1024], axis=1, keepdims=True)
        assert short == pytest.approx(expected[kind], abs=1e-6)


def test_openai_formats(service) -> None:
    """`float` is accepted, `base64` is float32; the model is listed."""
    openai = service("openai")
    body = {"input": "x", "model": "voyage-4"}
    plain = openai.send("/embeddings", body | {"encoding_format": "float"}).json()
    coded = openai.send("/embeddings", body | {"encoding_format": "base64"}).json()
    raw = np.frombuffer(base64.b64decode(coded["data"][0]["embedding"]), "<f4")
    assert raw == pytest.approx(plain["data"][0]["embedding"], abs=1e-8)
    listed = openai.send("/models", method="GET").json()
    assert [model["id"] for model in listed["data"]] == ["voyage-4-nano"]


@pytest.mark.parametrize(
    ("body", "status", "code", "words"),
    [
        ({"input": "x", "model": "gpt-9"}, 404, "model_not_found", "`gpt-9` does not exist"),
        ({"input": "x", "model": "voyage-4", "input_type": "query"}, 400, None, "'input_type'"),
        ({"input": [1, 2], "model": "voyage-4"}, 400, None, "'input'"),
        ({"input": "word " * 33_000, "model": "voyage-4"}, 400, None, "context window"),
    ],
)
def test_errors_of_openai(service, body: Any, status: int, code: str | None, words: str) -> None:
    """In its own shape."""
    answer = service("openai").send("/embeddings", body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"]) == (
        status,
        code,
        "invalid_request_error",
    )
    assert words in error["message"]


def test_openai_may_need_a_key(service) -> None:
    """If the server was started with one."""
    openai = service("openai", keys={"sk-right"})
    body = {"input": "x", "model": "voyage-4"}
    wrong = openai.send("/embeddings", body, {"authorization": "Bearer sk-wrong"})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "invalid_api_key")
    assert openai.send("/embeddings", body, {"authorization": "Bearer sk-right"}).status_code == 200


def test_what_is_not_there_is_refused_before_it_starts() -> None:
    """A dialect, or a model."""
    with pytest.raises(ValueError, match="dialect must be one of voyage, sagemaker"):
        Emulator(dialect="cohere").start()
    with pytest.raises(ValueError, match=r"served_model must be one of .*, not 'voyage-9'"):
        Emulator(dialect="sagemaker", served_model="voyage-9").start()


def test_the_command_line_has_every_dialect() -> None:
    """By the same names."""
    assert get_args(Dialect) == get_args(DialectName)
