"""SageMaker: signatures as botocore computes them, AWS's errors, numbers as strings."""

from __future__ import annotations

import json
import pickle
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fakes import FakeClock, HTTPService, ok, served
from pages import ROOT, blocks
from voyage_rag import (
    AuthenticationError,
    ConfigurationError,
    InvalidInputError,
    InvalidRequestError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    ServiceUnavailableError,
    Voyage,
    VoyageError,
)
from voyage_rag.hosts import SageMaker
from voyage_rag.hosts.messages import Response

botocore = pytest.importorskip("botocore")
REGION, ENDPOINT, MODEL = "eu-west-1", "voyage-endpoint", "voyage-of-tests"
ACCESS, SECRET, TOKEN = "AKIAEXAMPLE", "a-secret-access-key", "a-session-token-of-some-length"


@pytest.fixture(autouse=True)
def _aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Credentials in the environment, and nothing of this machine's."""
    for name, value in (
        ("AWS_ACCESS_KEY_ID", ACCESS),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_SESSION_TOKEN", TOKEN),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_CONFIG_FILE", str(tmp_path / "config")),
        ("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials")),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)


def host_at(service: HTTPService, endpoint: Any = ENDPOINT, **options: Any) -> SageMaker:
    return SageMaker(endpoint, endpoint_url=service.url.removesuffix("/v1"), **options)


def error(status: int, name: str, **document: Any) -> Response:
    """As AWS responds."""
    return Response(
        status, {"x-amzn-errortype": f"{name}:http://x/"}, json.dumps(document).encode()
    )


def test_every_signature_is_what_botocore_computes(http_service: HTTPService, runner: Any) -> None:
    """Of the very body, address, date and token that arrived; and the body names no model."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    runner.call(Voyage(host=host_at(http_service)), "embed", ["a", "é"], MODEL, "query")

    sent = http_service.received[0]
    assert sent.path == f"/endpoints/{ENDPOINT}/invocations"
    assert json.loads(sent.body) == {
        "input": ["a", "é"],
        "input_type": "query",
        "truncation": True,
        "encoding_format": "base64",
    }
    names = sent.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0]
    headers = {name: sent.headers[name] for name in names.split(";")}
    url = http_service.url.removesuffix("/v1") + sent.path
    again = AWSRequest("POST", url, headers, sent.body)
    again.context["timestamp"] = sent.headers["x-amz-date"]
    signer = SigV4Auth(Credentials(ACCESS, SECRET, TOKEN), "sagemaker", REGION)
    signature = signer.signature(
        signer.string_to_sign(again, signer.canonical_request(again)), again
    )
    assert sent.headers["authorization"].endswith(f"Signature={signature}")
    assert set(names.split(";")) >= {"content-type", "host", "x-amz-date", "x-amz-security-token"}


def test_numbers_that_are_strings_are_read(http_service: HTTPService) -> None:
    """As old packages write them, in vectors, scores and usage."""
    vectors = {
        "data": [{"index": "0", "embedding": ["0.5", "-1e-3"]}],
        "usage": {"total_tokens": "4"},
    }
    scores = {"data": [{"index": 1, "relevance_score": "0.75", "document": None},
                       {"index": "0", "relevance_score": "0.5"}]}  # fmt: skip
    http_service.script = [lambda body: ok(vectors), lambda body: ok(scores)]
    voyage = Voyage(host=host_at(http_service))

    found = voyage.embed(["a"], MODEL)
    assert found.embeddings == [[0.5, pytest.approx(-0.001)]]
    assert found.total_tokens == 4
    ranked = voyage.rerank("q", ["a", "b"], "rerank-of-tests")
    assert [(r.index, r.relevance_score) for r in ranked.results] == [(1, 0.75), (0, 0.5)]


def test_models_have_their_endpoints(http_service: HTTPService) -> None:
    """By a mapping; a model without one is refused before anything is sent."""
    host = host_at(http_service, {MODEL: "one", "rerank-of-tests": "two"})
    voyage = Voyage(host=host)
    voyage.embed(["a"], MODEL)
    voyage.rerank("q", ["a"], "rerank-of-tests")

    assert [r.path.split("/")[2] for r in http_service.received] == ["one", "two"]
    for call in (("embed", ["a"], "voyage-4"), ("rerank", "q", ["a"], "rerank-3")):
        with pytest.raises(InvalidInputError, match="no endpoint serves"):
            getattr(voyage, call[0])(*call[1:])
    assert len(http_service.received) == 2


ERRORS = [
    (error(400, "ThrottlingException", message="Rate exceeded"), RateLimitError, "Rate exceeded"),
    (error(429, "ModelNotReadyException", Message="starting"), ServiceUnavailableError, "starting"),
    (error(503, "ServiceUnavailable", Message="x"), ServiceUnavailableError, "x"),
    (error(500, "InternalFailure", Message="x"), ServerError, "x"),
    (error(530, "InternalDependencyException", Message="x"), ServerError, "x"),
    (error(403, "AccessDeniedException", Message="no"), PermissionDeniedError, "InvokeEndpoint"),
    (error(403, "ExpiredTokenException", message="old"), AuthenticationError, "renew"),
    (error(403, "UnrecognizedClientException", message="x"), AuthenticationError, "credentials"),
    (error(403, "InvalidSignatureException", message="x"), AuthenticationError, "clock"),
    (
        error(400, "ValidationError", Message=f"Endpoint {ENDPOINT} of account 1 not found."),
        InvalidRequestError,
        f"region is {REGION}",
    ),
    (
        error(
            424,
            "ModelError",
            OriginalStatusCode=400,
            OriginalMessage='{"detail":"The example at index 0 in your batch is bad"}',
            Message="Received client error (400) from primary",
        ),
        InvalidRequestError,
        "example at index 0",
    ),
    (
        error(424, "ModelError", OriginalStatusCode=429, OriginalMessage='{"detail":"slow down"}'),
        RateLimitError,
        "slow down",
    ),
    (error(424, "ModelError", OriginalStatusCode=500, OriginalMessage=""), ServerError, "500"),
]


@pytest.mark.parametrize(
    ("response", "kind", "message"), ERRORS, ids=[e[0].headers["x-amzn-errortype"] for e in ERRORS]
)
def test_errors_of_aws_are_ours(
    response: Response, kind: type[VoyageError], message: str, http_service: HTTPService
) -> None:
    """Each by its name; an error of the model by its original status."""
    http_service.always = lambda body: response
    with pytest.raises(VoyageError) as caught:
        Voyage(host=host_at(http_service), max_retries=0).embed(["a"], MODEL)

    assert type(caught.value) is kind
    assert message in caught.value.message


def test_throttling_is_retried_and_paced(http_service: HTTPService, clock: FakeClock) -> None:
    """As a rate limit is, though AWS sends it with status 400."""
    http_service.script = [lambda body: error(400, "ThrottlingException", message="Rate exceeded")]
    assert len(Voyage(host=host_at(http_service), clock=clock).embed(["a"], MODEL).embeddings) == 1
    assert len(http_service.received) == 2
    assert sum(clock.sleeps) > 0.1


def test_too_large_a_body_is_split(http_service: HTTPService) -> None:
    """It is planned for, and what AWS still refuses is halved."""
    texts = [f"{number}" + "x" * 2_000_000 for number in range(4)]
    refused: list[int] = []

    def limited(body: bytes) -> Response:
        if len(json.loads(body)["input"]) > 1 and not refused:
            refused.append(len(body))
            return Response(413, {}, b"Request Entity Too Large")
        return served(body)

    http_service.always = limited
    found = Voyage(host=host_at(http_service)).embed(texts, MODEL, batch_size=4)
    assert len(found.embeddings) == 4
    assert max(len(r.body) for r in http_service.received) <= SageMaker.request_bytes


def test_secrets_that_aws_repeats_are_hidden(http_service: HTTPService) -> None:
    """A wrong signature is explained with the token."""
    http_service.always = lambda body: error(
        403, "InvalidSignatureException", message=f"x-amz-security-token:{TOKEN} {SECRET}"
    )
    with pytest.raises(AuthenticationError) as caught:
        Voyage(host=host_at(http_service)).embed(["a"], MODEL)

    assert TOKEN not in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        ("a/b", "not an endpoint name"),
        ("", "not an endpoint name"),
        ("a b", "not an endpoint name"),
        ("x" * 64, "not an endpoint name"),
        ({"voyage-4": "a/b"}, "not an endpoint name"),
        ("arn:aws:sagemaker:eu-west-1:1:endpoint/mine", "'mine'"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused(endpoint: Any, message: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigurationError, match=message):
        SageMaker(endpoint)


def test_missing_credentials_and_region_are_named(
    http_service: HTTPService, monkeypatch: pytest.MonkeyPatch, runner: Any
) -> None:
    """Before anything is sent."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(ConfigurationError, match="no AWS credentials"):
        runner.call(Voyage(host=host_at(http_service)), "embed", ["a"], MODEL)
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(ConfigurationError, match="AWS_DEFAULT_REGION"):
        SageMaker(ENDPOINT)
    with pytest.raises(ConfigurationError, match="not an AWS region"):
        SageMaker(ENDPOINT, region="eu-west-1.evil.example/")
    assert http_service.received == []


def test_addresses_follow_the_region() -> None:
    """China has a domain of its own."""
    assert SageMaker(ENDPOINT, region="us-east-1").hostname == (
        "runtime.sagemaker.us-east-1.amazonaws.com"
    )
    assert SageMaker(ENDPOINT, region="cn-north-1").hostname.endswith(".amazonaws.com.cn")


def test_botocore_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the line to run."""
    monkeypatch.setitem(sys.modules, "botocore", None)
    with pytest.raises(ConfigurationError, match=r"voyage-rag\[aws\]"):
        SageMaker(ENDPOINT)


def test_credentials_are_refreshed_off_the_event_loop(
    http_service: HTTPService, runner: Any
) -> None:
    """When they are about to expire, in a thread of their own if there is an event loop."""
    import threading

    from botocore.credentials import RefreshableCredentials

    threads: list[threading.Thread] = []
    now = datetime.now(UTC)

    def fetch() -> dict[str, str]:
        threads.append(threading.current_thread())
        expiry = (now + timedelta(hours=1)).isoformat()
        return {"access_key": "new", "secret_key": "s", "token": "t", "expiry_time": expiry}

    class Session:
        region_name = REGION

        def get_credentials(self) -> Any:
            return RefreshableCredentials(
                "old", "s", "t", now + timedelta(minutes=5), fetch, "test"
            )

    host = host_at(http_service, session=Session())
    voyage = Voyage(host=host)
    for _ in range(2):
        runner.call(voyage, "embed", ["a"], MODEL)

    assert len(threads) == 1
    assert (threads[0] is threading.main_thread()) is runner.is_sync
    assert all("Credential=new/" in r.headers["authorization"] for r in http_service.received)
    with pytest.raises(TypeError, match="session"):
        pickle.dumps(voyage)


def test_a_pickle_holds_no_credentials(http_service: HTTPService) -> None:
    """Worker processes find their own."""
    voyage = Voyage(host=host_at(http_service))
    voyage.embed(["a"], MODEL)
    pickled = pickle.dumps(voyage)

    assert SECRET.encode() not in pickled
    assert ACCESS.encode() not in pickled
    assert len(pickle.loads(pickled).embed(["a"], MODEL).embeddings) == 1


def test_the_example_of_the_guide_runs() -> None:
    """Other tests of the guides have no botocore."""
    (example,) = (
        block.code
        for block in blocks(ROOT / "docs" / "hosts.md", "python")
        if "import SageMaker" in block.code
    )
    exec(compile(example, "hosts.md", "exec"), {"Voyage": Voyage})
