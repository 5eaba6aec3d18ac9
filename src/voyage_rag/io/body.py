"""The body of an answer as it comes in: unpacked, and never larger than it may be.

A few kilobytes of gzip can stand for gigabytes, so the size is watched while unpacking.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

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
        self._unpacking = None
        encoding = headers.get("content-encoding", "").strip().lower()
        if encoding in GZIP:
            self._unpacking = zlib.decompressobj(EITHER_HEADER)
        elif encoding not in AS_IT_IS:
            raise UnreadableBodyError(f"the answer is packed as {encoding[:20]!r}, not as gzip")
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

    def whole(self) -> bytes:
        """What has come in.

        Raises:
            UnreadableBodyError: The packing stops before its end.
        """
        if self._unpacking is not None and not self._unpacking.eof:
            raise UnreadableBodyError("the answer is gzip that stops before its end")
        return b"".join(self._pieces)

    def _too_large(self) -> UnreadableBodyError:
        return UnreadableBodyError(
            f"the answer has more than {self._most // MEBIBYTE} MiB, which no answer to this "
            "request can need"
        )
