"""Exact token counts: they improve the planning and do not block the event loop."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import Runner
from fakes import MODEL, FakeService, vector_of, voyage_over
from voyage_rag import ConfigurationError
from voyage_rag.io.tokenizer import Tokenizer


@pytest.fixture
def words(tmp_path: Path) -> str:
    """A tokenizer file that counts words."""
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({"?": 0}, unk_token="?"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    return str(path)


def test_tokens_are_counted(words: str) -> None:
    """This tokenizer has one token per word."""
    assert Tokenizer(words)("how many words are there") == 5


def test_a_client_counts_tokens(words: str, runner: Runner) -> None:
    """The sum for all texts, whatever the model, and without sending them."""
    voyage = voyage_over(service := FakeService(), tokenizer=words)

    assert runner.call(voyage, "count_tokens", ["how many words", "are there"], MODEL) == 5
    assert runner.call(voyage, "count_tokens", "how many words") == 3
    assert runner.call(voyage, "count_tokens", [], MODEL) == 0
    assert not service.bodies


def test_requests_are_planned_by_exact_counts(words: str, runner: Runner) -> None:
    """Long words count as the few tokens that they are."""
    texts = [f"{n:02}" + "x" * 2_998 for n in range(20)]
    service = FakeService()

    found = runner.call(
        voyage_over(service, tokenizer=words, tokens_per_minute=5_000), "embed", texts, MODEL
    )

    assert [len(body["input"]) for body in service.bodies] == [20]
    assert list(map(vector_of, texts)) == found.embeddings


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_counting_blocks_no_event_loop(words: str, backend: str) -> None:
    """The loop's thread never counts."""
    import anyio

    voyage = voyage_over(FakeService(), tokenizer=words)
    counted_in: set[int] = set()
    count = voyage.context.count_tokens
    assert count is not None

    def noted(text: str) -> float:
        counted_in.add(threading.get_ident())
        return count(text)

    voyage.context = replace(voyage.context, count_tokens=noted)

    async def program() -> int:
        await voyage.aembed([f"text {number}" for number in range(300)], MODEL)
        return threading.get_ident()

    assert anyio.run(program, backend=backend) not in counted_in
    assert counted_in


def test_a_file_that_is_no_tokenizer_is_named(tmp_path: Path) -> None:
    """The path is in the message."""
    pytest.importorskip("tokenizers")
    path = tmp_path / "other.json"
    path.write_text("{}")

    with pytest.raises(ConfigurationError, match=r"other\.json"):
        Tokenizer(str(path))


def test_the_import_error_names_the_extra() -> None:
    """Without the package, the message says what to install."""
    program = """
import sys
sys.modules["tokenizers"] = None
from voyage_rag import Voyage
try:
    Voyage("pa-k", tokenizer="tokenizer.json")
except ImportError as error:
    assert "voyage-rag[tokenizers]" in str(error)
else:
    raise SystemExit("no error")
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
