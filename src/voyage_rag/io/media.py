"""Read images and videos from their sources, and encode them again only if necessary.

Size and type are checked before more than a header is read, and pixels before anything is decoded,
so that rejecting a file takes little memory.
"""

from __future__ import annotations

import binascii
import os
import re
import reprlib
import stat
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit
from urllib.request import url2pathname

from voyage_rag.core.media import (
    ACCEPTED_FORMATS,
    HEADER_BYTES,
    MAX_BYTES,
    Media,
    MediaKind,
    MediaReader,
    check_size,
    format_of,
    needs_downscale,
    pixels_of,
    video_size,
)
from voyage_rag.errors import InvalidInputError
from voyage_rag.io import pillow

MAX_BUFFERED_BYTES = 48_000_000
"""Maximum size of a source in memory, if it is not a file. Only images that are encoded again may
be this large.
"""

NOT_MP4 = "is not an MP4 video, the only accepted format: convert it"
REJECTED_FORMATS = (
    (rb"%PDF-", "is a PDF file: pass each of its pages as an image"),
    (rb".{4}ftypqt|\x1aE\xdf\xa3|RIFF.{4}AVI ", NOT_MP4),  # QuickTime, Matroska and WebM, AVI
)
"""The beginnings of files of other formats, and what to do with them."""

MAX_PATH_CHARS = 4_096
"""Maximum characters of a path on Linux. A longer string is base64."""


def inspect(source: object, kind: MediaKind | None) -> Media:
    """Read the header of a source.

    Args:
        source: A path (also `file://`), bytes, a binary file, a data URL, or a Pillow image.
        kind: The required kind; None accepts images and videos.

    Raises:
        OSError: The source cannot be read.
        InvalidInputError: The source is not an image or video of the required kind, or too large.
    """
    if pillow.is_pillow_image(source):
        return pillow.inspect_image(source, kind)
    source = _reopenable(source)
    with _opened(source) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(HEADER_BYTES)
        mime = format_of(head)
        if mime.startswith("video") and kind != "image":
            return _inspect_video(source, file, size)
        if kind == "video" or mime.startswith("video"):
            raise InvalidInputError(
                NOT_MP4 if kind == "video" else "is a video where an image is expected"
            )
        if not head:
            raise InvalidInputError("is empty; a file that was read or written needs seek(0)")
        for pattern, problem in REJECTED_FORMATS:
            if re.match(pattern, head, re.DOTALL):
                raise InvalidInputError(problem)
        if not mime:
            return pillow.inspect_file(source, file)
        pixels = pixels_of(head)
        if pixels is None:
            file.seek(0)
            head = file.read(MAX_BYTES)
            pixels = pixels_of(head)
        if pixels is None:
            raise InvalidInputError(f"the image ({mime}) is damaged or incomplete")
        pillow.check_complete(file, head, size)
    return Media("image", mime, source, size, pixels)


def load(media: Media, max_pixels: int | None) -> tuple[str, bytes]:
    """Return the MIME type and the bytes to send.

    Args:
        media: The result of `inspect`.
        max_pixels: Number of pixels to which a larger image is scaled down; None keeps its size.

    Raises:
        OSError: The source can no longer be read.
        InvalidInputError: The source has grown, or must be encoded again and cannot be.
    """
    limit = max_pixels if needs_downscale(media, max_pixels) else None
    if pillow.is_pillow_image(media.source):
        return pillow.load_image(media, limit)
    with _opened(media.source) as file:
        if media.format not in ACCEPTED_FORMATS or limit is not None:
            return pillow.encode_file(media, file, limit)
        data = file.read(MAX_BYTES + 1)
    check_size(media.kind, len(data))
    return media.format, data


READER = MediaReader(inspect, load)


def _inspect_video(source: object, file: BinaryIO, size: int) -> Media:
    check_size("video", size)
    file.seek(0)
    pixels, frames = video_size(file.read(MAX_BYTES)) or (None, None)
    return Media("video", "video/mp4", source, size, pixels, frames)


def _reopenable(source: object) -> bytes | Path:
    """Return the source in a form that can be opened several times."""
    match source:
        case str() if source[:5].lower() == "data:":
            return _from_data_url(source)
        case str() if source.startswith("file:"):
            return Path(url2pathname(urlsplit(source).path))
        case str() if "://" in source or len(source) > MAX_PATH_CHARS:
            raise InvalidInputError(
                f"{reprlib.repr(source)} is neither a path nor an http(s) or data URL: decode "
                "base64 first, and download from other URLs"
            )
        case str() | os.PathLike():
            return Path(os.path.expanduser(os.fsdecode(source)))  # noqa: PTH111 - raises nothing
        case bytearray() | memoryview():
            _check_buffered(memoryview(source).nbytes)
            return bytes(source)
        case BytesIO():
            return source.getvalue()
    return source if isinstance(source, bytes) else _read_source(source)


def _read_source(source: object) -> bytes:
    """Return the content of a binary file, a path that is not local, or a `Video` of `voyageai`."""
    data: object = None
    if not isinstance(source, (int, type)):
        try:
            data = _content_of(source)
        except InvalidInputError:
            raise
        except Exception as error:  # the source is the caller's, and may raise errors of any class
            raise InvalidInputError(
                f"cannot be read: {error} ({type(error).__name__}); pass its content as bytes"
            ) from error
    if isinstance(data, Coroutine):
        data.close()
        raise InvalidInputError("is read asynchronously: await its content, and pass the bytes")
    if not isinstance(data, bytes):
        raise InvalidInputError(
            "is a file opened as text: open it with mode 'rb'"
            if isinstance(data, str)
            else "must be a text, or an image or video as a path, bytes, a binary file, a URL or "
            f"a Pillow image, not {type(source).__name__}"
            + ": convert an array with PIL.Image.fromarray"
            * hasattr(source, "shape")
        )
    return data


def _content_of(source: object) -> object:
    """Return what the first of the methods returns that such objects have."""
    read, to_bytes = getattr(source, "read", None), getattr(source, "to_bytes", None)
    if callable(read):
        return _read_buffered(read)
    if callable(to_bytes):
        return to_bytes()
    if callable(open_ := getattr(source, "open", None)):  # for example `zipfile.Path`
        with open_("rb") as file:
            return _read_buffered(file.read)
    return None


def _read_buffered(read: Any) -> object:
    """Return the whole stream, up to a limit. A value that is not bytes is returned unchanged."""
    parts = bytearray()
    while part := read(HEADER_BYTES):
        if not isinstance(part, bytes):
            return part
        parts += part
        _check_buffered(len(parts))
    return bytes(parts) if isinstance(part, bytes) else part


def _check_buffered(size: int) -> None:
    if size > MAX_BUFFERED_BYTES:
        raise InvalidInputError(
            f"has more than {MAX_BUFFERED_BYTES:,} bytes; the service accepts {MAX_BYTES:,}: make "
            "it smaller, or pass the path of a file with downscale=True"
        )


def _from_data_url(url: str) -> bytes:
    _, is_base64, encoded = url.partition(";base64,")
    if not is_base64:
        raise InvalidInputError("is a data URL without base64: encode its content in base64")
    _check_buffered(len(encoded) * 3 // 4)
    try:
        return binascii.a2b_base64(encoded, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInputError(f"is not a data URL with valid base64: {error}") from None


@contextmanager
def _opened(source: object) -> Iterator[BinaryIO]:
    if isinstance(source, bytes):
        yield BytesIO(source)
        return
    try:
        file = open(source, "rb", opener=_open_regular)  # type: ignore[call-overload] # noqa: SIM115
    except ValueError as error:  # the path contains a NUL
        raise InvalidInputError(f"is not a path: {error}") from None
    with file:
        yield file


def _open_regular(path: str, flags: int) -> int:
    """Open a regular file. Directories, pipes and devices could block or have no end."""
    if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - of an opener
        raise OSError(f"{path!r} is not a regular file but a directory, pipe or device")
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
