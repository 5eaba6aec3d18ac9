"""Servers that others wrote: moto's SageMaker, and infinity with a tiny random model.

infinity is started where `VOYAGE_RAG_INFINITY` names its program, as `make local` does.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes import base64_of
from voyage_rag import Voyage
from voyage_rag.hosts import OpenAICompatible, SageMaker

pytestmark = pytest.mark.filterwarnings("default")

INFINITY = os.environ.get("VOYAGE_RAG_INFINITY")
PORT = 7_997
STARTED_WITHIN_SECONDS = 180


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """The address of moto's server."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    _, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}"
    server.stop()


def test_moto_serves_an_endpoint(moto: str, runner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It responds with what it was given, once for each body."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    vectors = [
        {"index": 0, "embedding": ["0.5", "1"]},
        {"index": 1, "embedding": base64_of([2, 3])},
    ]
    body = json.dumps({"data": vectors, "usage": {"total_tokens": 3}})
    result = {"Body": body, "ContentType": "application/json", "InvokedProductionVariant": "v"}
    urllib.request.urlopen(
        urllib.request.Request(
            f"{moto}/moto-api/static/sagemaker/endpoint-results",
            json.dumps({"region": "us-east-1", "results": [result]}).encode(),
            {"content-type": "application/json"},
        )
    ).close()
    host = SageMaker("an-endpoint", region="us-east-1", endpoint_url=moto)

    found = runner.call(Voyage(host=host), "embed", ["a", "b"], "voyage-of-tests")
    assert found.embeddings == [[0.5, 1.0], [2.0, 3.0]]


@pytest.fixture(scope="module")
def infinity(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of infinity, which serves a random model as `tiny`."""
    if not INFINITY:
        pytest.skip("VOYAGE_RAG_INFINITY names no program")
    folder = tiny_bert(tmp_path_factory.mktemp("models") / "tiny")
    command = [INFINITY, "v2", "--model-id", str(folder), "--served-model-name", "tiny",
               "--port", str(PORT), "--host", "127.0.0.1", "--url-prefix", "/v1",
               "--device", "cpu", "--no-bettertransformer"]  # fmt: skip
    environment = {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "PATH": os.environ["PATH"]}
    output = (folder / "output").open("wb")
    server = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    url = f"http://127.0.0.1:{PORT}/v1"
    try:
        wait_for(f"{url}/models", server)
        yield url
    finally:
        server.terminate()
        server.wait(30)
        output.close()


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    """Until the server responds: it imports torch first."""
    end = time.monotonic() + STARTED_WITHIN_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(url).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
        else:
            return
    raise AssertionError("infinity has not started")


def tiny_bert(folder: Path) -> Path:
    """A random BERT of a few bytes, in the format of sentence-transformers."""
    pytest.importorskip("torch")
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["<pad>", "<eos>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", model_max_length=256
    ).save_pretrained(folder)
    settings_path = folder / "tokenizer_config.json"
    settings = json.loads(settings_path.read_text())
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"  # as older transformers call it
    settings_path.write_text(json.dumps(settings))
    torch.manual_seed(3)
    BertModel(
        BertConfig(vocab_size=len(vocabulary), hidden_size=64, num_hidden_layers=1,
                   num_attention_heads=2, intermediate_size=64, max_position_embeddings=256)
    ).save_pretrained(folder)  # fmt: skip
    (folder / "1_Pooling").mkdir()
    for name, document in {
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling",
             "type": "sentence_transformers.models.Pooling"},
        ],
        "1_Pooling/config.json": {"word_embedding_dimension": 64, "pooling_mode_mean_tokens": True},
        "sentence_bert_config.json": {"max_seq_length": 256, "do_lower_case": False},
    }.items():  # fmt: skip
        (folder / name).write_text(json.dumps(document))
    return folder


@pytest.mark.timeout(STARTED_WITHIN_SECONDS + 60)
def test_infinity_gives_what_the_openai_package_gets(infinity: str, runner: Any) -> None:
    """Whole vectors, shortened ones, signs; more texts than go into one request."""
    import numpy as np
    import openai

    texts = [f"text {number} é" for number in range(100)]
    with openai.OpenAI(base_url=infinity, api_key="none") as client:
        items = client.embeddings.create(model="tiny", input=texts).data
    expected = np.array([item.embedding for item in items], "f")
    voyage = Voyage(host=OpenAICompatible(infinity, prompts={}))

    assert (runner.call(voyage, "embed", texts, "tiny").to_numpy() == expected).all()
    short = runner.call(voyage, "embed", texts, "tiny", output_dimension=16).to_numpy()
    lengths = np.linalg.norm(expected[:, :16], axis=1, keepdims=True)
    assert abs(short - expected[:, :16] / lengths).max() < 1e-6
    signs = runner.call(voyage, "embed", texts, "tiny", output_dtype="ubinary").to_numpy()
    assert (signs == np.packbits(expected > 0, axis=1)).all()
