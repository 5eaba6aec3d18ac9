"""Receive responses: decompress them, limit their size, and remove the key.

A few kilobytes of gzip can expand to gigabytes, so the size is checked during decompression.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from io import BytesIO
from math import inf
from pathlib import Path
from typing import BinaryIO

from voyage_rag.hosts.host import Host
from voyage_rag.hosts.messages import Request, Response, nothing

OK = 200

ACCEPTED_ENCODING = "gzip"
"""The only supported compression. The service sends uncompressed bodies (recorded)."""

PLAIN_ENCODINGS = {"", "identity"}
GZIP_ENCODINGS = {"gzip", "x-gzip"}
GZIP_WINDOW_BITS = zlib.MAX_WBITS | 16
PLAIN_STARTS = (b"{", b"[", b"<")
"""First bytes of JSON and web pages. Some proxies decompress a body, but keep its header."""

MEBIBYTE = 2**20
REQUEST_ID = "x-request-id"

MAX_RESPONSE_BYTES = 2**28
MIN_MAX_RESPONSE_BYTES = 2**22
MAX_VECTOR_BYTES = 2**16
"""Base64 of 2,048 floats takes 11 KB; the same numbers as JSON may take 45 KB."""


class UnreadableBodyError(Exception):
    """The body is too large, or its compression is broken or unknown."""


class UnwritableFileError(Exception):
    """A body cannot be written to its file, because of an error of the disk."""

    def __init__(self, reason: OSError) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Gunzip:
    """Decompresses gzip with one or several members, a bounded number of bytes at a time.

    Attributes:
        unread: Compressed bytes that remain because the limit was reached.
    """

    def __init__(self) -> None:
        self.unread: bytes = b""
        self._member = zlib.decompressobj(GZIP_WINDOW_BITS)

    def decompress(self, data: bytes, most: int) -> bytes:
        """Decompress up to `most` bytes, or raise an `UnreadableBodyError`."""
        pieces = []
        try:
            while data and most > 0:
                if self._member.eof:
                    data = data.lstrip(b"\0")  # padding, which RFC 1952 allows
                    if not data:
                        break
                    self._member = zlib.decompressobj(GZIP_WINDOW_BITS)
                pieces.append(self._member.decompress(data, most))
                most -= len(pieces[-1])
                data = self._member.unconsumed_tail or self._member.unused_data
        except zlib.error as error:
            raise UnreadableBodyError(f"the response is not valid gzip: {error}") from None
        self.unread = data
        return b"".join(pieces)

    def finish(self) -> None:
        """Raise an `UnreadableBodyError` if the last member is incomplete."""
        if not self._member.eof:
            raise UnreadableBodyError("the gzip data of the response is incomplete")


class ResponseBody:
    """Receives a body piece by piece, into memory or a file.

    Args:
        headers: Headers of the response.
        most: Maximum number of decompressed bytes.
        path: Path of the file, which is opened for the first piece; None for memory.

    Raises:
        UnreadableBodyError: The announced size is too large.
    """

    def __init__(
        self, headers: Mapping[str, str], most: float = inf, path: str | None = None
    ) -> None:
        self._most = most
        self._path = path
        self._length = 0
        self._sink: BinaryIO | None = None
        self._encoding = headers.get("content-encoding", "").strip().lower()
        self._gunzip: Gunzip | None = None
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared[:20]) > most:
            raise self._too_large()

    def add(self, piece: bytes) -> None:
        """Process the next piece.

        Raises:
            UnreadableBodyError: The body is too large, or its compression is broken or unknown.
            UnwritableFileError: The file cannot be written, for example because the disk is full.
        """
        if self._sink is None:
            self._gunzip = gunzip_of(self._encoding, piece)
        if self._gunzip is None:
            self._write(piece)
            return
        while piece:
            self._write(self._gunzip.decompress(piece, MEBIBYTE))
            piece = self._gunzip.unread

    def finish(self) -> bytes:
        """Return the complete body; empty if it is in a file.

        Raises:
            UnreadableBodyError: The compressed data is incomplete.
            UnwritableFileError: The file cannot be written.
        """
        if self._gunzip is not None:
            self._gunzip.finish()
        self._write(b"")  # creates the file of an empty body
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
            f"the response has more than {self._most // MEBIBYTE:.0f} MiB, the maximum for this "
            "request"
        )


def body_of(request: Request, status: int, headers: Mapping[str, str]) -> ResponseBody:
    """Return the body of a response: in the file that a successful request names, or in memory."""
    if request.save_to is None or status != OK:
        return ResponseBody(headers, max_response_bytes(request))
    return ResponseBody(headers, path=request.save_to)


def max_response_bytes(request: Request) -> int:
    """Return the maximum size of a response: 4 MiB plus 64 KiB per vector, at most 256 MiB.

    Parsing JSON with maliciously nested lists takes up to 50 times as much memory.
    """
    if request.vectors is None:
        return MAX_RESPONSE_BYTES
    return min(MAX_RESPONSE_BYTES, MIN_MAX_RESPONSE_BYTES + request.vectors * MAX_VECTOR_BYTES)


def gunzip_of(encoding: str, start: bytes) -> Gunzip | None:
    """Return the decompressor of a body with this start; None if it is not compressed.

    Raises:
        UnreadableBodyError: The compression was not requested.
    """
    if encoding in PLAIN_ENCODINGS or start.lstrip().startswith(PLAIN_STARTS):
        return None
    if encoding in GZIP_ENCODINGS:
        return Gunzip()
    raise UnreadableBodyError(f"the response is compressed with {encoding[:20]!r}, not gzip")


def response_of(
    host: Host,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    distrust: Callable[[], None] = nothing,
) -> Response:
    """Return the response in the form that the core expects.

    Some gateways repeat request headers, so the key is removed. `distrust` is called if the body
    turns out to be invalid.
    """
    if status != OK:
        body = host.redact(body)
    if request_id := headers.get(REQUEST_ID):
        redacted = host.redact(request_id.encode()).decode()
        headers = headers if redacted == request_id else {**headers, REQUEST_ID: redacted}
    return Response(status, headers, body, distrust)
