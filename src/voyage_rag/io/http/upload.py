"""Uploads: a form whose file is read from disk while it is sent."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

from voyage_rag.hosts.messages import Upload

UPLOAD_CHUNK_BYTES = 2**16


class MultipartUpload:
    """The body of an upload, which is read from disk while it is sent.

    Attributes:
        content_type: Content type, with the boundary between the fields.

    Raises:
        OSError: The file does not exist.
    """

    def __init__(self, upload: Upload) -> None:
        boundary = secrets.token_hex(16)
        self.content_type: bytes = f"multipart/form-data; boundary={boundary}".encode()
        self._path = upload.path
        fields = "".join(
            f"--{boundary}\r\n{_disposition(name)}\r\n\r\n{value}\r\n"
            for name, value in upload.fields.items()
        )
        file = f"--{boundary}\r\n{_disposition('file', upload.filename)}\r\n"
        self._head = f"{fields}{file}Content-Type: application/octet-stream\r\n\r\n".encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._size = Path(upload.path).stat().st_size

    def __len__(self) -> int:
        return len(self._head) + self._size + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        with Path(self._path).open("rb") as file:
            while piece := file.read(UPLOAD_CHUNK_BYTES):
                yield piece
        yield self._tail


def _disposition(name: str, filename: str | None = None) -> str:
    named = f'Content-Disposition: form-data; name="{_quoted(name)}"'
    return named if filename is None else f'{named}; filename="{_quoted(filename)}"'


def _quoted(text: str) -> str:
    """Quote a name as browsers do (HTML, "multipart/form-data")."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
