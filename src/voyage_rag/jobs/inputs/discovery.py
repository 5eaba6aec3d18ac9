"""Find the files of an input: paths, globs, and folders, which are read recursively."""

from __future__ import annotations

import glob
import json
import re
from collections import Counter
from collections.abc import Collection, Container, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias, get_args
from urllib.parse import unquote

from voyage_rag.jobs.errors import JobError
from voyage_rag.jobs.lines import uncompressed_suffix

InputFormat: TypeAlias = Literal[
    "jsonl", "json", "csv", "tsv", "parquet", "arrow", "lines", "folder"
]
"""JSON Lines, a JSON array, tables, files with one text per line, or files with a single text."""

FORMATS: dict[str, InputFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".txt": "lines",
}
TEXT_SUFFIXES = (".md", ".rst", ".txt")
"""Suffixes of files in a folder that are single texts."""

OTHER_FORMATS = {
    ".xlsx": "save it as CSV",
    ".xls": "save it as CSV",
    ".ods": "save it as CSV",
    ".orc": "convert it to Parquet",
    ".avro": "convert it to Parquet or JSON Lines",
    ".7z": "unpack it",
    ".lz4": "decompress it",
    ".br": "decompress it",
    ".zip": "unpack it",
    ".tar": "unpack it",
    ".tgz": "unpack it",
    ".pdf": "extract its text first",
    ".docx": "extract its text first",
    ".html": "extract its text first",
    ".npy": "it contains numbers, not text",
    ".sqlite": "export a table as CSV",
    ".sqlite3": "export a table as CSV",
    ".duckdb": "export a table as Parquet",
    ".db": "export a table as CSV",
}
TABLE_FORMATS = {
    "_delta_log": "a Delta table",
    ".hoodie": "a Hudi table",
    "metadata": "an Iceberg table",
}
"""Formats of folders in which some Parquet files may be obsolete, which only the table's log shows.
"""


HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
"""The value that Hive and Spark write for a partition of missing values."""


JOB_FILES = ("manifest.json", "voyage-rag")
"""Names in the folder of a job."""


class FoundFile(NamedTuple):
    """A file of the input.

    Attributes:
        path: Path of the file.
        label: Its name in messages, and the id of a file that is a single text.
        format: Its format.
        constants: Columns from Hive partitions, such as `lang=en` in its path.
    """

    path: Path
    label: str
    format: InputFormat
    constants: dict[str, str | None]


def find_files(
    paths: Sequence[Path], given: InputFormat | None, streams: Container[Path] = ()
) -> tuple[list[FoundFile], int]:
    """Return the files of an input in reading order, and the number of other files in its folders.

    Args:
        paths: Files, folders, or globs.
        given: The format of the files; None determines it from their names.
        streams: Copies of stdin and pipes, which are JSON Lines unless their name has a suffix.

    Raises:
        JobError: A file does not exist, or its format is unknown.
    """
    found, unread = list[FoundFile](), 0
    for path in chain.from_iterable(map(expanded, paths)):
        if path.is_dir():
            inside, others = _in_folder(path, given)
            found += inside
            unread += others
        else:
            is_unnamed = path in streams and not path.suffix
            form = given or ("jsonl" if is_unnamed else _format_of(path))
            found.append(FoundFile(path, path.name, form, _partitions(path)))
    found = _once(found)
    names = Counter(file.label for file in found)
    if len(names) < len(found):
        found = [f._replace(label=f.path.as_posix()) if names[f.label] > 1 else f for f in found]
    return found, unread


def _once(found: Sequence[FoundFile]) -> list[FoundFile]:
    """Leave out links, such as `latest.csv`, to files that are also in the input.

    Texts with several links to the same content elsewhere, as in git-annex, remain: each has an id.

    Raises:
        JobError: A file is in the input twice, but not because of a link.
    """
    direct = Counter(file.path.resolve() for file in found if not file.path.is_symlink())
    for path, count in direct.items():
        if count > 1:
            raise JobError(f"{str(path)!r} appears twice in the input: pass it once")
    links = {file.path.resolve(): file for file in found if file.path.is_symlink()}
    return [
        file
        for file in found
        if not file.path.is_symlink()
        or (
            (path := file.path.resolve()) not in direct
            and (file.format == "folder" or links[path] is file)
        )
    ]


def expanded(path: Path) -> Iterator[Path]:
    """Yield a path, or the files and folders that a glob matches."""
    if path.exists():
        yield path
        return
    if not glob.has_magic(str(path)):
        remedy = ": URLs are not supported, download the file first" if is_url(path) else ""
        raise JobError(f"{str(path)!r} does not exist{remedy}")
    folder = next(parent for parent in path.parents if parent.exists())
    pattern = Path(glob.escape(str(folder)), path.relative_to(folder))
    found = sorted(map(Path, glob.glob(str(pattern), recursive=True)))  # noqa: PTH207 - as above
    matches = [match for match in found if not any(map(_is_job, (match, *match.parents)))]
    files = [match for match in matches if not match.is_dir()]
    if not matches:
        raise JobError(f"no file matches {str(path)!r}")
    yield from files if files and "**" in path.parts else matches


def is_url(path: Path) -> bool:
    """Whether a path is a URL; `Path` removes one of its slashes."""
    return re.match(r"[a-z][a-z0-9]+:/", str(path)) is not None


def _format_of(path: Path) -> InputFormat:
    suffix = uncompressed_suffix(path)
    if form := FORMATS.get(suffix):
        if form in {"parquet", "arrow"} and suffix != path.suffix.lower():
            raise JobError(f"{str(path)!r} cannot be read: decompress it first")
        return form
    if suffix in TEXT_SUFFIXES:
        return "folder"
    if suffix in OTHER_FORMATS:
        raise JobError(f"{str(path)!r} cannot be read: {OTHER_FORMATS[suffix]}")
    raise JobError(
        f"the format of {str(path)!r} is unknown: pass input_format, one of "
        f"{', '.join(get_args(InputFormat))}"
    )


def _in_folder(folder: Path, given: InputFormat | None) -> tuple[list[FoundFile], int]:
    """Return the files of a folder that are read, and the number of the others."""
    _refuse_table_format(folder)
    files = _files_in(folder)
    kinds = {file: _kind_in_folder(file, given) for file in files}
    chosen = given or _only_format(folder, kinds.values())
    taken = [
        FoundFile(file, file.relative_to(folder).as_posix(), chosen, _partitions(file))
        for file in files
        if kinds[file] == chosen
    ]
    if not taken:
        kind = f"{given} file" if given else f"file of a known format or {', '.join(TEXT_SUFFIXES)}"
        raise JobError(f"{str(folder)!r} contains no {kind}")
    return taken, len(files) - len(taken)


def _refuse_table_format(folder: Path) -> None:
    for name, what in TABLE_FORMATS.items():
        if (folder / name).is_dir() and (name != "metadata" or any(folder.glob("metadata/*.avro"))):
            raise JobError(f"{str(folder)!r} is {what}: export it to plain Parquet first")


def _only_format(folder: Path, kinds: Iterable[InputFormat | None]) -> InputFormat:
    """Return the format of the tables in a folder, or that of texts if there are no tables.

    Raises:
        JobError: There are several formats, or few tables that may be settings among many texts.
    """
    tables = Counter(kind for kind in kinds if kind is not None)
    texts = tables.pop("folder", 0)
    form: InputFormat = next(iter(tables), "folder")
    if len(tables) > 1 or (form in {"csv", "json", "tsv"} and tables[form] < texts):
        counts = [f"{tables[kind]:,} {kind}" for kind in sorted(tables)]
        counts += [f"{texts:,} text, whose format is 'folder'"] * (texts > 0)
        raise JobError(
            f"{str(folder)!r} contains files of several formats ({', '.join(counts)}): pass "
            "input_format, or pass the files"
        )
    return form


def _kind_in_folder(file: Path, given: InputFormat | None) -> InputFormat | None:
    suffix = uncompressed_suffix(file)
    if suffix in TEXT_SUFFIXES and given != "lines":
        return "folder"
    return FORMATS.get(suffix)


def text_files(path: Path, suffixes: Collection[str] | None = None) -> Iterator[Path]:
    """Yield the files of a path; in folders, only those with one of the suffixes, if given."""
    for match in expanded(path):
        if match.is_dir():
            for file in _files_in(match):
                if suffixes is None or uncompressed_suffix(file) in suffixes:
                    yield file
        else:
            yield match


def _files_in(folder: Path) -> list[Path]:
    files = _visible(folder, (folder.resolve(),))
    return sorted(files, key=lambda file: file.relative_to(folder).as_posix())


def _visible(folder: Path, roots: tuple[Path, ...]) -> Iterator[Path]:
    """Yield all files in a folder, except hidden files, and files of jobs and of other tools.

    A link to a folder is followed if the folder is neither in nor around one of the `roots`.
    """
    for path in folder.iterdir():
        is_private = path.name.startswith("_") and path.suffix != ".py"
        if is_private or path.name.startswith("."):
            continue
        if path.is_symlink() and path.is_dir():
            real = path.resolve()
            if not any(real.is_relative_to(r) or r.is_relative_to(real) for r in roots):
                yield from _visible(path, (*roots, real))
        elif path.is_dir():
            yield from () if _is_job(path) else _visible(path, roots)
        elif path.is_file() and not _is_foreign_arrow(path):
            yield path


def _is_job(path: Path) -> bool:
    """Whether a path is the folder of a job."""
    return path.suffix == ".job" and any((path / name).exists() for name in JOB_FILES)


def _is_foreign_arrow(path: Path) -> bool:
    """Whether a file in a folder of Hugging Face's `save_to_disk` is a cache or metadata."""
    state = path.with_name("state.json")
    if not (state.exists() and path.with_name("dataset_info.json").exists()):
        return path.name in {"dataset_dict.json", "dataset_infos.json"}
    try:
        facts = json.loads(state.read_bytes()).items()
        (files,) = [value for name, value in facts if name.endswith("data_files")]
        names = {file["filename"] for file in files}
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    return path.name not in names


def _partitions(file: Path) -> dict[str, str | None]:
    parts = (part.partition("=") for part in file.parts[:-1])
    return {
        name: None if value == HIVE_NULL else unquote(value)
        for name, mark, value in parts
        if name and mark
    }
