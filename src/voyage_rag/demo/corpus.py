"""The text of the demo: docstrings of the standard library, or the user's files.

The standard library is parsed, not imported. Modules written in C have no source to parse, so a
fixed list of modules without side effects is imported for their documentation. Passages are sorted
by name and line, so their order is the same for a version of Python.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

from voyage_rag.demo.options import DemoError
from voyage_rag.jobs.errors import JobError
from voyage_rag.jobs.inputs.discovery import text_files
from voyage_rag.jobs.lines import open_bytes, uncompressed_suffix

MIN_WORDS = 5
"""Minimum number of words. A shorter docstring ("Return the name.") adds nothing to the name."""

PASSAGE_WORDS = 120
"""Maximum words of a passage from a file: enough to answer a question about one subject."""

SUFFIXES = (".md", ".py", ".rst", ".txt")

HEADING = re.compile(r"#{1,6} .+")
"""A heading in Markdown."""

EXCLUDED = frozenset({"distutils", "encodings", "ensurepip", "idlelib", "lib2to3", "pydoc_data"})
"""Packages of the standard library that contain tables, tools or vendored code."""

TESTS = frozenset({"test", "tests", "idle_test", "turtledemo"})

# fmt: off
C_MODULES = (
    "array", "atexit", "binascii", "builtins", "cmath", "csv", "datetime", "decimal", "errno", "gc",
    "hashlib", "io", "itertools", "marshal", "math", "operator", "os", "select", "socket",
    "sqlite3", "struct", "sys", "time", "unicodedata", "zlib",
)
# fmt: on
"""Modules written in C, entirely or partly, that do nothing on import."""

REPLACEABLE_HOOKS = frozenset({"breakpointhook", "displayhook", "excepthook", "unraisablehook"})
"""Functions of `sys` that a running program may have replaced."""

IMPLEMENTED_IN: dict[str, tuple[str, ...]] = {
    "os": ("posix", "nt"),
    "io": ("_io",),
    "datetime": ("_datetime", "_pydatetime"),
}
"""The modules that implement the functions of a module, besides the module itself and `_name`."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of text to search.

    Attributes:
        name: Its name in a result: a dotted name, or a file and line.
        text: The text to embed: a heading line, then the text.
        source: The file that contains it, or a description of its origin.
        line: Its first line in the file; 0 without a file.
    """

    name: str
    text: str
    source: str
    line: int

    @property
    def body(self) -> str:
        """The text without its heading."""
        return self.text.partition("\n")[2]


def standard_library() -> list[Passage]:
    """Collect the docstrings of this Python's standard library.

    Raises:
        DemoError: This Python has no source files.
    """
    root = Path(sysconfig.get_path("stdlib"))
    passages = [passage for name, path in _modules(root) for passage in _parsed(root, name, path)]
    if not passages:
        raise DemoError(
            f"no standard library source in {str(root)!r}: search your own text with --files"
        )
    known = {passage.name for passage in passages}
    passages += [passage for passage in _compiled() if passage.name not in known]
    return sorted(passages, key=lambda passage: passage.name.split(".")[0])


def _modules(root: Path) -> Iterator[tuple[str, Path]]:
    for name in sorted(sys.stdlib_module_names):
        if name.startswith("_") or name in EXCLUDED | TESTS:
            continue
        if (single := root / f"{name}.py").is_file():
            yield name, single
        for path in sorted((root / name).rglob("*.py")):
            *folders, stem = path.relative_to(root).with_suffix("").parts
            parts = folders if stem == "__init__" else [*folders, stem]
            if not any(part.startswith("_") or part in TESTS for part in parts):
                yield ".".join(parts), path


def _parsed(root: Path, name: str, path: Path) -> Iterator[Passage]:
    source = path.relative_to(root).as_posix()
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # a test file, or one for another version of Python
        return
    for dotted, node in _documented(tree, name):
        text = ast.get_docstring(node) or ""
        if _is_informative(text):
            line = 1 if isinstance(node, ast.Module) else node.lineno
            yield Passage(dotted, f"{dotted}\n{text}", source, line)


_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _documented(node: _Documented, name: str) -> Iterator[tuple[str, _Documented]]:
    yield name, node
    if isinstance(node, ast.Module | ast.ClassDef):
        for child in node.body:
            if isinstance(
                child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
            ) and not child.name.startswith("_"):
                yield from _documented(child, f"{name}.{child.name}")


def _compiled() -> Iterator[Passage]:
    for name in C_MODULES:
        try:
            module = importlib.import_module(name)
        except ImportError:  # Python may be built without some modules, such as SQLite
            continue
        origins = (name, f"_{name}", *IMPLEMENTED_IN.get(name, ()))
        source = f"{name} (built in)"
        yield from _documentation_of(module, name, source)
        for attribute, value in _public(module):
            if getattr(value, "__module__", None) in origins and callable(value):
                dotted = attribute if name == "builtins" else f"{name}.{attribute}"
                yield from _documentation_of(value, dotted, source)
                if inspect.isclass(value) and not issubclass(value, BaseException):
                    for method, function in _public(value):
                        if inspect.isroutine(function):
                            yield from _documentation_of(function, f"{dotted}.{method}", source)


def _public(owner: object) -> Iterator[tuple[str, object]]:
    for name, value in sorted(vars(owner).items()):
        if not name.startswith("_") and name not in REPLACEABLE_HOOKS:
            yield name, value


def _documentation_of(thing: object, name: str, source: str) -> Iterator[Passage]:
    text = inspect.cleandoc(getattr(thing, "__doc__", None) or "")
    if _is_informative(text):
        yield Passage(name, f"{name}\n{text}", source, 0)


def _is_informative(text: str) -> bool:
    return len(text.split()) >= MIN_WORDS


def read_files(
    paths: Sequence[Path], on_unreadable: Callable[[str], object] | None = None
) -> list[Passage]:
    """Split text files into passages of up to 120 words, at paragraphs and Markdown headings.

    Args:
        paths: Files, or folders to search for `.md`, `.py`, `.rst` and `.txt` files.
        on_unreadable: Called with the reason if a file in a folder cannot be read, instead of
            raising an error. The file is skipped.

    Raises:
        DemoError: A path does not exist, a file is not text in UTF-8, or nothing was found.
    """
    files: dict[Path, list[Passage]] = {}
    for path in paths:
        for file in _files(path):
            try:
                files[file] = list(_read_passages(file))
            except DemoError as error:
                if on_unreadable is None or not path.is_dir():
                    raise
                on_unreadable(str(error))
    passages = list(chain.from_iterable(files.values()))
    if not passages:
        raise DemoError(
            f"no text in {', '.join(str(path) for path in paths)}: "
            f"expected {', '.join(SUFFIXES)} files that are not empty"
        )
    return passages


def _files(path: Path) -> Iterator[Path]:
    try:
        for file in text_files(path, SUFFIXES):
            if uncompressed_suffix(file) not in SUFFIXES:
                raise DemoError(f"cannot read {file}: expected one of {', '.join(SUFFIXES)}")
            yield file
    except JobError as error:
        raise DemoError(
            f"no such file or folder: {path} (questions come before --files)"
        ) from error


def _read_passages(file: Path) -> Iterator[Passage]:
    try:
        with open_bytes(file) as opened:
            text = opened.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DemoError(f"{file} is not UTF-8 text (byte {error.start})") from None
    except JobError as error:
        raise DemoError(error.message) from None
    except OSError as error:
        raise DemoError(f"cannot read {file}: {error.strerror}") from None
    is_markdown = uncompressed_suffix(file) == ".md"
    for line, body in _split(text.replace("\r\n", "\n").replace("\r", "\n"), is_markdown):
        yield Passage(f"{file}:{line}", f"{file.name}\n{body}", str(file), line)


def _split(text: str, is_markdown: bool) -> Iterator[tuple[int, str]]:
    """Yield passages with the number of their first line: whole paragraphs if they fit."""
    paragraphs = _join(_lines(text), "\n")
    yield from _join(_sections(paragraphs) if is_markdown else paragraphs, "\n\n")


def _sections(paragraphs: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Yield an empty piece, which ends a passage, before the headings of each section."""
    was_heading = False
    for line, paragraph in paragraphs:
        is_heading = HEADING.fullmatch(paragraph) is not None
        if is_heading and not was_heading:
            yield line, ""
        yield line, paragraph
        was_heading = is_heading


def _join(pieces: Iterable[tuple[int, str]], separator: str) -> Iterator[tuple[int, str]]:
    """Join consecutive pieces up to 120 words. An empty piece ends a passage."""
    first, joined, words = 1, list[str](), 0
    for line, piece in pieces:
        length = len(piece.split())
        if joined and (not piece or words + length > PASSAGE_WORDS):
            yield first, separator.join(joined)
            joined, words = [], 0
        if piece:
            first = first if joined else line
            joined.append(piece)
            words += length
    if joined:
        yield first, separator.join(joined)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.split()
        if len(words) <= PASSAGE_WORDS:
            yield number, line.rstrip()
            continue
        for start in range(0, len(words), PASSAGE_WORDS):
            yield number, " ".join(words[start : start + PASSAGE_WORDS])


def take(passages: Iterable[Passage], limit: int) -> list[Passage]:
    """Return the first passages of all modules or files in turn, up to a limit."""
    by_source: dict[str, list[Passage]] = {}
    for passage in passages:
        by_source.setdefault(passage.source, []).append(passage)
    turns = zip_longest(*by_source.values())
    chosen = [passage for turn in turns for passage in turn if passage is not None]
    return chosen[:limit]
