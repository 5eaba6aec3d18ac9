"""Texts that an input holds more than once: each is sent once, and its vector kept for the others.

The first pass over the input finds which texts may repeat, by a hash of each. Vectors of those
that do are in a file, as long as the run takes: memory holds some 150 bytes for each of them.
"""

from __future__ import annotations

import hashlib
import os
import threading
from array import array
from bisect import bisect_left
from contextlib import suppress
from typing import TYPE_CHECKING

from voyage_rag.jobs.inputs.arrow_files import pa, pc

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from voyage_rag.types import Vector

MOST_TEXTS = 1_000_000
"""Different texts whose vectors are kept; beyond, texts that repeat are sent again."""

DIGEST_BYTES = 16
HASHES, ROWS = "q", "Q"


def write_repeated(hashes: array[int], path: Path) -> None:
    """Write how many hashes several rows have, and these rows; no file if there are none."""
    path.unlink(missing_ok=True)
    numbers = pa.Array.from_buffers(pa.int64(), len(hashes), [None, pa.py_buffer(hashes)])
    values, counts = numbers.value_counts().flatten()
    repeated = values.filter(pc.greater(counts, 1))
    if len(repeated):
        rows = pc.indices_nonzero(pc.is_in(numbers, value_set=repeated))
        path.write_bytes(array(ROWS, [len(repeated), *rows.to_pylist()]).tobytes())


class RepeatedTexts:
    """The rows whose text another row of the same run has.

    Args:
        path: The file of `write_repeated`, which may be missing. One for vectors is beside it.
    """

    def __init__(self, path: Path) -> None:
        self._rows = array(ROWS)
        with suppress(FileNotFoundError):
            self._rows.frombytes(path.read_bytes())
        self._texts = self._rows.pop(0) if self._rows else 0
        self._path = path.with_suffix(".vectors")
        self._file = -1
        self._size = 0
        self._places: dict[bytes, int] = {}
        self._asked: dict[bytes, list[int]] = {}
        self._digests: dict[int, bytes] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return min(self._texts, MOST_TEXTS)

    @property
    def expects_vectors(self) -> bool:
        """Whether texts that repeat were sent whose vectors are not there yet."""
        return bool(self._digests)

    def find(self, row: int, text: str) -> bytes | None:
        """The vector of a row; nothing where one of its text is awaited; None where it is new."""
        at = bisect_left(self._rows, row)
        if at == len(self._rows) or self._rows[at] != row:
            return None
        digest = hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES).digest()
        with self._lock:
            if (place := self._places.get(digest)) is not None:
                return os.pread(self._file, self._size, place * self._size)
            if digest in self._asked:
                self._asked[digest].append(row)
                return b""
            if len(self._places) + len(self._asked) < MOST_TEXTS:
                self._asked[digest] = []
                self._digests[row] = digest
            return None

    def waiting(self, row: int, vector: Vector) -> Sequence[int]:
        """Keep the vector of a row; the rows that waited for it."""
        with self._lock:
            digest = self._digests.pop(row, None)
            if digest is None:
                return ()
            if self._file < 0:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
                self._size = len(vector) * vector.itemsize
            place = len(self._places)
            os.pwrite(self._file, vector, place * self._size)
            self._places[digest] = place
            return self._asked.pop(digest)

    def restart(self) -> None:
        """Expect no more of what was asked for."""
        with self._lock:
            self._asked.clear()
            self._digests.clear()

    def close(self) -> None:
        """Close and remove the file."""
        if self._file >= 0:
            os.close(self._file)
            self._path.unlink(missing_ok=True)
            self._file = -1
