"""The demo as a whole, against the emulator: no key, no network beyond this machine."""

import json
import os
import shlex
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from voyage_rag import ConfigurationError
from voyage_rag.cli import main
from voyage_rag.demo import DemoError, run, run_demo
from voyage_rag.demo.corpus import Passage
from voyage_rag.demo.options import DemoOptions
from voyage_rag.demo.report import FRAMEWORKS, DemoReport, total
from voyage_rag.emulator import Emulator, ReceivedRequest
from voyage_rag.io.http import exchange

LOOPBACK = {"127.0.0.1", "::1", "localhost", None}


@dataclass
class Ran:
    """A finished run: what it found, printed, and asked of the service."""

    report: DemoReport
    out: str
    err: str
    received: list[ReceivedRequest]


def run_with(emulator: Emulator, options: DemoOptions) -> Ran:
    out, err = StringIO(), StringIO()
    report = run_demo(options, Console(file=out, width=100), Console(file=err, width=100))
    return Ran(report, out.getvalue(), err.getvalue(), emulator.requests)


def forget_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a fixture that is made before the suite's own guard: no key, no proxy from outside."""
    for name in os.environ:
        if name.upper().startswith("VOYAGE_") or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)


def refuse_other_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection and name look-up that leaves this machine."""
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def connect_here(self: socket.socket, address: Any) -> None:
        assert not isinstance(address, tuple) or address[0] in LOOPBACK, address
        connect(self, address)

    def look_up_here(host: Any, *args: Any, **kwargs: Any) -> Any:
        assert host in LOOPBACK, host
        return look_up(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", connect_here)
    monkeypatch.setattr(socket, "getaddrinfo", look_up_here)


@pytest.fixture(scope="module")
def full(library: list[Passage]) -> Iterator[Ran]:
    """The demo as `voyage-rag demo` runs it: the whole library and all built-in questions.

    The emulator shares this process. On a busy machine, it can be slower than a service that has
    become silent, and a request that is sent again would be counted twice.
    """
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(exchange, "MIN_SILENCE_SECONDS", 60.0)
        forget_settings(monkeypatch)
        refuse_other_machines(monkeypatch)
        emulator = Emulator()
        monkeypatch.setattr(run, "Emulator", lambda: emulator)
        monkeypatch.setattr(run, "standard_library", lambda: library)
        yield run_with(emulator, DemoOptions())


@pytest.fixture(autouse=True)
def _read_once(monkeypatch: pytest.MonkeyPatch, library: list[Passage]) -> None:
    """Read the library once for all tests."""
    monkeypatch.setattr(run, "standard_library", lambda: library)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator that runs."""
    emulator = Emulator()
    with emulator:
        yield emulator


@pytest.fixture
def account(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> str:
    """A key in the environment, for a service at the emulator's address."""
    key = "pa-a-secret-of-mine"
    monkeypatch.setenv("VOYAGE_API_KEY", key)
    monkeypatch.setenv("VOYAGE_BASE_URL", emulator.url)
    return key


@pytest.mark.parametrize("framework", range(len(FRAMEWORKS)), ids=FRAMEWORKS)
def test_eight_of_ten_first_hits_are_right(full: Ran, framework: int) -> None:
    """The promise: with the emulator, in each framework, after rerank; printed and counted."""
    right = full.report.right(framework)

    assert right >= 8
    assert len(full.report.judged) == 10
    line = f"correct first hit for {right} of 10 built-in questions, after reranking"
    assert f"{FRAMEWORKS[framework]:<10}  {line}" in full.out.splitlines()


def test_the_passages_are_embedded_once(full: Ran) -> None:
    """Tokens cost money: every passage is sent exactly once, each question once per framework."""
    sent: dict[str, list[str]] = {"document": [], "query": []}
    for received in full.received:
        if received.path.endswith("embeddings"):
            sent[received.body["input_type"]] += received.body["input"]

    plan = full.report.plan
    assert sorted(sent["document"]) == sorted(passage.text for passage in plan.passages)
    assert sorted(sent["query"]) == sorted(2 * [question.text for question in plan.questions])


def test_every_question_gets_three_reranked_hits(full: Ran) -> None:
    """Hits come best first, scored by the reranker, from thirty candidates."""
    for results in full.report.questions:
        for answer in results.results:
            scores = [hit.score for hit in answer.hits]
            assert len(scores) == 3
            assert scores == sorted(scores, reverse=True)
            assert all(0 <= score <= 1 for score in scores)
    reranked = [received.body for received in full.received if received.path.endswith("rerank")]
    assert [len(body["documents"]) for body in reranked] == [30] * 20


def test_the_bill_is_what_the_service_counted(full: Ran) -> None:
    """The requests are those the emulator received, and the tokens exceed the words."""
    usage = total(full.report.usage)

    assert usage.requests == len(full.received)
    assert list(full.report.usage) == ["passages", "questions", "reranking"]
    assert full.report.usage["passages"].total_tokens > 150_000
    assert usage.dollars is not None
    assert 0 < usage.dollars < 0.05


def test_a_pipe_gets_no_progress_bar(full: Ran) -> None:
    """Nothing goes to stderr, and what goes to stdout is plain text."""
    assert full.err == ""
    assert "\x1b" not in full.out
    assert "\r" not in full.out


def test_the_first_lines_say_what_will_happen_and_how_long_it_takes(full: Ran) -> None:
    """Before anything is loaded."""
    first = " ".join(full.out.split("\n\n")[0].split())
    assert first.startswith("This demo embeds the docstrings of Python's standard library")
    assert "10 searches with LangChain and with LlamaIndex. It takes about 15 seconds" in first


def test_the_last_lines_are_three_commands_that_work(
    full: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    """As they are printed."""
    printed = [line.strip() for line in full.out.splitlines() if line.startswith("  voyage-rag ")]
    assert len(printed) == 3
    assert full.out.splitlines()[-1].strip() == printed[-1]
    for command in printed:
        assert main(shlex.split(command)[1:]) == 0
        assert capsys.readouterr().out


def test_questions_of_ones_own_over_files_of_ones_own(
    emulator: Emulator, account: str, tmp_path: Path
) -> None:
    """Each hit says file and line; nothing is judged."""
    (tmp_path / "bread.md").write_text("Knead the dough.\n\nBake the bread for an hour.\n", "utf-8")
    (tmp_path / "ships.txt").write_text("A ship leaves the harbour at noon.\n", "utf-8")

    ran = run_with(emulator, DemoOptions(("When does the ship leave?",), (tmp_path,)))

    for answer in ran.report.questions[0].results:
        assert [hit.passage.name for hit in answer.hits] == [
            f"{tmp_path / 'ships.txt'}:1",
            f"{tmp_path / 'bread.md'}:1",
        ]
    assert "correct first hit" not in ran.out


def test_a_limit_takes_so_many_passages(emulator: Emulator, account: str) -> None:
    """A first run embeds no more than `--limit`, and says so."""
    ran = run_with(emulator, DemoOptions(("How do I sort?",), limit=7))

    bodies = [received.body for received in ran.received]
    assert sum(len(body["input"]) for body in bodies if body.get("input_type") == "document") == 7
    assert "text      7 of 5," in ran.out


def test_with_a_key_the_price_is_shown_before_anything_is_spent(
    emulator: Emulator, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Address, tokens and dollars are on the screen when the first request goes out."""
    sent_before: list[int] = []
    show_plan = run.show_plan

    def show(console: Console, plan: Any) -> None:
        sent_before.append(len(emulator.requests))
        show_plan(console, plan)

    monkeypatch.setattr(run, "show_plan", show)
    ran = run_with(emulator, DemoOptions(("How do I sort?",), limit=5))

    assert sent_before == [0]
    opening = f"Using the service on this machine at {emulator.url} with your key."
    assert opening in " ".join(ran.out.split())
    assert "not Voyage's vectors" not in ran.out
    assert account not in ran.out + ran.err + json.dumps(ran.report.as_json())


def test_stdout_contains_only_json(
    emulator: Emulator, account: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A program reads one object; the announcement of what will be spent goes to stderr."""
    assert main(["demo", "How do I sort?", "--limit", "5", "--json"]) == 0
    out, err = capsys.readouterr()

    data = json.loads(out)
    assert data["questions"][0]["question"] == "How do I sort?"
    assert data["passages"] == 5
    assert data["emulated"] is False
    assert err.startswith("Using the service")


def test_json_without_a_key_says_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is spent, so there is nothing to announce; the object says it is emulated."""
    assert main(["demo", "How do I sort?", "--limit", "5", "--json"]) == 0
    out, err = capsys.readouterr()

    assert json.loads(out)["emulated"] is True
    assert err == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--files", "."], "add a question about your files"),
        (["  "], "a question is empty"),
        (["how?", "--files", "nowhere"], "no such file or folder: nowhere"),
        (["how?", "--limit", "3", "--model", "no-such-model"], "no-such-model"),
        (["how?", "--limit", "3", "--rerank-model", "voyage-4"], "voyage-4"),
    ],
)
def test_what_cannot_work_is_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is wrong with the command, the files or the models, the message names it."""
    assert main(["demo", *arguments]) == 1
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


def test_a_refused_key_is_one_line(
    emulator: Emulator,
    account: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The message contains the service's refusal, and not the key."""
    monkeypatch.setenv("VOYAGE_API_KEY", "pa-invalid-hush")

    assert main(["demo", "how?", "--limit", "3"]) == 1
    out, err = capsys.readouterr()
    assert err.count("\n") == 1
    assert "hush" not in out + err


def test_a_missing_key_file_is_no_reason_to_emulate(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key file selects the live service."""
    monkeypatch.setenv("VOYAGE_API_KEY_PATH", "/no/such/file")

    with pytest.raises(ConfigurationError, match="/no/such/file"):
        run_demo(
            DemoOptions(("how?",), limit=3), Console(file=StringIO()), Console(file=StringIO())
        )


@pytest.mark.parametrize("missing", ["langchain_core", "llama_index", "starlette"])
def test_a_missing_package_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one of the frameworks the demo says what to install."""
    ours = ("voyage_rag.demo.", "voyage_rag.langchain", "voyage_rag.llama_index", "voyage_rag.emu")
    for name in list(sys.modules):
        if name.startswith(ours) or name.split(".")[0] == missing:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(DemoError, match=f"{missing}.*pip install 'voyage-rag\\[all\\]'"):
        run_demo(DemoOptions(), Console(file=StringIO()), Console(file=StringIO()))
