"""Files that were uploaded to an emulator or made by its batches. Source: "Files" in the API docs.

Contents lie in a private directory that goes with the emulator, so files may be large. A file
belongs to the key that made it and is gone after thirty days of the emulator's clock.
"""

import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NoReturn
from uuid import uuid4

from voyage_rag.emulator.rules import Refusal
from voyage_rag.emulator.work import Payload

Purpose = Literal["batch", "batch-output", "batch-error"]
PURPOSES: tuple[Purpose, ...] = ("batch", "batch-output", "batch-error")

LIFETIME = 30 * 24 * 3_600.0
"""Seconds a file is kept."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file."""

    id: str
    key: str
    filename: str
    purpose: Purpose
    path: Path
    created_at: float
    """Seconds since the epoch, as the emulator has it."""
    size: int

    def describe(self) -> Payload:
        """Return what the API says of it. The order of keys is a guess."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.size,
            "created_at": moment(self.created_at),
            "expires_at": moment(self.created_at + LIFETIME),
            "filename": self.filename,
            "purpose": self.purpose,
        }


class Storage:
    """The files of all keys, in the order they were made.

    Attributes:
        now: Seconds since the epoch.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self._files: dict[str, StoredFile] = {}
        self._directory: Path | None = None
        self._lock = threading.Lock()

    def make_path(self) -> Path:
        """Return where a new file may be written."""
        with self._lock:
            if self._directory is None:
                self._directory = Path(tempfile.mkdtemp(prefix="voyage-emulator-"))
                weakref.finalize(self, shutil.rmtree, self._directory, ignore_errors=True)
        return self._directory / uuid4().hex

    def keep(self, key: str, filename: str, purpose: Purpose, path: Path) -> StoredFile:
        """Take in what was written to a path."""
        size = path.stat().st_size
        file = StoredFile(name_one("file"), key, filename, purpose, path, self.now(), size)
        self._files[file.id] = file
        return file

    def of(self, key: str) -> list[StoredFile]:
        """Return a key's files, oldest first."""
        for file in list(self._files.values()):
            if self.now() >= file.created_at + LIFETIME:
                self._remove(file)
        return [file for file in self._files.values() if file.key == key]

    def find(self, key: str, id_: str) -> StoredFile:
        """Return a file of a key, or refuse."""
        file = next((file for file in self.of(key) if file.id == id_), None)
        return file or refuse_unknown("file", id_)

    def delete(self, key: str, ids: Sequence[str]) -> list[str]:
        """Delete all of these files, or none where some are not there; return those."""
        known = {file.id: file for file in self.of(key)}
        missing = [id_ for id_ in ids if id_ not in known]
        for id_ in ids if not missing else ():
            self._remove(known[id_])
        return missing

    def _remove(self, file: StoredFile) -> None:
        self._files.pop(file.id, None)
        file.path.unlink(missing_ok=True)


def name_one(what: str) -> str:
    """Return a new id; the documentation writes them with `-` and with `_`."""
    return f"{what}-{uuid4().hex[:24]}"


def moment(seconds: float | None) -> str | None:
    """Return seconds since the epoch as RFC 3339 writes them."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def refuse_unknown(what: str, id_: str) -> NoReturn:
    """Refuse an id that the key does not have. The wording is a guess."""
    raise Refusal(404, f"No such {what}: '{id_}'.")


def page(items: Sequence[Any], after: str | None, limit: int) -> Payload:
    """Return a list as the API pages it, of items with an `id` and a `describe`.

    Args:
        items: All there are, in the order asked for.
        after: The id the page begins after, None for the beginning.
        limit: Items on the page.
    """
    ids = [item.id for item in items]
    if after is not None and after not in ids:
        refuse_unknown("object", after)
    start = 0 if after is None else ids.index(after) + 1
    shown = items[start : start + limit]
    return {
        "object": "list",
        "data": [item.describe() for item in shown],
        "first_id": shown[0].id if shown else None,
        "last_id": shown[-1].id if shown else None,
        "has_more": start + limit < len(items),
    }
