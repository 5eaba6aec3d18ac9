"""Files uploaded to an emulator or written by its batches. Source: "Files" in the API docs.

Contents are in a private directory that is removed with the emulator, so files may be large. A file
belongs to the key that created it and expires after thirty days of the emulator's clock.
"""

import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeAlias
from uuid import uuid4

from voyage_rag.emulator.arguments import RejectedRequest
from voyage_rag.emulator.responses import Payload

Purpose: TypeAlias = Literal["batch", "batch-output", "batch-error"]

LIFETIME_SECONDS = 30 * 24 * 3_600.0


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file.

    Attributes:
        path: Path of its contents.
        created_at: Seconds since the epoch, by the emulator's clock.
        size: Bytes.
    """

    id: str
    key: str
    filename: str
    purpose: Purpose
    path: Path
    created_at: float
    size: int

    def describe(self) -> Payload:
        """Return the file as the API shows it. The order of keys is a guess."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.size,
            "created_at": rfc3339(self.created_at),
            "expires_at": rfc3339(self.created_at + LIFETIME_SECONDS),
            "filename": self.filename,
            "purpose": self.purpose,
        }


class FileStorage:
    """The files of all keys, in order of creation.

    Attributes:
        now: Returns seconds since the epoch.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self._files: dict[str, StoredFile] = {}
        self._directory: Path | None = None
        self._lock = threading.Lock()

    def new_path(self) -> Path:
        """Return a path to which a new file may be written."""
        with self._lock:
            if self._directory is None:
                self._directory = Path(tempfile.mkdtemp(prefix="voyage-emulator-"))
                weakref.finalize(self, shutil.rmtree, self._directory, ignore_errors=True)
        return self._directory / uuid4().hex

    def add(self, key: str, filename: str, purpose: Purpose, path: Path) -> StoredFile:
        """Add the file that was written to `path`."""
        size = path.stat().st_size
        file = StoredFile(new_id("file"), key, filename, purpose, path, self.now(), size)
        self._files[file.id] = file
        return file

    def list(self, key: str) -> Sequence[StoredFile]:
        """Return a key's files, oldest first."""
        for file in list(self._files.values()):
            if self.now() >= file.created_at + LIFETIME_SECONDS:
                self._remove(file)
        return [file for file in self._files.values() if file.key == key]

    def find(self, key: str, id_: str) -> StoredFile:
        """Return a file of a key, or reject the request."""
        file = next((file for file in self.list(key) if file.id == id_), None)
        return file or reject_unknown("file", id_)

    def delete(self, key: str, ids: Sequence[str]) -> Sequence[str]:
        """Delete all of these files, or none if some do not exist, and return the missing ids."""
        known = {file.id: file for file in self.list(key)}
        missing = [id_ for id_ in ids if id_ not in known]
        for id_ in ids if not missing else ():
            self._remove(known[id_])
        return missing

    def _remove(self, file: StoredFile) -> None:
        self._files.pop(file.id, None)
        file.path.unlink(missing_ok=True)


def new_id(kind: str) -> str:
    """Return a new id. The documentation shows ids with `-` and with `_`."""
    return f"{kind}-{uuid4().hex[:24]}"


def rfc3339(seconds: float | None) -> str | None:
    """Return seconds since the epoch as a date and time in UTC."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def reject_unknown(kind: str, id_: str) -> NoReturn:
    """Reject an id that the key does not have. The wording is a guess."""
    raise RejectedRequest(404, f"No such {kind}: '{id_}'.")


def page(items: Sequence[Any], after: str | None, limit: int) -> Payload:
    """Return one page of a list, of items with an `id` and a `describe`.

    It begins after the id `after`, if there is one.
    """
    ids = [item.id for item in items]
    if after is not None and after not in ids:
        reject_unknown("object", after)
    start = 0 if after is None else ids.index(after) + 1
    shown = items[start : start + limit]
    return {
        "object": "list",
        "data": [item.describe() for item in shown],
        "first_id": shown[0].id if shown else None,
        "last_id": shown[-1].id if shown else None,
        "has_more": start + limit < len(items),
    }
