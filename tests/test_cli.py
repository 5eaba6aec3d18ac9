"""The command line: what is called, what is printed where, and with which exit code."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer.main

import voyage_rag
from voyage_rag import VoyageError
from voyage_rag.cli import main
from voyage_rag.commands.app import app
from voyage_rag.demo import DemoError
from voyage_rag.demo.options import DemoOptions
from voyage_rag.emulator import Emulator, faults
from voyage_rag.models import MODELS


def options_of(command: Any, path: str = "") -> dict[str, set[str]]:
    """The options of every command of the program, and of its groups, by its name."""
    if children := getattr(command, "commands", {}):
        found = {}
        for name, child in children.items():
            found |= options_of(child, f"{path} {name}".strip())
        return found
    return {path: {option for parameter in command.params for option in parameter.opts}}


COMMANDS = options_of(typer.main.get_command(app))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[DemoOptions]:
    """The demo's options; the demo is not run."""
    calls: list[DemoOptions] = []
    monkeypatch.setattr("voyage_rag.demo.run_demo", lambda options, out, err: calls.append(options))
    return calls


def run_python(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONWARNINGS": "error"} | environment,
    )


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` prints the package's version and nothing else."""
    assert main(["--version"]) == 0
    assert capsys.readouterr() == (f"voyage-rag {voyage_rag.__version__}\n", "")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_lists_the_commands(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The program without arguments lists the commands."""
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for command in COMMANDS:
        assert command.split()[0] in out
    assert "voyage-rag COMMAND --help" in out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each help page ends with command lines to copy, one to a line."""
    assert main([*command.split(), "--help"]) == 0
    out = capsys.readouterr().out
    examples = out.partition("Examples:")[2].strip().splitlines()
    assert examples
    assert all(f"voyage-rag {command.split(maxsplit=1)[0]}" in line for line in examples)


@pytest.mark.parametrize("columns", ["40", "80"])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_cuts_off_nothing(
    command: str,
    columns: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In a narrow terminal, too, options have their full names."""
    monkeypatch.setenv("COLUMNS", columns)
    assert main([*command.split(), "--help"]) == 0
    out = capsys.readouterr().out
    options = {option for option in COMMANDS[command] if option.startswith("--")}
    assert {option for option in options if option not in out} == set()
    assert "\N{HORIZONTAL ELLIPSIS}" not in out


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"batch fetch"}))
def test_every_command_can_write_json(command: str) -> None:
    """For programs; what `batch fetch` writes is JSON anyway."""
    assert "--json" in COMMANDS[command]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "nonsense"),
        (["demo", "--nonsense"], "--nonsense"),
        (["demo", "--limit", "0"], "--limit"),
        (["demo", "--model"], "--model"),
        (["demo", "how?", "--files"], "--files"),
        (["emulate", "--port", "70000"], "--port"),
    ],
)
def test_misuse_is_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong command line exits with 2 and says what is wrong and where to read on."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("voyage-rag: ")
    assert err.count("\n") == 1
    assert words in err
    assert "--help" in err


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (DemoError("nothing\nto search"), 1),
        (VoyageError("the service is away"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_a_foreseeable_failure_is_one_line(
    failure: BaseException,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An error that the user can fix, and an interrupt, show no traceback."""

    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr("voyage_rag.demo.run_demo", fail)

    assert main(["demo"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("voyage-rag: ")
    assert err.count("\n") == 1
    assert " ".join(str(failure).split()) in err


def test_an_unforeseen_failure_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug keeps its traceback."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("voyage_rag.demo.run_demo", fail)

    with pytest.raises(ZeroDivisionError):
        main(["demo"])


def test_the_demo_gets_what_was_asked(asked: list[DemoOptions]) -> None:
    """Questions, files and options reach the demo."""
    assert main(["demo"]) == 0
    options = [
        "--model",
        "voyage-4",
        "--rerank-model",
        "rerank-3",
        "--limit",
        "9",
        "--json",
        "--files",
        "notes",
    ]
    assert main(["demo", "how?", "why?", *options]) == 0

    assert asked == [
        DemoOptions(),
        DemoOptions(("how?", "why?"), (Path("notes"),), "voyage-4", "rerank-3", 9, as_json=True),
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["how?", "--files", "a.md", "b.md"],
        ["--files", "a.md", "--files", "b.md", "--", "how?"],
        ["--limit", "3", "how?", "--files", "a.md", "b.md", "--limit", "4"],
    ],
)
def test_files_takes_all_paths_that_follow(arguments: list[str], asked: list[DemoOptions]) -> None:
    """A shell expands `*.md` after `--files` to many paths, which are not questions."""
    assert main(["demo", *arguments]) == 0
    assert asked[0].questions == ("how?",)
    assert asked[0].files == (Path("a.md"), Path("b.md"))


def test_two_dashes_end_the_options(asked: list[DemoOptions]) -> None:
    """A question may look like an option."""
    assert main(["demo", "--files", "a.md", "--", "--files", "what is that?"]) == 0
    assert asked[0].questions == ("--files", "what is that?")
    assert asked[0].files == (Path("a.md"),)


def test_models_lists_the_catalogue(capsys: pytest.CaptureFixture[str]) -> None:
    """Each model is one line with limits, dimensions and price."""
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines if line}
    assert set(MODELS) <= set(rows)
    assert rows["voyage-4-lite"] == ["active", "1024", "256", "512", "2048", "32K", "1M", "0.02"]
    assert rows["rerank-3"] == ["active", "32K", "600K", "0.05"]
    assert all(len(line) <= 80 and line == line.rstrip() for line in lines)


def test_a_narrow_terminal_shows_one_value_per_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In 40 columns no row of a table is wrapped."""
    for name, value in {"FORCE_COLOR": "1", "NO_COLOR": "1", "COLUMNS": "40"}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "a.txt").write_text("x" * 5_000_000, "utf-8")
    monkeypatch.chdir(tmp_path)

    assert main(["models"]) == main(["tokens", "a.txt", "--model", "voyage-4"]) == 0

    lines = [
        re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line) for line in capsys.readouterr().out.splitlines()
    ]
    assert all(len(line) <= 40 for line in lines)
    start = lines.index("voyage-4")
    assert lines[start + 1 : start + 4] == [
        "  status      active",
        "  dimensions  1024 256 512 2048",
        "  context     32K",
    ]
    assert "  too long        1" in lines


def test_models_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Programs get every model with all its numbers."""
    assert main(["models", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == list(MODELS)
    first = next(row for row in rows if row["name"] == "voyage-4")
    assert first["dimensions"] == [1024, 256, 512, 2048]
    assert first["request_tokens"] == 320_000
    assert first["dollars_per_million_tokens"] == 0.06


def test_emulate_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Host and port reach the emulator's server."""
    served: list[Any] = []
    server = ModuleType("voyage_rag.emulator.server")
    server.serve = lambda *address, **options: served.append((address, options))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, server.__name__, server)
    limits = ["--requests-per-minute", "9", "--tokens-per-minute", "99", "--latency", "0.5"]
    limits += ["--batch-speed", "7", "--dialect", "sagemaker", "--model", "rerank-3"]

    assert main(["emulate", "--port", "9001", "--host", "0.0.0.0", *limits]) == 0
    assert main(["emulate", "--free-tier"]) == 0

    (there, limited), (here, free) = served
    assert (there, here) == (("0.0.0.0", 9001), ("127.0.0.1", 8000))
    assert [*limited.values()] == [9, 99, False, 0.5, 7, "sagemaker", "rerank-3"]
    assert [*free.values()] == [None, None, True, 0.0, 1.0, "voyage", None]


def test_emulate_prints_its_address_for_programs() -> None:
    """With --json, and until it is interrupted."""
    with subprocess.Popen(
        [sys.executable, "-m", "voyage_rag", "emulate", "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        reported = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)

    assert reported["emulated"] is True
    assert reported["base_url"].startswith("http://127.0.0.1:")
    assert reported["base_url"].endswith("/v1")
    assert (out, err) == (b"", b"")


def test_a_port_in_use_is_reported_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The emulator names the address that it could not bind, and the reason."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["emulate", "--port", str(port)]) == 1

    err = capsys.readouterr().err
    assert err == f"voyage-rag: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_emulate_without_its_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the emulator's packages the message says what to install."""
    for name in [name for name in sys.modules if name.startswith("voyage_rag.emulator")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette", None)
    monkeypatch.setitem(sys.modules, "uvicorn", None)

    assert main(["emulate"]) == 1
    assert "pip install 'voyage-rag[emulator]'" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_its_extra_the_command_says_what_to_install(missing: str) -> None:
    """`main` can be imported and called without typer or rich."""
    done = run_python(
        "-c",
        f"import sys; sys.modules[{missing!r}] = None; from voyage_rag.cli import main;"
        "sys.exit(main(['models']))",
    )

    assert (done.returncode, done.stdout) == (1, b"")
    assert b"pip install 'voyage-rag[cli]'" in done.stderr
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("missing", "arguments", "extra"),
    [
        ("pyarrow", "embed a.jsonl -o v.jsonl", "voyage-rag[bulk]"),
        ("numpy", "embed a.jsonl -o v.npy", "numpy"),
        ("tokenizers", "embed a.jsonl -o v.jsonl --tokenizer t.json --dry-run", "tokenizers"),
        ("tokenizers", "tokens a.jsonl --model voyage-4 --tokenizer t.json", "tokenizers"),
        ("starlette", "rerank query a.jsonl --emulator", "voyage-rag[emulator]"),
        ("uvicorn", "emulate --port 0", "voyage-rag[emulator]"),
    ],
)
def test_a_missing_package_of_an_extra_is_one_line(
    missing: str, arguments: str, extra: str, tmp_path: Path
) -> None:
    """Without a traceback, and with the command that installs it."""
    (tmp_path / "a.jsonl").write_text('{"id": "a", "text": "b"}\n', "utf-8")
    (tmp_path / "t.json").write_text("{}", "utf-8")
    done = run_python(
        "-c",
        f"import os, sys; os.chdir({str(tmp_path)!r}); sys.modules[{missing!r}] = None;"
        f"from voyage_rag.cli import main; sys.exit(main({arguments.split()!r}))",
        VOYAGE_API_KEY="pa-a-key-that-is-not-used",
    )

    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b"pip install" in done.stderr
    assert extra.encode() in done.stderr


def test_the_command_line_is_quick_to_import() -> None:
    """Neither the program nor its commands load a framework or the emulator."""
    script = (
        "import sys, voyage_rag.cli; first = set(sys.modules); import voyage_rag.commands.app;"
        "heavy = {'httpx', 'langchain_core', 'llama_index', 'numpy', 'pydantic', 'starlette'};"
        "sys.exit(bool({'typer'} & first or heavy & set(sys.modules)))"
    )

    assert run_python("-c", script).returncode == 0


def test_an_interrupt_while_the_program_loads_is_one_line() -> None:
    """Loading takes a moment on a cold disk."""
    script = (
        "import sys; from importlib.abc import MetaPathFinder\n"
        "class Interrupting(MetaPathFinder):\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from voyage_rag.cli import main; sys.exit(main(['models']))"
    )
    done = run_python("-c", script)

    assert (done.returncode, done.stderr) == (130, b"voyage-rag: interrupted\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_command_like_ctrl_c(number: signal.Signals, tmp_path: Path) -> None:
    """`timeout`, a stopped container or a closed terminal: nothing is left in the cache."""
    emulator = Emulator(faults=[faults.SILENT])
    with (
        emulator as url,
        subprocess.Popen(
            [sys.executable, "-m", "voyage_rag", "embed", "-", "-o", "-"],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ
            | {"VOYAGE_API_KEY": "pa-any", "VOYAGE_BASE_URL": url, "XDG_CACHE_HOME": str(tmp_path)},
        ) as child,
    ):
        assert child.stdin is not None
        child.stdin.write(b'"one"\n')
        child.stdin.close()
        while not [r for r in emulator.requests if r.answered_at is not None]:
            assert child.poll() is None
            time.sleep(0.01)
        child.send_signal(number)
        assert child.stderr is not None
        said = child.stderr.read()

    assert (child.returncode, said) == (128 + number, b"voyage-rag: interrupted\n")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_the_module_runs_as_a_program() -> None:
    """`python -m voyage_rag` is the command, and writes UTF-8 whatever the machine's encoding."""
    done = run_python(
        "-m", "voyage_rag", "tokens", __file__, PYTHONIOENCODING="ascii", PYTHONUTF8="0"
    )

    assert done.returncode == 0, done.stderr
    assert "\N{EN DASH}" in done.stdout.decode("utf-8")


def test_a_reader_that_leaves_is_no_error() -> None:
    """`voyage-rag models | head -1` ends without a traceback."""
    with subprocess.Popen(
        [sys.executable, "-m", "voyage_rag", "models"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        complaint = process.stderr.read()

    assert complaint == b""
    assert process.returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize(
    ("closed", "arguments", "code"),
    [(">&-", "models", 1), (">&-", "embed in.jsonl -o -", 1), ("2>&-", "models", 0),
     ("2>&-", "embed", 2)],
)  # fmt: skip
def test_a_closed_stream_is_one_line(
    closed: str, arguments: str, code: int, tmp_path: Path
) -> None:
    """Without stdout nothing is sent; without stderr there is only the exit code."""
    done = subprocess.run(
        ["/bin/sh", "-c", f'"$0" -m voyage_rag {arguments} {closed}', sys.executable],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == code
    if closed == ">&-":
        assert (
            done.stderr == "voyage-rag: stdout is closed: redirect it, for example to /dev/null\n"
        )


def test_a_full_disk_behind_stdout_is_one_line() -> None:
    """`voyage-rag models > file` where the disk is full."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "voyage_rag", "models", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr == b"voyage-rag: cannot read or write: No space left on device\n"
