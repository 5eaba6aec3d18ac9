"""Each host's class against the emulator's dialect of it, beside the clients that others wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from voyage_rag import Voyage, langchain
from voyage_rag.emulator import Emulator
from voyage_rag.errors import AuthenticationError, InvalidRequestError
from voyage_rag.hosts import AzureApplication, AzureFoundry, Host, OpenAICompatible, SageMaker

MODEL = "voyage-4-lite"
TEXTS = ["a sunny day at the beach", "rain in the city", "é"]
KEY = "a-key-of-an-azure-endpoint"

HOSTS: dict[str, Callable[[str], Host]] = {
    "azure-foundry": lambda url: AzureFoundry(url, KEY),
    "azure-application": AzureApplication,
    "openai": OpenAICompatible,
    "sagemaker": lambda url: SageMaker(f"my-{MODEL}", region="us-east-1", endpoint_url=url),
}


@pytest.fixture(autouse=True)
def _aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))


@pytest.fixture
def expected() -> list[list[float]]:
    """What the Voyage API gives."""
    with Emulator() as url:
        return Voyage("pa-emulated", base_url=url).embed(TEXTS, MODEL, "document").embeddings


@pytest.mark.parametrize("dialect", HOSTS)
def test_a_host_gives_the_vectors_of_the_voyage_api(
    dialect: str, expected: list[list[float]], runner: Any
) -> None:
    """With prompts, added by either side; through a framework, too."""
    if dialect == "sagemaker":
        pytest.importorskip("botocore")
    with Emulator(dialect=dialect, served_model=MODEL) as url:
        host = HOSTS[dialect](url)
        found = runner.call(Voyage(host=host), "embed", TEXTS, MODEL, "document").embeddings
        framework = langchain.VoyageAIEmbeddings(model=MODEL, host=host)
        through = runner.call(framework, "embed_documents", TEXTS)

    for one, other, third in zip(found, expected, through, strict=True):
        assert one == pytest.approx(other, abs=1e-6)
        assert one == third


def test_boto3_receives_the_same_vectors(expected: list[list[float]]) -> None:
    """AWS's own client, of the emulator's SageMaker."""
    boto3 = pytest.importorskip("boto3")
    with Emulator(dialect="sagemaker") as url:
        client = boto3.client("sagemaker-runtime", region_name="us-east-1", endpoint_url=url)
        response = client.invoke_endpoint(
            EndpointName=f"my-{MODEL}",
            ContentType="application/json",
            Body=json.dumps({"input": TEXTS, "input_type": "document"}),
        )
        document = json.loads(response["Body"].read())
        client.close()
        host = HOSTS["sagemaker"](url)
        ours = Voyage(host=host).embed(TEXTS, MODEL, "document").embeddings

    theirs = [list(map(float, item["embedding"])) for item in document["data"]]
    for one, other, third in zip(theirs, ours, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-6)
        assert one == pytest.approx(third, abs=1e-6)


def test_the_openai_package_receives_the_same_vectors() -> None:
    """The package that people ask such servers with."""
    openai = pytest.importorskip("openai")
    with Emulator(dialect="openai", served_model=MODEL) as url:
        with openai.OpenAI(base_url=url, api_key="none") as client:
            items = client.embeddings.create(model=MODEL, input=TEXTS).data
        ours = Voyage(host=OpenAICompatible(url)).embed(TEXTS, MODEL, output_dimension=2048)

    for item, one in zip(items, ours.embeddings, strict=True):
        assert item.embedding == pytest.approx(one, abs=1e-6)


def test_errors_of_a_deployment_are_those_of_its_model() -> None:
    """Azure sends them with a status of its own and the model's in a header."""
    with Emulator(dialect="azure-foundry", served_model=MODEL) as url:
        voyage = Voyage(host=HOSTS["azure-foundry"](url))
        with pytest.raises(InvalidRequestError) as caught:
            voyage.embed([" ".join(["word"] * 40_000)], MODEL, truncation=False)
    assert caught.value.http_status == 400
    assert "context window" in caught.value.message


def test_unknown_models_and_invalid_keys_are_distinguished(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the host's own errors."""
    pytest.importorskip("botocore")
    with Emulator(dialect="sagemaker") as url:
        unknown = SageMaker("nothing-here", region="us-east-1", endpoint_url=url)
        with pytest.raises(InvalidRequestError, match=r"not found.*us-east-1"):
            Voyage(host=unknown).embed(TEXTS, MODEL)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAINVALID")
        with pytest.raises(AuthenticationError, match="check the AWS credentials"):
            Voyage(host=HOSTS["sagemaker"](url)).embed(TEXTS, MODEL)


def test_documents_are_hosted_and_queries_are_local() -> None:
    """Vectors of the family are in one space, wherever they are computed."""
    with Emulator() as service, Emulator(dialect="openai", served_model="voyage-4-nano") as local:
        embeddings = langchain.VoyageAIEmbeddings(
            model="voyage-4-large",
            api_key="pa-emulated",
            base_url=service,
            query_model="voyage-4-nano",
            query_client=Voyage(host=OpenAICompatible(local)),
        )
        documents = embeddings.embed_documents(TEXTS)
        query = embeddings.embed_query("a beach in the sun")

    scores = [sum(a * b for a, b in zip(query, document, strict=True)) for document in documents]
    assert max(scores) == scores[0]


@pytest.mark.parametrize(
    ("model", "method", "inputs"),
    [
        ("voyage-context-4", "contextualized_embed", [[["one chunk", "another"], ["alone"]]]),
        ("voyage-multimodal-3.5", "multimodal_embed", [[["a text"], ["another text"]]]),
        ("rerank-3", "rerank", ["who repairs the roof?", ["the tenant", "the landlord repairs"]]),
    ],
)
def test_every_kind_of_model_has_the_same_results_at_sagemaker(
    model: str, method: str, inputs: list[Any], runner: Any
) -> None:
    """Chunks in context, images and text, and rankings, as the Voyage API gives them."""
    pytest.importorskip("botocore")
    with Emulator() as url:
        expected = numbers(runner.call(Voyage("pa-emulated", base_url=url), method, *inputs, model))
    with Emulator(dialect="sagemaker", served_model=model) as url:
        host = SageMaker("my-endpoint", region="us-east-1", endpoint_url=url)
        found = numbers(runner.call(Voyage(host=host), method, *inputs, model))

    assert len(found) == len(expected) >= 2
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-6)


def numbers(found: Any) -> list[Any]:
    """The vectors or scores of any result."""
    results = getattr(found, "results", None)
    if results is None:
        return list(found.embeddings)
    if hasattr(results[0], "relevance_score"):
        return [result.relevance_score for result in results]
    return [vector for result in results for vector in result.embeddings]
