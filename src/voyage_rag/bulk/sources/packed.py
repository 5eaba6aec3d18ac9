"""Files that may be packed with gzip, read as if they were not."""

from __future__ import annotations

import gzip
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from voyage_rag.bulk.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIX = ".gz"


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, unpacked on the way if its name ends in `.gz`.

    Raises:
        JobError: It is not packed with gzip, or damaged.
    """
    if path.suffix.lower() != SUFFIX:
        with path.open("rb") as file:
            yield file
        return
    try:
        with gzip.open(path) as file:
            yield cast("BinaryIO", file)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise JobError(f"{path.name} cannot be unpacked: {error}") from error


def unpacked_suffix(path: Path) -> str:
    """What a file is, by its name, whether it is packed or not."""
    name = path.with_suffix("") if path.suffix.lower() == SUFFIX else path
    return name.suffix.lower()
