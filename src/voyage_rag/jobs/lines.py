"""Read files as bytes, lines and JSON values.

Lines end at a line feed only, a byte order mark is ignored, and memory does not depend on the size
of the file.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

from voyage_rag.jobs.errors import DamagedFileError, JobError

MAX_LINE_BYTES = 64 * 2**20
MAX_SHOWN = 1_000
CHUNK_BYTES = 2**18
MAX_MAGIC_BYTES = 16

CARRIAGE_RETURN = r"it has a carriage return (\r) without a line feed: convert or remove it"

NOT_TEXT = {
    codecs.BOM_UTF32_LE: "begins like UTF-32, but UTF-8 is expected: pass encoding='utf-32'",
    codecs.BOM_UTF16_LE: "begins like UTF-16, but UTF-8 is expected: pass encoding='utf-16'",
    codecs.BOM_UTF16_BE: "begins like UTF-16, but UTF-8 is expected: pass encoding='utf-16'",
    b"PAR1\x15": "is a Parquet file, not text: rename it",
    b"ARROW1\0\0": "is an Arrow file, not text: rename it",
}
"""The first bytes of files that are not text in UTF-8, and remedies."""

UNSUPPORTED = {
    b"PK\x03\x04": "is a ZIP archive or an Office document: unpack it, or save it as CSV",
    b"%PDF-": "is a PDF: extract its text first",
    b"version https:": "is a pointer of Git LFS, not the file itself: "
    "download it with 'git lfs pull'",
    b"FEA1": "is a Feather file of version 1: write it as version 2, or as Parquet",
    b"PARE": "is an encrypted Parquet file: decrypt it first",
    b"SQLite format 3\0": "is an SQLite database: export a table as CSV",
}
"""The first bytes of files in unsupported formats, and remedies."""

Line: TypeAlias = tuple[int, bytes, str | None]
"""A line: its number, counted from 1 including blank lines; its bytes, or the first 1,000 if it is
too long; and why it cannot be used, or None.
"""


def _open_zstd(file: BinaryIO) -> BinaryIO:
    try:
        import pyarrow as pa  # noqa: PLC0415 - optional dependency
    except ImportError as error:
        raise ImportError("a .zst file needs pyarrow: pip install 'voyage-rag[bulk]'") from error
    return cast("BinaryIO", io.BufferedReader(pa.input_stream(file, compression="zstd")))


COMPRESSIONS: dict[str, tuple[bytes | tuple[bytes, ...], Callable[[BinaryIO], Any]]] = {
    ".gz": (b"\x1f\x8b\x08", gzip.open),
    ".bz2": (tuple(b"BZh%d1AY&SY" % level for level in range(1, 10)), bz2.open),
    ".xz": (b"\xfd7zXZ\x00", lzma.open),
    ".zst": (b"\x28\xb5\x2f\xfd", _open_zstd),
}
"""The first bytes of compressed files, and the functions that decompress them, by suffix."""


def uncompressed_suffix(path: Path) -> str:
    """Return the suffix of the content, without those of compressions."""
    while path.suffix.lower() in COMPRESSIONS:
        path = path.with_suffix("")
    return path.suffix.lower()


@contextmanager
def open_bytes(path: Path, encoding: str | None = None) -> Iterator[BinaryIO]:
    """Open a file: decompressed, and converted to UTF-8 if its encoding is given.

    The content shows how it is compressed, since names can be wrong.

    Raises:
        JobError: The file is damaged, or has another encoding.
    """
    try:
        with ExitStack() as files:
            file: Any = files.enter_context(path.open("rb"))
            start = file.peek(MAX_MAGIC_BYTES)
            if start and path.suffix.lower() in COMPRESSIONS and _opener(start) is None:
                raise DamagedFileError(
                    f"{path.name} cannot be decompressed: it does not begin like a compressed "
                    "file; if it is not compressed, rename it"
                )
            while opener := _opener(start):
                file = files.enter_context(opener(file))
                start = file.peek(MAX_MAGIC_BYTES)
            if encoding is None and (remedy := _remedy(start, UNSUPPORTED | NOT_TEXT)):
                raise JobError(f"{path.name} {remedy}")
            yield file if encoding is None else io.BufferedReader(_Transcoder(file, encoding))
    except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        if "too much memory" in str(error):
            raise JobError(
                f"{path.name} was compressed with a window of more than 128 MiB: decompress it "
                "with 'zstd -d --long=31'"
            ) from error
        raise DamagedFileError(f"{path.name} cannot be decompressed: {error}") from error
    except UnicodeError as error:
        if encoding is None:
            raise
        reason = getattr(error, "reason", error)
        raise JobError(f"{path.name} is not valid {encoding}: {reason}") from error


def _opener(start: bytes) -> Callable[[BinaryIO], Any] | None:
    return next(
        (opener for magic, opener in COMPRESSIONS.values() if start.startswith(magic)), None
    )


def _remedy(start: bytes, remedies: Mapping[bytes, str]) -> str | None:
    return next((known for magic, known in remedies.items() if start.startswith(magic)), None)


def remedy_for_binary(path: Path) -> str | None:
    """Return what a file is that cannot be read as Parquet or Arrow; None if this is unknown."""
    with path.open("rb") as file:
        start = file.read(MAX_MAGIC_BYTES)
    return _remedy(start, UNSUPPORTED) or (
        "is compressed: decompress it" if _opener(start) else None
    )


class _Transcoder(io.RawIOBase):
    """Converts bytes of any encoding to UTF-8."""

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            chunk = self._file.read(CHUNK_BYTES)
            text = self._decoder.decode(chunk, final=not chunk)
            if not chunk and not text:
                return 0
            self._ready = text.encode("utf-8", "surrogatepass")
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count


def read_lines(file: BinaryIO) -> Iterator[Line]:
    """Yield the lines that are not blank."""
    number = 0
    while content := file.readline(MAX_LINE_BYTES):
        number += 1
        if number == 1:
            content = content.removeprefix(codecs.BOM_UTF8)
        if len(content) == MAX_LINE_BYTES and not content.endswith(b"\n"):
            content = content[:MAX_SHOWN]
            rest = b"-"
            while rest and not rest.endswith(b"\n"):
                rest = file.readline(CHUNK_BYTES)
            yield number, content, f"the line has more than {MAX_LINE_BYTES:,} bytes"
        elif content and not content.isspace():
            is_alone = number == 1 and not content.endswith(b"\n")
            has_lines = is_alone and b"\r" in content.rstrip(b"\r")
            yield number, content, CARRIAGE_RETURN if has_lines else None


def parse_json(content: bytes) -> Any:
    """Parse a JSON value. A byte order mark before it is ignored: files may be concatenated.

    Raises:
        ValueError: The line is not valid JSON. The message is short.
    """
    try:
        return json.loads(content.decode())
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        if content.startswith(codecs.BOM_UTF8):
            return parse_json(content.removeprefix(codecs.BOM_UTF8))
        raise ValueError(f"not JSON: {error.msg}") from None
    except RecursionError:
        raise ValueError("not JSON: nested too deeply") from None
    except ValueError:
        raise ValueError("not JSON: a number has too many digits") from None


def read_json_values(file: BinaryIO, name: str) -> Iterator[tuple[int, Any]]:
    """Yield the values of a JSON array, or concatenated values, each with its position from 1.

    Raises:
        DamagedFileError: The rest of the file is not JSON.
    """
    text = io.TextIOWrapper(file, "utf-8-sig", "surrogateescape")
    values, count = _JSONText(text), 0
    try:
        in_array = values.next_character() == "["
        if in_array:
            values.skip()
        while (character := values.next_character("," * in_array)) or in_array:
            if in_array and character == "]":
                in_array = False
                values.skip()
                continue
            value = values.next_value()
            count += 1
            yield count, value
    except _NotJSONError as error:
        raise DamagedFileError(
            f"{name} is not JSON after its first {count:,} values: {error}"
        ) from None
    finally:
        text.detach()


class _NotJSONError(Exception):
    """A value is incomplete, not JSON, nested too deeply or too large."""


class _JSONText:
    """Text with JSON values, of which only the current one is in memory."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._decode = json.JSONDecoder().raw_decode
        self._buffer, self._at = "", 0
        self._is_over = False
        self._wanted = CHUNK_BYTES

    def next_character(self, ignored: str = "") -> str:
        """Return the next character that is neither blank nor ignored; "" at the end."""
        while True:
            for at in range(self._at, len(self._buffer)):
                if not self._buffer[at].isspace() and self._buffer[at] not in ignored:
                    self._at = at
                    return self._buffer[at]
            self._at = len(self._buffer)
            if self._is_over:
                return ""
            self._read_more()

    def skip(self) -> None:
        """Skip the character that `next_character` returned."""
        self._at += 1

    def next_value(self) -> Any:
        """Return the value that begins here, or raise a `_NotJSONError`."""
        while True:
            try:
                value, end = self._decode(self._buffer, self._at)
            except (ValueError, RecursionError) as error:
                if self._is_over or len(self._buffer) - self._at > MAX_LINE_BYTES:
                    reason = getattr(error, "msg", "a value is nested too deeply or too large")
                    raise _NotJSONError(reason) from None
            else:
                if end < len(self._buffer) or self._is_over:  # a number may continue
                    self._at, self._wanted = end, CHUNK_BYTES
                    return value
            self._read_more()

    def _read_more(self) -> None:
        """Read the next chunk. Chunks of one value double, because it is decoded again."""
        more = self._text.read(self._wanted)
        self._buffer, self._at = self._buffer[self._at :] + more, 0
        self._is_over, self._wanted = not more, 2 * self._wanted
