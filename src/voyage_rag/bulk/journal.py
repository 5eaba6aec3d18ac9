"""Results on disk as they come: what was paid for survives a process that is killed.

A journal is a file of records, each written whole before the next; a record that is cut off or
damaged ends it. Space is taken before anything is sent, so that a full disk is found before it
costs anything. The records are in the machine's byte order, for this machine alone.
"""

from __future__ import annotations

import os
import threading
import zlib
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEADER = Struct("=4sIIQQI")
MAGIC = b"VRJ1"
CHECKED = HEADER.size - 4


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """Vectors of neighbouring rows; of no length where the rows were refused.

    Attributes:
        first: The first row, counted from the start of the journal's part.
        count: How many rows.
        tokens: What they cost.
        offset: Where the vectors are in the file.
        length: Bytes of all vectors together.
    """

    first: int
    count: int
    tokens: int
    offset: int
    length: int


class Journal:
    """The records of one part.

    Args:
        path: The file; made if it is not there, and read if it is.
        reserved: Bytes of disk space to allocate beforehand; 0 for none.

    Raises:
        OSError: The disk is full.
    """

    def __init__(self, path: Path, reserved: int) -> None:
        self.path = path
        self.records: list[JournalRecord] = []
        self._lock = threading.Lock()
        self._is_open = True
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._end = 0
            for record in self._found():
                self.records.append(record)
                self._end = record.offset + record.length
            if reserved and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self._file, 0, reserved)
        except BaseException:
            os.close(self._file)
            raise

    def add(self, first: int, count: int, tokens: int, vectors: bytes) -> None:
        """Store the vectors of `count` rows.

        Raises:
            OSError: The disk is full; what was added before is safe.
        """
        head = HEADER.pack(MAGIC, first, count, tokens, len(vectors), 0)[:CHECKED]
        checksum = zlib.crc32(vectors, zlib.crc32(head))
        message: list[bytes | memoryview] = [
            head + checksum.to_bytes(4, _ORDER),
            memoryview(vectors),
        ]
        with self._lock:
            at = self._end
            end = at + HEADER.size + len(vectors)
            while at < end:
                written = os.pwritev(self._file, message, at)
                message = _without(message, written)
                at += written
            self.records.append(
                JournalRecord(first, count, tokens, end - len(vectors), len(vectors))
            )
            self._end = end

    def vectors(self, most: int) -> Iterator[memoryview]:
        """The vectors of all records, in the order of the rows, so many bytes at a time.

        They are good until the next ones are asked for, which take their place.
        """
        left = sum(record.length for record in self.records)
        group = memoryview(bytearray(min(most, left)))
        filled = 0
        for record in sorted(self.records, key=lambda record: record.first):
            offset, end = record.offset, record.offset + record.length
            while offset < end:
                read = os.preadv(self._file, [group[filled : filled + end - offset]], offset)
                filled += read
                offset += read
                left -= read
                if filled == len(group):
                    yield group
                    group = group[: min(most, left)]
                    filled = 0

    def close(self) -> None:
        """Close the file."""
        if self._is_open:
            self._is_open = False
            os.close(self._file)

    def delete(self) -> None:
        """Remove the file, whose part is elsewhere by now."""
        self.close()
        self.path.unlink(missing_ok=True)

    def _found(self) -> Iterator[JournalRecord]:
        offset = 0
        while True:
            header = os.pread(self._file, HEADER.size, offset)
            if len(header) < HEADER.size or not header.startswith(MAGIC):
                return
            _, first, count, tokens, length, checksum = HEADER.unpack(header)
            offset += HEADER.size
            vectors = os.pread(self._file, length, offset)
            if zlib.crc32(vectors, zlib.crc32(header[:CHECKED])) != checksum:
                return
            yield JournalRecord(first, count, tokens, offset, length)
            offset += length


def _without(message: list[bytes | memoryview], written: int) -> list[bytes | memoryview]:
    """What is left of it: the disk may take less than it was given."""
    left = list[bytes | memoryview]()
    for piece in message:
        if written < len(piece):
            left.append(memoryview(piece)[written:])
        written = max(0, written - len(piece))
    return left


def read_totals(path: Path) -> tuple[int, int]:
    """Rows and tokens of a journal by its headers, without reading what they stand for."""
    rows = tokens = offset = 0
    with path.open("rb") as file:
        while True:
            file.seek(offset)
            header = file.read(HEADER.size)
            if len(header) < HEADER.size or not header.startswith(MAGIC):
                return rows, tokens
            _, _, count, cost, length, _ = HEADER.unpack(header)
            rows, tokens = rows + count, tokens + cost
            offset += HEADER.size + length


_ORDER: Literal["little", "big"] = "little" if Struct("=H").pack(1)[0] else "big"
