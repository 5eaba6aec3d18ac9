"""The doctor, for each kind of host: credentials, reachability, what is served, what is wrong."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from doctor.hosts import answer, host
from voyage_rag.doctor import Finding, examine
from voyage_rag.errors import ConfigurationError
from voyage_rag.hosts import (
    AzureApplication,
    AzureFoundry,
    Gateway,
    InProcessHost,
    Local,
    OpenAICompatible,
    SageMaker,
)
from voyage_rag.hosts.messages import Request, Response
from voyage_rag.hosts.specification import parse_host
from voyage_rag.secret import as_key

KEY = "a-key-of-some-other-host-wxyz"


def findings(given: Any) -> dict[str, Finding]:
    found = {finding.name: finding for finding in examine(host=given)}
    assert all(finding.remedy for finding in found.values() if finding.state == "broken")
    assert KEY not in repr(found)
    return found


def broken(found: dict[str, Finding]) -> list[str]:
    return [name for name, finding in found.items() if finding.state == "broken"]


def served(status: int, document: Any) -> bytes:
    return answer(status, json.dumps(document).encode(), time.time())


def test_a_server_says_which_models_it_has() -> None:
    """No key is needed."""
    with host(served(200, {"data": [{"id": "voyage-4-nano"}]})) as url:
        found = findings(OpenAICompatible(url))
    assert broken(found) == []
    assert (found["key"].said, found["http"].said) == ("none needed", "serves voyage-4-nano")


def test_a_server_without_a_list_is_noted() -> None:
    """Not every server has one."""
    with host(served(404, {"error": "no"})) as url:
        found = findings(Gateway("litellm", KEY, base_url=url))
    assert (broken(found), found["http"].state) == ([], "note")
    assert found["key"].said == "a key that ends in ...wxyz"


def test_a_deployment_refuses_the_key_or_an_empty_request() -> None:
    """The second means that it works."""
    with host(served(401, {"detail": "no such key"})) as url:
        assert broken(findings(AzureFoundry(url, KEY))) == ["accepted"]
    with host(served(400, {"detail": "Missing arguments"})) as url:
        assert broken(findings(AzureFoundry(url, KEY))) == []
    with host(served(424, {"detail": "the model failed"})) as url:
        assert broken(findings(AzureFoundry(url, KEY))) == ["http"]


def test_the_application_says_what_it_serves() -> None:
    """And whether it is loaded."""
    info = {"model": "voyage-4", "model_loaded": False, "loading_status": "reading weights"}
    with host(served(200, info)) as url:
        found = findings(AzureApplication(url.removesuffix("/v1")))
    assert found["http"].said == "serves voyage-4, not loaded (reading weights)"


def test_an_endpoint_of_sagemaker(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Where credentials were found, and that the endpoint is there."""
    pytest.importorskip("botocore")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    assert broken(
        findings(SageMaker("mine", region="us-east-1", endpoint_url="http://localhost:9"))
    ) == [
        "key",
        "connect",
    ]

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    refusal = {"OriginalStatusCode": 400, "OriginalMessage": '{"detail":"Missing arguments"}'}
    with host(served(424, refusal)) as url:
        found = findings(SageMaker("mine", region="us-east-1", endpoint_url=url))
    assert broken(found) == []
    assert "'env'" in found["key"].said
    missing = {"__type": "ValidationError", "Message": "Endpoint mine of account 1 not found."}
    with host(served(400, missing)) as url:
        found = findings(SageMaker("mine", region="us-east-1", endpoint_url=url))
    assert broken(found) == ["http"]
    assert "us-east-1" in (found["http"].remedy or "")


class Computed(InProcessHost):
    """A host in this process that gives one vector."""

    model = "computed"

    def respond(self, request: Request) -> Response:
        data = [{"index": 0, "embedding": [1.0, 2.0]}]
        return Response(200, {}, json.dumps({"data": data, "usage": {}}).encode())


def test_a_model_in_this_process() -> None:
    """It is loaded and asked; nothing is connected to."""
    found = findings(Computed("http://localhost"))
    assert broken(found) == []
    assert "computed returned 2 numbers" in found["model"].said
    assert "dns" not in found


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("openai:http://localhost:1/v1", OpenAICompatible),
        ("azure-foundry:https://h.example", AzureFoundry),
        ("azure-application:https://h.example", AzureApplication),
        ("openrouter", Gateway),
        ("litellm:https://h.example", Gateway),
    ],
)
def test_a_text_names_a_host(text: str, kind: type) -> None:
    """As `--host` does."""
    assert type(parse_host(text, as_key(KEY), allow_insecure_http=False)) is kind


def test_a_text_that_names_none_is_refused(tmp_path: Any) -> None:
    """With the kinds there are."""
    assert type(parse_host(f"local:{tmp_path}", allow_insecure_http=False)) is Local
    with pytest.raises(ConfigurationError, match="sagemaker:"):
        parse_host("nowhere", allow_insecure_http=False)
    with pytest.raises(ConfigurationError, match="api_key is empty"):
        parse_host("azure-foundry:https://h.example", allow_insecure_http=False)
