"""The body of an answer as it comes in: unpacked, and never larger than it may be.

A few kilobytes of gzip can stand for gigabytes, so the size is watched while unpacking.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from voyage_rag.io.tasks import run_in_thread

if TYPE_CHECKING:
    from voyage_rag.hosts.messages import Request

OK = 200

ACCEPTED_ENCODING = "gzip"
"""What is asked for, and all that is unpacked. The service answers unpacked (recorded)."""

AS_IT_IS = {"", "identity"}
GZIP = {"gzip", "x-gzip"}
EITHER_HEADER = zlib.MAX_WBITS | 16
MEBIBYTE = 2**20


class UnreadableBodyError(Exception):
    """The body is larger than it may be, or its packing is broken or unknown."""


class Body:
    """Collects a body, piece by piece.

    Args:
        headers: Of the answer.
        most: Bytes it may have, unpacked.

    Raises:
        UnreadableBodyError: It says itself that it is larger, or how it is packed is not known.
    """

    def __init__(self, headers: Mapping[str, str], most: int) -> None:
        self._most = most
        self._pieces: list[bytes] = []
        self._length = 0
        self._unpacking = unpacking_of(headers)
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared[:20]) > most:
            raise self._too_large()

    def add(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            UnreadableBodyError: It is too much, or broken.
        """
        if self._unpacking is not None:
            try:
                piece = self._unpacking.decompress(piece, self._most - self._length + 1)
            except zlib.error as error:
                raise UnreadableBodyError(f"the answer is broken gzip: {error}") from None
        self._length += len(piece)
        if self._length > self._most:
            raise self._too_large()
        self._pieces.append(piece)

    async def aadd(self, piece: bytes) -> None:
        """Async twin of `add`."""
        self.add(piece)

    def whole(self) -> bytes:
        """What has come in.

        Raises:
            UnreadableBodyError: The packing stops before its end.
        """
        check_end(self._unpacking)
        return b"".join(self._pieces)

    def _too_large(self) -> UnreadableBodyError:
        return UnreadableBodyError(
            f"the answer has more than {self._most // MEBIBYTE} MiB, which no answer to this "
            "request can need"
        )


class SavedBody:
    """Writes a body to a file, however large it is.

    Args:
        headers: Of the answer.
        file: Where it goes.

    Raises:
        UnreadableBodyError: How it is packed is not known.
    """

    def __init__(self, headers: Mapping[str, str], file: BinaryIO) -> None:
        self._file = file
        self._unpacking = unpacking_of(headers)

    def add(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            UnreadableBodyError: It is broken.
            OSError: It cannot be written, for example because the disk is full.
        """
        if self._unpacking is None:
            self._file.write(piece)
            return
        try:
            while piece:
                self._file.write(self._unpacking.decompress(piece, MEBIBYTE))
                piece = self._unpacking.unconsumed_tail
        except zlib.error as error:
            raise UnreadableBodyError(f"the answer is broken gzip: {error}") from None

    async def aadd(self, piece: bytes) -> None:
        """Async twin of `add`."""
        await run_in_thread(partial(self.add, piece))

    def whole(self) -> bytes:
        """Nothing: it is in the file.

        Raises:
            UnreadableBodyError: The packing stops before its end.
        """
        check_end(self._unpacking)
        return b""


@contextmanager
def body_of(
    request: Request, status: int, headers: Mapping[str, str]
) -> Iterator[Body | SavedBody]:
    """Where the body of an answer goes: to the file a request names if it is sound, or to memory.

    Raises:
        UnreadableBodyError: As for `Body`.
        OSError: The file cannot be written.
    """
    if request.save_to is None or status != OK:
        yield Body(headers, request.largest_answer)
        return
    with Path(request.save_to).open("wb") as file:
        yield SavedBody(headers, file)


def unpacking_of(headers: Mapping[str, str]) -> Any:
    """What unpacks a body, None where it is not packed.

    Raises:
        UnreadableBodyError: It is packed as nothing that was asked for.
    """
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding in GZIP:
        return zlib.decompressobj(EITHER_HEADER)
    if encoding not in AS_IT_IS:
        raise UnreadableBodyError(f"the answer is packed as {encoding[:20]!r}, not as gzip")
    return None


def check_end(unpacking: Any) -> None:
    """Refuse a packed body that stops before its end.

    Raises:
        UnreadableBodyError: It does.
    """
    if unpacking is not None and not unpacking.eof:
        raise UnreadableBodyError("the answer is gzip that stops before its end")
