"""The demo's text: the standard library's docstrings, and files of one's own."""

import gzip
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from voyage_rag.demo.corpus import (
    MIN_WORDS,
    PASSAGE_WORDS,
    Passage,
    read_files,
    take,
)
from voyage_rag.demo.options import DemoError
from voyage_rag.demo.questions import Question, labelled_questions


def test_the_standard_library_gives_thousands_of_passages(library: list[Passage]) -> None:
    """Enough for a realistic search, at a low price."""
    assert 3_000 < len(library) < 10_000
    assert sum(len(passage.text) for passage in library) < 3_000_000


@pytest.mark.parametrize(
    "name",
    [
        "argparse",
        "argparse.ArgumentParser",
        "concurrent.futures",
        "csv.reader",
        "itertools.chain",
        "json.dumps",
        "math.sqrt",
        "os.listdir",
        "shutil.copytree",
        "sorted",
        "str.split",
        "time.sleep",
        "urllib.request.urlopen",
    ],
)
def test_python_and_c_modules_are_both_there(library: list[Passage], name: str) -> None:
    """Modules, classes, functions and methods bear the names people know."""
    texts = {passage.name: passage.text for passage in library}

    assert texts[name].startswith(f"{name}\n")


def test_what_nobody_asks_about_is_left_out(library: list[Passage]) -> None:
    """Private objects, tests, vendored tools and trivial docstrings."""
    for passage in library:
        parts = passage.name.split(".")
        assert not any(part.startswith("_") for part in parts)
        assert not passage.source.startswith(("idlelib/", "lib2to3/", "turtledemo/", "test/"))
        assert "/tests/" not in passage.source
        assert len(passage.body.split()) >= MIN_WORDS


def test_a_passage_says_where_it_is_from(library: list[Passage]) -> None:
    """Source and line lead to the definition; what is built in says so."""
    parser = next(passage for passage in library if passage.name == "argparse.ArgumentParser")
    root = next(passage for passage in library if passage.name == "math.sqrt")

    import argparse

    lines = Path(argparse.__file__).read_text("utf-8").splitlines()
    assert parser.source == "argparse.py"
    assert lines[parser.line - 1].startswith("class ArgumentParser")
    assert (root.source, root.line) == ("math (built in)", 0)


def test_what_the_process_has_loaded_changes_nothing(library: list[Passage]) -> None:
    """Same order in a process that has imported little; and no module is imported to be read."""
    script = (
        "import sys; from voyage_rag.demo.corpus import standard_library;"
        "sys.excepthook = print;"
        "sys.stdout.write('\\n'.join(p.name for p in standard_library()));"
        "sys.exit(bool({'this', 'antigravity', 'tkinter', 'smtplib', 'turtle'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert run.stdout.split("\n") == [passage.name for passage in library]


def test_every_module_that_answers_a_question_has_a_passage(library: list[Passage]) -> None:
    """A label without a passage would always count as a miss."""
    names = [passage.name for passage in library]
    for question in labelled_questions():
        for module in question.modules:
            assert module.split(".")[0] in sys.stdlib_module_names, question
            if find_spec(module) is None:  # some systems ship tkinter apart
                continue
            label = Question(question.text, (module,))
            assert any(label.is_answered_by(name) for name in names), label


def test_a_limit_takes_passages_of_every_module(library: list[Passage]) -> None:
    """A limit takes the first passage of every module before the second of any."""
    few = take(library, 150)

    assert len(few) == 150
    assert len({passage.source for passage in few}) == 150
    assert take(library, 10**6) != []
    assert sorted(take(library, 10**6), key=hash) == sorted(library, key=hash)


def test_files_are_cut_at_paragraphs(tmp_path: Path) -> None:
    """Passages hold whole paragraphs up to about 120 words, with file and line."""
    paragraph = " ".join(["word"] * 50)
    file = tmp_path / "notes.md"
    file.write_text("\n\n".join(f"{letter}\n{paragraph}" for letter in "ABCDE"), "utf-8")

    passages = read_files([file])

    assert [passage.line for passage in passages] == [1, 7, 13]
    assert passages[1].name == f"{file}:7"
    assert passages[1].source == str(file)
    assert passages[1].text == f"notes.md\nC\n{paragraph}\n\nD\n{paragraph}"


def test_each_section_of_a_markdown_file_is_a_passage(tmp_path: Path) -> None:
    """A passage begins with its headings, so that a result shows what it is about."""
    file = tmp_path / "README.md"
    file.write_text("Begin.\n\n# Guide\n\n## Install\n\nRun pip.\n\n## Use\n\nCall it.\n", "utf-8")

    passages = read_files([file])

    assert [passage.line for passage in passages] == [1, 3, 9]
    assert [passage.body for passage in passages] == [
        "Begin.",
        "# Guide\n\n## Install\n\nRun pip.",
        "## Use\n\nCall it.",
    ]


@pytest.mark.parametrize("separator", [" ", "\n"])
def test_text_without_paragraphs_is_cut_too(tmp_path: Path, separator: str) -> None:
    """One endless line or endless lines make passages of the usual length, no word lost."""
    words = [f"w{number}" for number in range(1_000)]
    file = tmp_path / "long.txt"
    file.write_text(separator.join(words), "utf-8")

    passages = read_files([file])

    assert all(len(passage.body.split()) <= PASSAGE_WORDS for passage in passages)
    assert [word for passage in passages for word in passage.body.split()] == words


def test_folders_are_searched(tmp_path: Path) -> None:
    """Text files anywhere inside count once, in the order of names; hidden ones do not."""
    for name in ("b.txt", "a.rst", "deep/c.PY", "d.pdf", ".git/e.md", "__pycache__/f.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"text of {name}\n", "utf-8")

    passages = read_files([tmp_path, tmp_path / "b.txt"])

    assert [Path(passage.source).name for passage in passages] == ["a.rst", "b.txt", "c.PY"]


def test_a_hidden_folder_can_be_named(tmp_path: Path) -> None:
    """Hidden files are skipped inside a folder, but not if they are named."""
    folder = tmp_path / ".notes"
    folder.mkdir()
    (folder / "a.md").write_text("something", "utf-8")

    assert len(read_files([folder])) == 1


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    """Files of editors that mark UTF-8 read like the others."""
    file = tmp_path / "a.txt"
    file.write_bytes("\ufeffhello".encode())

    assert read_files([file])[0].body == "hello"


def test_unreadable_files_of_a_folder_can_be_left_out(tmp_path: Path) -> None:
    """Each is reported; a file that was named itself is still refused."""
    (tmp_path / "a.txt").write_text("readable", "utf-8")
    latin = tmp_path / "b.txt"
    latin.write_bytes(b"caf\xe9")
    reported: list[str] = []

    assert [p.body for p in read_files([tmp_path], reported.append)] == ["readable"]
    assert reported == [f"{latin} is not UTF-8 text (byte 3)"]
    with pytest.raises(DemoError, match="is not UTF-8 text"):
        read_files([latin], reported.append)


def test_compressed_text_is_read(tmp_path: Path) -> None:
    """As by the other commands."""
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"readable\r\ntext"))

    assert [p.body for p in read_files([tmp_path])] == ["readable\ntext"]


def test_paths_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """Missing, foreign, binary and empty paths are refused, each saying which and why."""
    latin = tmp_path / "latin.txt"
    latin.write_bytes("caf\u00e9".encode("latin-1"))
    picture = tmp_path / "a.png"
    picture.touch()
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "blank.md").write_text("\n \n", "utf-8")

    for path, words in (
        (tmp_path / "nowhere", "no such file or folder"),
        (latin, "is not UTF-8 text"),
        (picture, "expected one of .md, .py, .rst, .txt"),
        (empty, "no text in"),
    ):
        with pytest.raises(DemoError, match=words) as caught:
            read_files([path])
        assert str(path) in str(caught.value)
