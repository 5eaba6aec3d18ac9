"""A model in this process: the real sentence-transformers and a tiny random Qwen3, offline.

The model is saved as voyage-4-nano is: with code of its own, a projection to 2,048 dimensions, mean
pooling and the two prompts. It has about a megabyte.
"""

from __future__ import annotations

import json
import logging
import pickle
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from voyage_rag import (
    ConfigurationError,
    InvalidInputError,
    UnexpectedAnswerError,
    Voyage,
    langchain,
    llama_index,
)
from voyage_rag.hosts import Local

pytestmark = pytest.mark.filterwarnings("default")  # of transformers and what it builds on

NANO = "voyage-4-nano"
TEXTS = ["a sunny day", "rain in the city", "é and a longer text, so that there is some padding"]
CODE = """
from torch import nn
from transformers import Qwen3Config, Qwen3Model


class TinyModel(Qwen3Model):
    config_class = Qwen3Config

    def __init__(self, config):
        super().__init__(config)
        self.projection = nn.Linear(config.hidden_size, 2048, bias=False)
        self.post_init()

    def forward(self, *args, **kwargs):
        output = super().forward(*args, **kwargs)
        output.last_hidden_state = self.projection(output.last_hidden_state)
        return output
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the model, and an environment without the Hub."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hf")))
        patch.setenv("TOKENIZERS_PARALLELISM", "false")
        yield made(tmp_path_factory.mktemp("models") / NANO)


def made(folder: Path) -> Path:
    """Save the tiny model."""
    pytest.importorskip("sentence_transformers")
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen3Config

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["<pad>", "<eos>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", model_max_length=512
    ).save_pretrained(folder)
    torch.manual_seed(7)
    code: dict[str, Any] = {}
    exec(CODE, code)
    config = Qwen3Config(
        vocab_size=len(vocabulary), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=8, max_position_embeddings=512,
    )  # fmt: skip
    code["TinyModel"](config).save_pretrained(folder)
    (folder / "modeling_tiny.py").write_text(CODE)
    settings = json.loads((folder / "config.json").read_text())
    settings["auto_map"] = {"AutoModel": "modeling_tiny.TinyModel"}
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(
            [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
        )
    ]
    for name in ("1_Pooling", "2_Normalize"):
        (folder / name).mkdir()
    for name, document in {
        "config.json": settings,
        "modules.json": modules,
        "sentence_bert_config.json": {"max_seq_length": 512, "do_lower_case": False},
        "config_sentence_transformers.json": {
            "prompts": {name: prompt for name, prompt in PROMPT.items() if prompt}
        },
        "1_Pooling/config.json": {
            "word_embedding_dimension": 2048,
            "pooling_mode_mean_tokens": True,
        },
    }.items():
        (folder / name).write_text(json.dumps(document))
    return folder


@pytest.fixture(scope="module")
def host(folder: Path) -> Local:
    """The model, loaded once for the module."""
    return Local(folder, device="cpu")


@pytest.fixture(scope="module")
def direct(folder: Path) -> Any:
    """sentence-transformers itself."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu", trust_remote_code=True)


PROMPT = {
    "query": "Represent the query for retrieving supporting documents: ",
    "document": "Represent the document for retrieval: ",
    None: None,
}


@pytest.mark.parametrize("input_type", ["query", "document", None])
@pytest.mark.parametrize("dimension", [2048, 1024, 512, 256, None])
def test_vectors_are_those_of_sentence_transformers(
    host: Local, direct: Any, runner: Any, input_type: Any, dimension: int | None
) -> None:
    """With prompts and every dimension. The default is the family's 1,024."""
    found = runner.call(
        Voyage(host=host), "embed", TEXTS, NANO, input_type, output_dimension=dimension
    )
    expected = direct.encode(
        TEXTS, prompt=PROMPT[input_type], truncate_dim=dimension or 1024, normalize_embeddings=True
    )

    assert found.to_numpy().shape == (3, dimension or 1024)
    assert abs(found.to_numpy() - expected).max() < 1e-6
    assert (found.total_tokens, found.usage.dollars) == (0, 0.0)


def test_binary_vectors_hold_the_signs(host: Local, direct: Any) -> None:
    """Packed as numpy packs bits; the other types need the service's calibration."""
    import numpy as np

    voyage = Voyage(host=host)
    signs = np.packbits(direct.encode(TEXTS, truncate_dim=256) > 0, axis=1)
    ubinary = voyage.embed(TEXTS, NANO, output_dimension=256, output_dtype="ubinary").to_numpy()
    binary = voyage.embed(TEXTS, NANO, output_dimension=256, output_dtype="binary").to_numpy()

    assert (ubinary == signs).all()
    assert (binary == signs.astype(np.int16) - 128).all()
    for dtype in ("int8", "uint8"):
        with pytest.raises(InvalidInputError, match=dtype):
            voyage.embed(TEXTS, NANO, output_dtype=dtype)


def test_both_frameworks_use_it(host: Local) -> None:
    """One model for all of them."""
    one = langchain.VoyageAIEmbeddings(model=NANO, host=host)
    other = llama_index.VoyageEmbedding(NANO, host=host)

    assert one.embed_documents(TEXTS) == other.get_text_embedding_batch(TEXTS)
    assert one.embed_query("q") == other.get_query_embedding("q")


def test_it_is_loaded_once_for_all_threads(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And says so, since it may take a while."""
    host = Local(folder, device="cpu")
    with caplog.at_level(logging.INFO, "voyage_rag"):
        threads = [threading.Thread(target=Voyage(host=host).embed, args=(TEXTS, NANO))
                   for _ in range(4)]  # fmt: skip
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    messages = [record.getMessage() for record in caplog.records]
    assert [m.split()[0] for m in messages if str(folder) in m] == ["loading", "loaded"]


def test_the_event_loop_is_not_blocked(host: Local) -> None:
    """A thread computes."""
    import anyio

    seen: list[threading.Thread] = []
    encode = host.load().encode
    host.load().encode = lambda *a, **k: seen.append(threading.current_thread()) or encode(*a, **k)
    try:
        anyio.run(Voyage(host=host).aembed, TEXTS, NANO)
    finally:
        del host.load().encode
    assert seen
    assert threading.main_thread() not in seen


def test_a_pickle_holds_no_model(host: Local) -> None:
    """A worker process loads its own."""
    voyage = Voyage(host=host)
    voyage.embed(TEXTS, NANO)
    pickled = pickle.dumps(voyage)

    assert len(pickled) < 5_000
    assert pickle.loads(pickled).settings.host == host


def test_what_it_does_not_serve_is_refused_before_it_is_loaded(folder: Path) -> None:
    """Another model, another endpoint, a dimension that it lacks."""
    host = Local(folder)
    voyage = Voyage(host=host)
    for call, message in (
        (lambda: voyage.embed(["a"], "voyage-4-large"), "pass model='voyage-4-nano'"),
        (lambda: voyage.embed(["a"], NANO, output_dimension=128), "128"),
        (lambda: voyage.rerank("q", ["a"], "rerank-3"), "use the Voyage API for /rerank"),
        (lambda: voyage.embed(["a"], NANO, truncation=False), "truncation"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            call()
    assert host._loaded is None


@pytest.mark.parametrize(
    "source", ["./nowhere", "~/nowhere", "/no/where", Path("nowhere"), "", "a/b/c"]
)
def test_a_missing_folder_is_refused(source: Any) -> None:
    """When the host is made."""
    with pytest.raises(ConfigurationError, match=r"folder"):
        Local(source)


def test_a_model_that_is_not_there_is_named(folder: Path) -> None:
    """A name of the Hub, offline."""
    with pytest.raises(ConfigurationError, match="HF_HUB_OFFLINE"):
        Voyage(host=Local("voyageai/not-downloaded")).embed(["a"], "not-downloaded")


def test_the_package_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The message has the line to run, and making the host imports nothing."""
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ConfigurationError, match=r"voyage-rag\[local\]"):
        Voyage(host=Local(tmp_path, model="m")).embed(["a"], "m")


class BrokenModel:
    """A model whose numbers overflow, as with float16 on some processors."""

    def get_embedding_dimension(self) -> int:
        """Eight."""
        return 8

    def encode(self, texts: list[str], **options: Any) -> Any:
        """Vectors of NaN."""
        numpy = pytest.importorskip("numpy")
        return numpy.full((len(texts), 8), numpy.nan)


@pytest.mark.parametrize("dtype", ["float", "binary", "ubinary"])
def test_a_model_that_overflows_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dtype: Any
) -> None:
    """The sign of NaN is not a bit of a vector."""
    monkeypatch.setattr(Local, "load", lambda host: BrokenModel())
    voyage = Voyage(host=Local(tmp_path, model="m"), max_retries=0)
    with pytest.raises(UnexpectedAnswerError, match="not finite"):
        voyage.embed(["a"], "m", output_dtype=dtype)
