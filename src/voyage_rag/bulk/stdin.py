"""An input that comes through a pipe: kept in the job's folder, so that the job can be resumed."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

STDIN = Path("-")
PIECE = 2**20


def kept(path: Path) -> str:
    """Write all of stdin to a file; what changes when its content does."""
    digest = hashlib.blake2b(digest_size=16)
    with path.open("wb") as file:
        while piece := sys.stdin.buffer.read(PIECE):
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()
