"""Random files with random defects through `voyage-rag embed`'s job, next to a simple reader."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import random
import shutil
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fakes import MODEL, FakeService, served, vector_of, voyage_over
from voyage_rag import VoyageError
from voyage_rag.bulk import EmbeddingJob, JobReport

FORMATS = ("jsonl", "json", "csv", "tsv", "parquet", "arrow", "txt", "md")
TABLES = {"parquet", "arrow"}
PIECES = (
    "one",
    "zwei",
    "три",
    "語",
    '"',
    "'",
    ",",
    ";",
    "\t",
    " ",
    "\u2028",
    "\x0b",
    "\x85",
    "🎈",
    "\\",
)
MOST_ROWS = 40

Row = tuple[Any, Any]
"""An id and a text; None for what makes the row a bad one."""


@dataclass
class Case:
    """A file or folder, and what a simple reader finds in it.

    Attributes:
        seed: Makes the same case again.
        form: Its format.
        defects: What was done to it.
        options: Those of the job.
        rows: What the reader finds: good rows, and None for each that has to be reported.
        damaged: Whether a file ends early, so that rows in it may be missing.
    """

    seed: int
    form: str
    defects: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    rows: list[Row | None] = field(default_factory=list)
    damaged: bool = False


@dataclass(frozen=True)
class FileOutcome:
    """What became of all cases.

    Attributes:
        cases: How many there were.
        seconds: It took.
        defects: How often each was met.
        grievances: What is wrong; empty if all is well.
    """

    cases: int
    seconds: float
    defects: Counter[str]
    grievances: list[str]


class KilledError(BaseException):
    """Simulates the end of the process."""


def run(count: int, seed: int) -> FileOutcome:
    """Run this number of cases."""
    began, defects, grievances = time.monotonic(), Counter[str](), list[str]()
    for number in range(seed, seed + count):
        folder = Path(tempfile.mkdtemp(prefix="voyage-rag-chaos-"))
        try:
            found, case = _tried(number, folder)
        finally:
            shutil.rmtree(folder)
        defects.update([case.form, *case.defects])
        what = f"case {number} ({case.form}, {', '.join(case.defects) or 'sound'})"
        grievances += [f"{what}: {each}" for each in found]
    return FileOutcome(count, time.monotonic() - began, defects, grievances)


def _tried(seed: int, folder: Path) -> tuple[list[str], Case]:
    chance = random.Random(seed)
    case = Case(seed, chance.choice(FORMATS))
    source = _written(case, chance, folder)
    output = folder / chance.choice(["out.parquet", "out.jsonl", "out", "out.npy"])
    others = _unrelated(folder, output, chance)
    case.options |= {"model": MODEL, "on_error": "skip", "rows_per_part": chance.randint(1, 9)}
    case.options["batch_size"] = chance.randint(1, 5)
    change = _event(case, chance, source)
    try:
        found = _compared(case, source, output, change)
    except Exception:  # noqa: BLE001 - any is a grievance
        found = [traceback.format_exc(limit=-3).replace("\n", " ")]
    changed = [path for path, content in others.items() if not _same(path, content)]
    return found + [f"{path.name} was touched" for path in changed], case


def _compared(
    case: Case, source: Path, output: Path, change: Callable[[bytes], Any] | None
) -> list[str]:
    good = [row for row in case.rows if row is not None]
    job = EmbeddingJob(source, output, **case.options)
    requests = -(-len(good) // case.options["batch_size"])
    script = [] if change is None else [served] * (requests // 2) + [change]
    try:
        report = job.run(voyage_over(FakeService(*script), concurrency=1))
    except KilledError:
        report = job.run(voyage_over(FakeService()))
    except BaseExceptionGroup as group:  # a kill, from a thread
        if group.split(KilledError)[1] is not None:
            raise
        report = job.run(voyage_over(FakeService()))
    except VoyageError as error:
        if "changed" in case.defects and "changed" in str(error):
            return ["the output is there"] if output.exists() else []
        if case.damaged or not good:
            return ["the output is there"] if output.exists() else []
        return [f"refused: {error}"]
    if case.damaged or not good:
        accepted = ["accepted"]
        return _compared_with_damaged(case, good, report, output) if case.damaged else accepted
    if "changed" in case.defects:
        return ["the change was not noticed"]
    bad = len(case.rows) - len(good)
    side = 0
    if report.refused_file is not None:
        side = len(report.refused_file.read_text("utf-8").splitlines())
    found = []
    if (report.texts, report.refused, side) != (len(good), bad, bad):
        found.append(f"{report.texts} + {report.refused} ({side} kept), not {len(good)} + {bad}")
    if _read(output) != [(name, vector_of(text)) for name, text in good]:
        found.append("the output differs")
    return found


def _compared_with_damaged(
    case: Case, good: list[Row], report: JobReport, output: Path
) -> list[str]:
    """Check that rows are in order and the damage is reported. Counts are unknown."""
    found = [vector for _, vector in _read(output)]
    left = iter([vector_of(text) for _, text in good])
    extra = [vector for vector in found if vector not in left]
    side = report.refused_file and report.refused_file.read_text("utf-8").splitlines()
    if not report.damaged or side is None or len(side) != report.refused:
        return [f"{report.damaged} damaged, {report.refused} refused ({side})"]
    if report.texts != len(found) or (extra and "same id" not in case.defects):
        return [f"{report.texts} texts, {len(found)} rows, of which {len(extra)} are unknown"]
    return []


def _read(output: Path) -> list[tuple[Any, list[float]]]:
    if output.suffix == ".jsonl":
        rows = [json.loads(line) for line in output.read_text("utf-8").split("\n") if line]
        return [(row["id"], row["embedding"]) for row in rows]
    if output.suffix == ".npy":
        import numpy as np

        names = output.with_name("out.npy.ids.jsonl").read_text("utf-8").split("\n")
        vectors = np.load(output).tolist()
        return list(zip(map(json.loads, filter(None, names)), vectors, strict=True))
    table = pq.read_table(output)
    return list(zip(table["id"].to_pylist(), table["embedding"].to_pylist(), strict=True))


# ── inputs ────────────────────────────────────────────────────────────────────────────────────────


def _written(case: Case, chance: random.Random, folder: Path) -> Path:
    rows = _rows(case, chance)
    if case.form in {"txt", "md"} or chance.random() < 0.3:
        rows = [(None, text) for _, text in rows]
    has_ids = bool(rows) and rows[0][0] is not None
    if case.form in TABLES:
        return _as_table(case, rows, chance, folder)
    if case.form == "md":
        return _as_texts(case, rows, chance, folder)
    content = {"jsonl": _as_jsonl, "json": _as_json, "csv": _as_csv, "tsv": _as_tsv,
               "txt": _as_lines}[case.form](case, rows, chance, has_ids)  # fmt: skip
    return _packed(case, content, chance, folder)


def _rows(case: Case, chance: random.Random) -> list[Row]:
    kind = chance.choice(["string", "integer"])
    rows: list[Row] = []
    for number in range(chance.randint(1, MOST_ROWS)):
        text = "".join(chance.choices(PIECES, k=chance.randint(1, 6))) + f"x{number}"
        rows.append((number if kind == "integer" else f"id-{number}", text))
    if len(rows) > 2 and chance.random() < 0.2:
        case.defects.append("same id")
        rows[-1] = (rows[0][0], rows[-1][1])
    if chance.random() < 0.2:
        case.defects.append("empty text")
        at = chance.randrange(len(rows))
        rows[at] = (rows[at][0], "")
    return rows


def _settle(case: Case, found: list[Row | None], has_ids: bool) -> None:
    """What the job has to find: ids that are there once, texts that are not empty."""
    seen = set[Any]()
    for position, row in enumerate(found):
        name = row and (row[0] if has_ids else position)
        if row is None or not row[1] or name in seen or name in {"", None}:
            case.rows.append(None)
        else:
            seen.add(name)
            case.rows.append((name, row[1]))


def _as_jsonl(case: Case, rows: list[Row], chance: random.Random, has_ids: bool) -> bytes:
    ascii_only = chance.random() < 0.5
    lines = [
        json.dumps(
            {"id": name, "text": text} if has_ids else {"text": text}, ensure_ascii=ascii_only
        ).encode()
        for name, text in rows
    ]
    for defect, spoil in (
        ("broken line", lambda it: it[:-3]),
        ("not UTF-8", lambda it: it[:-2] + b'\xff"}'),
    ):
        if chance.random() < 0.2:
            case.defects.append(defect)
            at = chance.randrange(len(lines))
            lines[at] = spoil(lines[at])
    found: list[Row | None] = []
    for line in lines:
        try:
            value = json.loads(line.decode())
            found.append((value.get("id"), value["text"]))
        except ValueError:
            found.append(None)
    _settle(case, found, has_ids)
    return _framed(case, lines, chance)


def _framed(case: Case, lines: list[bytes], chance: random.Random) -> bytes:
    end = chance.choice([b"\n", b"\r\n"])
    if chance.random() < 0.2:
        case.defects.append("blank lines")
        lines = [piece for line in lines for piece in (line, b"  ")]
    start = b"\xef\xbb\xbf" if chance.random() < 0.2 else b""
    return start + end.join(lines) + (end if chance.random() < 0.8 else b"")


def _as_json(case: Case, rows: list[Row], chance: random.Random, has_ids: bool) -> bytes:
    values = [{"_id": name, "text": text} if has_ids else {"text": text} for name, text in rows]
    content = json.dumps(values, indent=chance.choice([None, 1])).encode()
    _settle(case, list(rows), has_ids)
    if chance.random() < 0.2:
        case.defects.append("cut off")
        case.damaged = True
        content = content[: chance.randrange(1, len(content))]
    return content


def _as_csv(case: Case, rows: list[Row], chance: random.Random, has_ids: bool) -> bytes:
    delimiter = chance.choice(",;|")
    if delimiter != ",":
        case.options["delimiter"] = delimiter
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=chance.choice(["\n", "\r\n"]))
    writer.writerow(["id", "text"] if has_ids else ["text", "other"])
    for name, text in rows:
        more = chance.choice(["", "\nnext line"])
        writer.writerow([f"k{name}", text + more] if has_ids else [text + more, "o"])
    lines = out.getvalue().split("\n")[:-1]
    if len(lines) > 2:
        at = chance.randrange(1, len(lines))
        if chance.random() < 0.2:
            case.defects.append("stray quote")
            lines[at] = lines[at].replace(delimiter, f'{delimiter}"', 1)
        elif chance.random() < 0.2:
            case.defects.append("more fields")
            lines[at] += f"{delimiter}x"
    content = "\n".join(lines) + "\n"
    _settle(case, _reference_csv(content, delimiter, has_ids), has_ids)
    encoding = chance.choice(["utf-8", "utf-8-sig", "utf-16"])
    if encoding == "utf-16":
        case.options["encoding"] = encoding
    return content.encode(encoding)


def _reference_csv(content: str, delimiter: str, has_ids: bool) -> list[Row | None]:
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)
    next(reader)
    found: list[Row | None] = []
    while True:
        before = reader.line_num
        try:
            fields = next(reader)
        except StopIteration:
            return found
        except csv.Error:
            fields = []
            if reader.line_num == before:
                return found
        count = reader.line_num - before
        if len(fields) == 2:
            found.append((fields[0], fields[1]) if has_ids else (None, fields[0]))
        else:
            found += [None] * count


def _as_tsv(case: Case, rows: list[Row], chance: random.Random, has_ids: bool) -> bytes:
    rows = [(name, text.replace("\t", " ")) for name, text in rows]
    lines = [f"k{name}\t{text}" if has_ids else f"{text}\tother" for name, text in rows]
    _settle(case, [(f"k{name}", text) for name, text in rows], has_ids)
    header = "id\ttext" if has_ids else "text\tother"
    if chance.random() < 0.3:
        case.defects.append("no header")
        case.options |= {"header": False, "text_column": "2" if has_ids else "1"}
        if has_ids:
            case.options["id_column"] = "1"
    else:
        lines.insert(0, header)
    return ("\n".join(lines) + "\n").encode()


def _as_lines(case: Case, rows: list[Row], chance: random.Random, has_ids: bool) -> bytes:
    lines = [text.encode() for _, text in rows if text.strip()]
    if chance.random() < 0.2 and lines:
        case.defects.append("not UTF-8")
        lines[0] += b"\xff"
    found = [(None, None if b"\xff" in line else line.decode()) for line in lines]
    _settle(case, list(found), has_ids=False)
    return _framed(case, lines, chance)


def _as_table(case: Case, rows: list[Row], chance: random.Random, folder: Path) -> Path:
    has_ids = rows[0][0] is not None
    columns: dict[str, Any] = {"text": [text for _, text in rows]}
    if chance.random() < 0.2:
        case.defects.append("null text")
        columns["text"][0] = None
        rows[0] = (rows[0][0], None)
    if has_ids:
        columns["id"] = [name for name, _ in rows]
    _settle(case, list(rows), has_ids)
    schema = pa.schema(
        [
            (name, pa.string() if name == "text" or isinstance(v[-1], str) else pa.int64())
            for name, v in columns.items()
        ]
    )
    table = pa.table(columns, schema=schema)
    shards = chance.randint(1, 3)
    home = folder / "in"
    home.mkdir()
    size = -(-len(rows) // shards)
    for number, start in enumerate(range(0, len(rows), size)):
        path = home / f"sub{number}" / f"shard-{number}.{case.form}"
        path.parent.mkdir()
        shard = table.slice(start, size)
        if case.form == "parquet":
            pq.write_table(shard, path, row_group_size=chance.randint(1, 9))
        else:
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
                writer.write_table(shard, max_chunksize=chance.randint(1, 9))
        if chance.random() < 0.05:
            case.defects.append("cut off")
            case.damaged = True
            path.write_bytes(path.read_bytes()[: chance.randint(0, 60)])
    return home


def _as_texts(case: Case, rows: list[Row], chance: random.Random, folder: Path) -> Path:
    home = folder / "in"
    home.mkdir()
    found: list[Row | None] = []
    for number, (_, text) in enumerate(rows):
        name = f"{number:03}.md"
        content = text.encode()
        if chance.random() < 0.05:
            case.defects.append("not UTF-8")
            content += b"\xff"
            found.append(None)
        else:
            found.append((name, text))
        (home / name).write_bytes(content)
    _settle(case, found, has_ids=True)
    return home


def _packed(case: Case, content: bytes, chance: random.Random, folder: Path) -> Path:
    pack = chance.choice([None, None, (".gz", gzip.compress), (".bz2", bz2.compress)])
    path = folder / f"in.{case.form}{pack[0] if pack else ''}"
    if pack:
        content = pack[1](content)
        if chance.random() < 0.1:
            case.defects.append("damaged archive")
            case.damaged = True
            content = content[:-5]
    path.write_bytes(content)
    return path


# ── what happens meanwhile ────────────────────────────────────────────────────────────────────────


def _event(case: Case, chance: random.Random, source: Path) -> Callable[[bytes], Any] | None:
    drawn = chance.random()
    if drawn < 0.2:
        case.defects.append("killed")

        def kill(_: bytes) -> Any:
            raise KilledError

        return kill
    if drawn < 0.4:
        case.defects.append("changed")
        files = [source] if source.is_file() else [p for p in source.rglob("*") if p.is_file()]

        def change(body: bytes) -> Any:
            path = chance.choice(files)
            path.write_bytes(path.read_bytes() + b"\n")
            return served(body)

        return change
    return None


def _unrelated(folder: Path, output: Path, chance: random.Random) -> dict[Path, bytes]:
    names = [
        f"{output.name}.refused.jsonl", f"{output.name}.tmp", f".{output.name}.swp", "notes.txt",
        f"{output.name}.jobs", f"{output.name}.bak",
    ]  # fmt: skip
    others = {folder / name: chance.randbytes(9) for name in chance.sample(names, 3)}
    for path, content in others.items():
        path.write_bytes(content)
    return others


def _same(path: Path, content: bytes) -> bool:
    return path.exists() and path.read_bytes() == content
