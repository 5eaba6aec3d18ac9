"""The demo over pictures, against the emulator: what is found, what it costs, what is refused."""

import json
import struct
import zlib
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from pictures import COLOURS, png, png_header
from voyage_rag.cli import main
from voyage_rag.demo import run, run_demo
from voyage_rag.demo.options import IMAGE_MODEL, DemoOptions
from voyage_rag.demo.report import FRAMEWORKS, total
from voyage_rag.emulator import Emulator

SIZE = 64


def is_in_circle(x: float, y: float) -> bool:
    return x * x + y * y < 20 * 20


def is_in_square(x: float, y: float) -> bool:
    return max(abs(x), abs(y)) < 20


def drawn(colour: str, holds: Callable[[float, float], bool]) -> bytes:
    """A shape of one colour on white paper."""
    middle = (SIZE - 1) / 2
    lines = bytearray()
    for down in range(SIZE):
        lines.append(0)
        for across in range(SIZE):
            inside = holds(across - middle, down - middle)
            lines += bytes(COLOURS[colour] if inside else (255, 255, 255))
    plain = png("red", SIZE, SIZE)
    start = plain.index(b"IDAT") - 4
    body = b"IDAT" + zlib.compress(bytes(lines))
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return plain[:start] + chunk + plain[plain.index(b"IEND") - 4 :]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Circles and squares, and what is none of the demo's business."""
    pictures = tmp_path / "pictures"
    (pictures / "deeper.png").mkdir(parents=True)
    for colour in ("blue", "green", "red"):
        (pictures / f"{colour}-circle.png").write_bytes(drawn(colour, is_in_circle))
        (pictures / f"{colour}-square.PNG").write_bytes(drawn(colour, is_in_square))
    (pictures / "notes.txt").write_text("a red circle", "utf-8")
    (pictures / ".hidden.png").write_bytes(b"")
    return pictures


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """The emulator that the demo starts, to be asked what it received."""
    emulator = Emulator()
    monkeypatch.setattr(run, "Emulator", lambda: emulator)
    return emulator


def reported(line: str) -> str:
    return " ".join(line.split())


def test_words_find_the_picture_in_both_frameworks(emulator: Emulator, folder: Path) -> None:
    """A red circle comes first among circles and squares; three files are shown, best first."""
    out, err = StringIO(), StringIO()
    options = DemoOptions(("a red circle", "a blue square"), model=IMAGE_MODEL, images=folder)
    report = run_demo(options, Console(file=out, width=100), Console(file=err, width=100))

    for results, name in zip(report.questions, ("red-circle.png", "blue-square.PNG"), strict=True):
        assert len(results.results) == len(FRAMEWORKS)
        for answer in results.results:
            scores = [hit.score for hit in answer.hits]
            assert answer.hits[0].passage.name == name
            assert len(scores) == 3
            assert scores == sorted(scores, reverse=True)
    first, second = report.questions[0].results
    assert first.hits[0].score == pytest.approx(second.hits[0].score, abs=1e-3)
    text = reported(out.getvalue())
    assert text.startswith(f"This demo embeds the images of {folder}, and runs 2 searches")
    assert "It takes a few seconds. These are not Voyage's vectors." in text
    assert "compares colours and simple shapes, not meaning" in text
    assert "images 6 images of" in text
    assert "reranker none: rerankers accept text only" in text
    assert "LangChain LlamaIndex image" in text
    assert "The images have 300,000 pixels" in text
    assert err.getvalue() == ""


def test_each_picture_is_embedded_once(emulator: Emulator, folder: Path) -> None:
    """LlamaIndex receives the vectors from LangChain. The bill is what the service counted."""
    options = DemoOptions(("a red circle",), model=IMAGE_MODEL, images=folder)
    report = run_demo(options, Console(file=StringIO()), Console(file=StringIO()))

    bodies = [received.body for received in emulator.requests]
    sent = {"document": 0, "query": 0}
    for body in bodies:
        sent[body["input_type"]] += len(body["inputs"])
    assert sent == {"document": 6, "query": 2}
    forecast = report.plan.forecast["images"]
    assert total(report.usage).requests == len(bodies)
    assert list(report.usage) == ["images", "questions"]
    assert total(report.usage).image_pixels == forecast.image_pixels == 300_000
    assert report.usage["images"].total_tokens == pytest.approx(forecast.total_tokens, abs=6)


def test_json_has_the_same_content(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command's own default is a multimodal model; stdout is one object, stderr is empty."""
    arguments = ["demo", "a red circle", "--images", str(folder), "--json"]
    assert main(arguments) == 0
    out, err = capsys.readouterr()

    data = json.loads(out)
    assert (data["model"], data["rerank_model"]) == (IMAGE_MODEL, None)
    assert (data["images"], data["emulated"], err) == (6, True, "")
    for name in FRAMEWORKS:
        hit = data["questions"][0]["answers"][name]["hits"][0]
        assert hit["source"] == str(folder / "red-circle.png")
    assert data["usage"][0]["image_pixels"] == 300_000


def test_a_limit_takes_so_many_pictures(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first ones by name, and the count says of how many."""
    assert main(["demo", "blue", "--images", str(folder), "--limit", "2"]) == 0
    assert "images    2 of 6 images" in capsys.readouterr().out


def test_with_a_key_the_price_is_shown_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The announcement has the pixels of the pictures, but not the key."""
    with Emulator() as address:
        monkeypatch.setenv("VOYAGE_API_KEY", "pa-a-secret-of-mine")
        monkeypatch.setenv("VOYAGE_BASE_URL", address)
        assert main(["demo", "a red circle", "--images", str(folder)]) == 0
    out, err = capsys.readouterr()

    assert f"Using the service on this machine at {address} with your key." in reported(out)
    assert "secret" not in out + err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], 'e.g. voyage-rag demo "a red circle" --images'),
        ([" "], "a question is empty"),
        (
            ["what?", "--model", "voyage-4"],
            "voyage-4 does not embed images: use --model",
        ),
        (["what?", "--rerank-model", "rerank-3"], "rerankers do not accept images"),
        (["what?", "--files", "a.md"], "either --files or --images"),
    ],
)
def test_what_does_not_go_with_pictures_is_refused(
    arguments: list[str], words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says what is wrong with the command and what to do."""
    assert main(["demo", *arguments, "--images", str(folder)]) == 1
    out, err = capsys.readouterr()
    assert words in err
    assert (out, err.count("\n")) == ("", 1)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("huge.png", png_header(9_000, 9_000), "has 81,000,000 pixels, more than the"),
        (
            "heavy.png",
            png() + bytes(20_000_000),
            "bytes, more than the 20,000,000 that the service accepts",
        ),
        ("words.jpg", b"hello", "is not a readable image"),
        ("empty.webp", b"", "is empty"),
    ],
)
def test_a_picture_that_cannot_be_embedded_is_named(
    name: str,
    content: bytes,
    words: str,
    emulator: Emulator,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line names file and reason, before anything is sent."""
    (folder / name).write_bytes(content)

    assert main(["demo", "what?", "--images", str(folder)]) == 1
    err = capsys.readouterr().err
    assert f"cannot embed {folder / name}: " in err
    assert words in err
    assert "inputs[" not in err
    assert err.count("\n") == 1
    assert emulator.requests == []


def test_a_folder_without_pictures_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing, a file, or empty: each has its own one-line message."""
    file = tmp_path / "a.png"
    file.write_bytes(png())
    empty = tmp_path / "empty"
    empty.mkdir()

    for path, words in (
        (tmp_path / "nowhere", "nowhere does not exist"),
        (file, "a.png is a file"),
        (empty, "expected .gif, .jpeg, .jpg, .png, .webp files"),
    ):
        assert main(["demo", "what?", "--images", str(path)]) == 1
        err = capsys.readouterr().err
        assert words in err
        assert str(path) in err
        assert err.count("\n") == 1
