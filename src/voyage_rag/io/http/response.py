"""Responses as they come in: decompressed, never larger than they may be, without the key.

A few kilobytes of gzip can stand for gigabytes, so the size is watched while decompressing.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from io import BytesIO
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from voyage_rag.hosts.messages import Response, nothing

if TYPE_CHECKING:
    from voyage_rag.hosts.host import Host
    from voyage_rag.hosts.messages import Request

OK = 200

ACCEPTED_ENCODING = "gzip"
"""What is asked for, and all that is decompressed. The service sends plain bodies (recorded)."""

PLAIN_ENCODINGS = {"", "identity"}
GZIP_ENCODINGS = {"gzip", "x-gzip"}
GZIP_WINDOW_BITS = zlib.MAX_WBITS | 16
MEBIBYTE = 2**20
REQUEST_ID = "x-request-id"

MAX_RESPONSE_BYTES = 2**28
MIN_MAX_RESPONSE_BYTES = 2**22
MAX_VECTOR_BYTES = 2**16
"""Base64 of 2,048 floats has 11 KB; the same numbers written out may have 45."""


class UnreadableBodyError(Exception):
    """The body is larger than it may be, or its compression is broken or unknown."""


class UnwritableFileError(Exception):
    """A body cannot be written to its file.

    Attributes:
        reason: The error of the disk.
    """

    def __init__(self, reason: OSError) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Gunzip:
    """Decompresses gzip of one member or several, a bounded number of bytes at a time.

    Attributes:
        unread: Compressed bytes that are left because the bound was reached.
    """

    def __init__(self) -> None:
        self.unread: bytes = b""
        self._member = zlib.decompressobj(GZIP_WINDOW_BITS)

    def decompress(self, data: bytes, most: int) -> bytes:
        """Decompress up to `most` bytes.

        Raises:
            UnreadableBodyError: It is no gzip.
        """
        pieces = []
        try:
            while data and most > 0:
                if self._member.eof:
                    data = data.lstrip(b"\0")  # padding, which RFC 1952 leaves open
                    if not data:
                        break
                    self._member = zlib.decompressobj(GZIP_WINDOW_BITS)
                pieces.append(self._member.decompress(data, most))
                most -= len(pieces[-1])
                data = self._member.unconsumed_tail or self._member.unused_data
        except zlib.error as error:
            raise UnreadableBodyError(f"the response is broken gzip: {error}") from None
        self.unread = data
        return b"".join(pieces)

    def finish(self) -> None:
        """Check that the last member is complete.

        Raises:
            UnreadableBodyError: It stops before its end.
        """
        if not self._member.eof:
            raise UnreadableBodyError("the response is gzip that stops before its end")


class ResponseBody:
    """Takes a body piece by piece, into memory or into a file.

    Args:
        headers: Of the response.
        most: Bytes it may have, decompressed.
        path: Of the file, which is opened for the first piece; None for memory.

    Raises:
        UnreadableBodyError: It says itself that it is larger, or its compression is not known.
    """

    def __init__(
        self, headers: Mapping[str, str], most: float = inf, path: str | None = None
    ) -> None:
        self._most = most
        self._path = path
        self._length = 0
        self._sink: BinaryIO | None = None
        self._gunzip = gunzip_of(headers)
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared[:20]) > most:
            raise self._too_large()

    def add(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            UnreadableBodyError: It is too much, or broken.
            UnwritableFileError: The disk is full, for example.
        """
        if self._gunzip is None:
            self._write(piece)
            return
        while piece:
            self._write(self._gunzip.decompress(piece, MEBIBYTE))
            piece = self._gunzip.unread

    def finish(self) -> bytes:
        """The complete body; nothing if it is in a file.

        Raises:
            UnreadableBodyError: The compression stops before its end.
            UnwritableFileError: It cannot be written.
        """
        if self._gunzip is not None:
            self._gunzip.finish()
        self._write(b"")  # a file without content is a file, too
        if isinstance(self._sink, BytesIO):
            return self._sink.getvalue()
        try:
            self.close()
        except OSError as error:
            raise UnwritableFileError(error) from error
        return b""

    def close(self) -> None:
        """Close the file."""
        if self._sink is not None:
            self._sink.close()

    def _write(self, data: bytes) -> None:
        self._length += len(data)
        if self._length > self._most:
            raise self._too_large()
        try:
            if self._sink is None:
                path = self._path
                self._sink = Path(path).open("wb") if path else BytesIO()  # noqa: SIM115 - `close`
            self._sink.write(data)
        except OSError as error:
            raise UnwritableFileError(error) from error

    def _too_large(self) -> UnreadableBodyError:
        return UnreadableBodyError(
            f"the response has more than {self._most // MEBIBYTE:.0f} MiB, which no response to "
            "this request can need"
        )


def body_of(request: Request, status: int, headers: Mapping[str, str]) -> ResponseBody:
    """Where a body goes: to the file that a request names if it succeeded, or to memory.

    Raises:
        UnreadableBodyError: As for the class.
    """
    if request.save_to is None or status != OK:
        return ResponseBody(headers, max_response_bytes(request))
    return ResponseBody(headers, path=request.save_to)


def max_response_bytes(request: Request) -> int:
    """Bytes that a response may have: 4 MiB, and 64 KiB for each vector; 256 MiB at most.

    Parsing takes up to 50 times that in memory, for JSON that nests lists to that end.
    """
    if request.vectors is None:
        return MAX_RESPONSE_BYTES
    return min(MAX_RESPONSE_BYTES, MIN_MAX_RESPONSE_BYTES + request.vectors * MAX_VECTOR_BYTES)


def gunzip_of(headers: Mapping[str, str]) -> Gunzip | None:
    """What decompresses a body, None where it is plain.

    Raises:
        UnreadableBodyError: It is compressed in a way that was not asked for.
    """
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding in GZIP_ENCODINGS:
        return Gunzip()
    if encoding not in PLAIN_ENCODINGS:
        raise UnreadableBodyError(f"the response is packed as {encoding[:20]!r}, not as gzip")
    return None


def response_of(
    host: Host,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    distrust: Callable[[], None] = nothing,
) -> Response:
    """The response as the core reads it.

    Some gateways repeat what they were sent; the key is taken out of what they say.

    Args:
        host: Knows the key.
        status: HTTP's.
        headers: With names in lower case.
        body: Complete.
        distrust: Called if the body turns out to be no sound result.
    """
    if status != OK:
        body = host.redact(body)
    if request_id := headers.get(REQUEST_ID):
        redacted = host.redact(request_id.encode()).decode()
        headers = headers if redacted == request_id else {**headers, REQUEST_ID: redacted}
    return Response(status, headers, body, distrust)
