"""Texts that occur more than once in an input: each is sent once, and its vector is reused.

The first pass over the input finds the texts that may repeat, by a hash of each text. Their vectors
are stored in a file during the run. Each of them takes about 150 bytes of memory.
"""

from __future__ import annotations

import hashlib
import os
import threading
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from voyage_rag.jobs.inputs.arrow_files import pa, pc
from voyage_rag.types import Vector

MAX_TEXTS = 1_000_000
"""Maximum number of texts whose vectors are kept. Repetitions of further texts are sent again."""

DIGEST_BYTES = 16
HASHES, ROWS = "q", "Q"


def write_repeated(hashes: array[int], path: Path) -> None:
    """Write the number of repeated hashes and their rows; no file if there are none."""
    path.unlink(missing_ok=True)
    numbers = pa.Array.from_buffers(pa.int64(), len(hashes), [None, pa.py_buffer(hashes)])
    ordered = numbers.take(pc.array_sort_indices(numbers))  # a hash table takes 10 times as much
    repeated = ordered[1:].filter(pc.equal(ordered[1:], ordered[:-1])).unique()
    if len(repeated):
        rows = pc.indices_nonzero(pc.is_in(numbers, value_set=repeated))
        path.write_bytes(array(ROWS, [len(repeated), *rows.to_pylist()]).tobytes())


class RepeatedTexts:
    """Rows with the same text as another row of the run.

    Args:
        path: The file of `write_repeated`, which may be missing. Vectors are stored next to it.
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
        return min(self._texts, MAX_TEXTS)

    @property
    def expects_vectors(self) -> bool:
        """Whether vectors of repeated texts are still missing, although their texts were sent."""
        return bool(self._digests)

    def find(self, row: int, text: str) -> bytes | None:
        """Return the vector of a row; b"" if its text was sent; None if the text is new."""
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
            if len(self._places) + len(self._asked) < MAX_TEXTS:
                self._asked[digest] = []
                self._digests[row] = digest
            return None

    def store(self, row: int, vector: Vector) -> Sequence[int]:
        """Store the vector of a row, and return the other rows that wait for it."""
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
        """Forget the texts that were sent, but not stored, in a previous round."""
        with self._lock:
            self._asked.clear()
            self._digests.clear()

    def close(self) -> None:
        """Close and delete the file."""
        if self._file >= 0:
            os.close(self._file)
            self._path.unlink(missing_ok=True)
            self._file = -1
