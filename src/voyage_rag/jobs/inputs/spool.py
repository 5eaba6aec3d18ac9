"""Copy inputs that can be read only once, such as stdin and pipes, to a file."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

from voyage_rag.jobs.errors import JobError
from voyage_rag.jobs.files import is_special

STDIN = Path("-")


def spool(paths: Sequence[Path], folder: Path) -> tuple[list[Path], dict[Path, str]]:
    """Copy stdin and pipes to a folder.

    Returns:
        The paths to read instead, and the content digests of the copies.
    """
    given, digests = list[Path](), dict[Path, str]()
    for number, path in enumerate(paths):
        if not is_stream(path):
            given.append(path)
            continue
        copy = folder / str(number) / ("stdin" if path == STDIN else path.name)
        copy.parent.mkdir(parents=True, exist_ok=True)
        opened = nullcontext(_stdin()) if path == STDIN else path.open("rb")
        with opened as source, copy.open("w+b") as file:
            shutil.copyfileobj(source, file)
            file.seek(0)
            digests[copy] = hashlib.file_digest(file, "blake2b").hexdigest()
        given.append(copy)
    return given, digests


def is_stream(path: Path) -> bool:
    """Whether a path is stdin, a pipe or a device: `-`, a FIFO, or a shell's `<(...)`."""
    return path == STDIN or is_special(path)


def _stdin() -> BinaryIO:
    if sys.stdin is None or sys.stdin.closed:
        raise JobError("stdin is closed: pass a file, or pipe data into the command")
    return sys.stdin.buffer
