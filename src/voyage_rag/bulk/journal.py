"""Store results on disk as they arrive, so that they survive a killed process.

A journal is a file of records, each of which is written completely before the next. It ends at the
first incomplete or damaged record. Disk space is allocated before anything is sent, so that a full
disk is detected before it costs money. Records are in the byte order of this machine and are not
portable.
"""

from __future__ import annotations

import os
import sys
import threading
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import NamedTuple

from voyage_rag.jobs.files import atomic_write

HEADER = Struct("=4sIIQQI")
MAGIC, TOTALS_MAGIC = b"VRJ1", b"VRJS"
CHECKED = HEADER.size - 4


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """Vectors of consecutive rows, counted from the start of the journal's part.

    They are `length` bytes from the position `offset` of the file; none if the rows were rejected.
    """

    first: int
    count: int
    tokens: int
    offset: int
    length: int


class Journal:
    """A file with the records of one part, which are read if it exists.

    Args:
        path: Path of the file.
        reserved: Bytes of disk space to allocate; 0 for none.

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
            OSError: The disk is full. Earlier records are safe.
        """
        head = HEADER.pack(MAGIC, first, count, tokens, len(vectors), 0)[:CHECKED]
        with self._lock:
            at = self._end
            for piece in (head + _checksum(head, vectors), vectors):
                left = memoryview(piece)
                while left:  # `pwrite` may write less than it was given
                    written = os.pwrite(self._file, left, at)
                    left, at = left[written:], at + written
            self.records.append(
                JournalRecord(first, count, tokens, at - len(vectors), len(vectors))
            )
            self._end = at

    def vectors(self, most: int) -> Iterator[memoryview]:
        """Yield the vectors of all records in the order of the rows, `most` bytes at a time.

        Each buffer is valid until the next one is requested, which overwrites it.
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

    def reduce_to_totals(self, rows: int) -> None:
        """Replace the records by the totals of `rows` rows, whose vectors are in the output."""
        self.close()
        tokens, requests = costs_of(self.records)
        with atomic_write(self.path) as path:
            path.write_bytes(HEADER.pack(TOTALS_MAGIC, requests, rows, tokens, 0, 0))

    def _found(self) -> Iterator[JournalRecord]:
        for record, header in _records(self._file):
            vectors = os.pread(self._file, record.length, record.offset)
            if _checksum(header[:CHECKED], vectors) != header[CHECKED:]:
                return
            yield record


class JournalTotals(NamedTuple):
    """The totals of a journal. `rows` includes rejected rows.

    `is_reduced` means that the journal contains only these totals, and the output the vectors.
    """

    rows: int
    tokens: int
    requests: int
    is_reduced: bool = False


def read_totals(path: Path) -> JournalTotals:
    """Return the rows and tokens of a journal from its headers, without reading the vectors."""
    file = os.open(path, os.O_RDONLY)
    try:
        records = [record for record, _ in _records(file)]
        if not records:
            header = os.pread(file, HEADER.size, 0)
            if len(header) == HEADER.size and header.startswith(TOTALS_MAGIC):
                _, requests, rows, tokens, _, _ = HEADER.unpack(header)
                return JournalTotals(rows, tokens, requests, is_reduced=True)
    finally:
        os.close(file)
    return JournalTotals(sum(record.count for record in records), *costs_of(records))


def costs_of(records: Iterable[JournalRecord]) -> tuple[int, int]:
    """Return the tokens and requests of records."""
    costs = [record.tokens for record in records if record.tokens]
    return sum(costs), len(costs)


def _records(file: int) -> Iterator[tuple[JournalRecord, bytes]]:
    """Yield the records of a journal with their headers."""
    offset = 0
    while True:
        header = os.pread(file, HEADER.size, offset)
        if len(header) < HEADER.size or not header.startswith(MAGIC):
            return
        _, first, count, tokens, length, _ = HEADER.unpack(header)
        offset += HEADER.size
        yield JournalRecord(first, count, tokens, offset, length), header
        offset += length


def _checksum(head: bytes, vectors: bytes) -> bytes:
    return zlib.crc32(vectors, zlib.crc32(head)).to_bytes(4, sys.byteorder)
