"""Atomic file writes, and locks between processes."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

PRIVATE_MODE = 0o600


@contextmanager
def atomic_write(path: Path, *, private: bool = False) -> Iterator[Path]:
    """Return a temporary file next to `path` that replaces it when the block succeeds.

    Readers of `path` see either the old or the new content, even after a power failure. If it is a
    symbolic link, its target is replaced. A `private` file is never readable for other users.

    Raises:
        OSError: The path is a device, a pipe or a socket.
    """
    if is_special(path):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    path = Path(os.path.realpath(path))
    temporary = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    if private:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_MODE))
    try:
        yield temporary
        flush_to_disk(temporary)
        temporary.replace(path)
        flush_to_disk(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink()


def is_special(path: Path) -> bool:
    """Whether a path is a device, a pipe or a socket."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def flush_to_disk(path: Path) -> None:
    """Wait until the content of a file, or the list of a folder's files, is stored on disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


@contextmanager
def exclusive_lock(path: Path, busy: Exception) -> Iterator[None]:
    """Lock the file `path`, and remove it afterwards. Does nothing on Windows.

    A file with content belongs to another program and is not removed.

    Raises:
        Exception: `busy`, if another process holds the lock.
    """
    try:
        import fcntl  # noqa: PLC0415 - not on Windows
    except ImportError:
        yield
        return
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise (busy if isinstance(error, BlockingIOError) else error) from None
        if _is_same(path, descriptor):
            break
        os.close(descriptor)  # the previous holder has just removed it
    try:
        yield
    finally:
        if not os.fstat(descriptor).st_size:
            path.unlink(missing_ok=True)
        os.close(descriptor)


def _is_same(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def size(count: float) -> str:
    """Format a number of bytes in a suitable unit."""
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:,.1f} {name}"
    return f"{count:.0f} bytes"
