"""The cache of vectors and scores: one SQLite file, shared by threads and processes, safe to kill.

SQLite's write-ahead log makes every batch of vectors appear completely or not at all. Each vector
is stored with a checksum, so a damaged file causes an error and never a wrong vector. The file is
private to the user, because vectors reveal much about the texts they represent.

A connection must not be used after a fork (SQLite docs, "How To Corrupt", 2.6), because the child
would treat the parent's locks as its own. Files are therefore closed before a fork.
"""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
import stat
import threading
import time
import weakref
import zlib
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakSet

from voyage_rag.errors import CacheError
from voyage_rag.locks import is_first

LOG = logging.getLogger("voyage_rag")

IN_MEMORY = ":memory:"
APPLICATION_ID = 0x564F5941  # "VOYA"
VERSION = 1
MAX_LOCK_SECONDS = 30.0
NEXT_LOCK_MILLISECONDS = 1_000
RETRY_SECONDS = 0.01
KEYS_PER_QUERY = 500
CHECKSUM_BYTES = 4
PAGES_PER_FULL_PAGE = 1.5
"""Pages that a vector of one SQLite page takes, including its key and the index."""


class Cache:
    """A file of vectors by key.

    Args:
        path: Path of the file, which is created if it does not exist; `:memory:` keeps vectors as
            long as this object.
        max_bytes: Maximum bytes of vectors. When the cache is full, a random tenth of them is
            deleted. None disables the limit.

    Raises:
        CacheError: The file cannot be opened or is not a cache; on a later search, also if it is
            damaged.
    """

    def __init__(self, path: str, max_bytes: int | None = None) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._in_memory = path == IN_MEMORY
        self._reported: dict[Hashable, object] = {}
        self._has_failed = False  # only the first response waits long for a lock
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        with self._explained(), self._lock:
            self._opened()
        _CACHES.add(self)

    def find(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Return the entries of these keys that the cache contains."""
        found: dict[bytes, bytes] = {}
        with self._explained(), self._lock:
            connection = self._opened()
            for start in range(0, len(keys), KEYS_PER_QUERY):
                some = keys[start : start + KEYS_PER_QUERY]
                marks = ",".join("?" * len(some))
                rows = connection.execute(
                    f"SELECT key, vector FROM vectors WHERE key IN ({marks})",  # noqa: S608
                    some,
                )
                found.update((key, self._checked(key, stored)) for key, stored in rows)
        return found

    def add(self, entries: Mapping[bytes, bytes]) -> None:
        """Store vectors, which are on disk when this returns.

        The vectors were paid for, so a failure is reported once, and the call continues without
        storing them.
        """
        rows = [(key, vector + _checksum(key, vector)) for key, vector in entries.items()]
        try:
            with self._explained(), self._lock:
                self._store(rows)
        except CacheError as error:
            self._warn_not_stored(error)

    def _store(self, rows: Sequence[tuple[bytes, bytes]]) -> None:
        wait = NEXT_LOCK_MILLISECONDS if self._has_failed else 1_000 * MAX_LOCK_SECONDS
        with self._opened() as connection:
            connection.execute(f"PRAGMA busy_timeout = {wait:.0f}")
            self._has_failed = True
            if self._max_bytes is not None:
                more_bytes = sum(len(vector) for _, vector in rows)
                self._prune(connection, int(PAGES_PER_FULL_PAGE * more_bytes))
            connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
        self._has_failed = False

    def close(self) -> None:
        """Close the file. A later use opens it again; a cache in memory is not closed."""
        with self._lock:
            self._close()

    def close_for_fork(self) -> bool:
        """Close and lock the file; return whether other threads released it in time."""
        acquired = self._lock.acquire(timeout=MAX_LOCK_SECONDS)
        if acquired:
            self._close()
        return acquired

    def release(self) -> None:
        """Let other threads use the file again."""
        self._lock.release()

    def _close(self) -> None:
        if self._connection is not None and not self._in_memory:
            self._connection.close()
            self._connection = None
            self._finalizer.detach()

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._open()
            self._finalizer = weakref.finalize(self, self._connection.close)
        return self._connection

    def _open(self) -> sqlite3.Connection:
        if not self._in_memory:
            _refuse_folders(self.path)
            _refuse_links_of_others(self.path)
            Path(self.path).touch(mode=0o600)
            _warn_if_others_may_write(self.path)
        connection = sqlite3.connect(
            self.path,
            timeout=MAX_LOCK_SECONDS,
            check_same_thread=False,
            isolation_level="IMMEDIATE",
        )
        try:
            self._initialise(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _initialise(self, connection: sqlite3.Connection) -> None:
        """Check that the file is a cache, and initialise an empty one."""
        if not _is_cache(connection):
            connection.execute("BEGIN IMMEDIATE")  # other processes may initialise it, too
            with connection:
                if not _is_cache(connection):
                    self._create(connection)
        _use_write_ahead_log(connection)
        connection.execute("PRAGMA synchronous = NORMAL")

    def _create(self, connection: sqlite3.Connection) -> None:
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise CacheError(f"{self.path!r} is another kind of database: choose another file")
        connection.execute(
            "CREATE TABLE vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID"
        )
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")

    def _prune(self, connection: sqlite3.Connection, more_bytes: int) -> None:
        """Delete vectors until `more_bytes` fit.

        Keys are digests, so the keys after a random one are a random sample.
        """
        assert self._max_bytes is not None  # noqa: S101 - from above
        while self._used_bytes(connection) + more_bytes > self._max_bytes:
            (count,) = connection.execute("SELECT count(*) FROM vectors").fetchone()
            if not count:
                return
            connection.execute(
                "DELETE FROM vectors WHERE key IN (SELECT key FROM vectors WHERE key > ? LIMIT ?)",
                (os.urandom(1), 1 + count // 10),
            )

    def _used_bytes(self, connection: sqlite3.Connection) -> int:
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _warn_not_stored(self, error: CacheError) -> None:
        reason = error.message
        if _is_full(error.__cause__):
            reason = (
                f"the disk of the cache {self.path!r} is full: free some space, or limit the cache "
                "with cache_max_bytes"
            )
        if is_first(self._reported, reason):
            LOG.warning("new vectors are not cached: %s", reason)

    def _checked(self, key: bytes, stored: bytes) -> bytes:
        vector, checksum = stored[:-CHECKSUM_BYTES], stored[-CHECKSUM_BYTES:]
        if checksum != _checksum(key, vector):
            raise CacheError(f"the cache {self.path!r} is damaged: delete it, or restore a copy")
        return vector

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if _is_locked(error):
                raise CacheError(
                    f"another process has locked the cache {self.path!r} for "
                    f"{MAX_LOCK_SECONDS:g} s, or its file system cannot lock files: try again, or "
                    "choose a file on a local disk"
                ) from error
            raise CacheError(f"the cache {self.path!r} cannot be used: {error}") from error
        except sqlite3.DatabaseError as error:
            raise CacheError(
                f"the cache {self.path!r} is damaged or not a SQLite database ({error}): delete "
                "it, or choose another file"
            ) from error
        except OSError as error:
            raise CacheError(f"the cache {self.path!r} cannot be used: {error}") from error


_CACHES: WeakSet[Cache] = WeakSet()
_CLOSED_FOR_FORK: list[Cache] = []


def _before_fork() -> None:
    _CLOSED_FOR_FORK.extend(cache for cache in list(_CACHES) if cache.close_for_fork())


def _after_fork() -> None:
    while _CLOSED_FOR_FORK:
        _CLOSED_FOR_FORK.pop().release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )


def _is_cache(connection: sqlite3.Connection) -> bool:
    application, version = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("application_id", "user_version")
    )
    return (application, version) == (APPLICATION_ID, VERSION)


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Change the journal mode. SQLite does not wait for other connections, so this does."""
    deadline = time.monotonic() + MAX_LOCK_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not _is_locked(error) or time.monotonic() >= deadline:
                raise
            time.sleep(RETRY_SECONDS)
        else:
            return


def _is_locked(error: BaseException | None) -> bool:
    is_locked = "locked" in str(error) or "busy" in str(error)
    return isinstance(error, sqlite3.OperationalError) and is_locked


def _is_full(error: BaseException | None) -> bool:
    is_full = isinstance(error, sqlite3.Error) and "full" in str(error)
    return is_full or (isinstance(error, OSError) and error.errno == errno.ENOSPC)


def _checksum(key: bytes, vector: bytes) -> bytes:
    return zlib.crc32(vector, zlib.crc32(key)).to_bytes(CHECKSUM_BYTES, "little")


def _refuse_folders(path: str) -> None:
    """Raise an error for a folder, and for a file in a folder that does not exist."""
    if Path(path).is_dir():
        raise CacheError(f"the cache {path!r} is a folder: pass a file in it")
    if not Path(path).parent.is_dir():
        raise CacheError(f"the folder of the cache {path!r} does not exist: create it")


def _refuse_links_of_others(path: str) -> None:
    """Raise an error for a symbolic link of another user, which is possible in a shared folder."""
    if hasattr(os, "getuid") and os.path.islink(path):  # noqa: PTH114 - Path follows
        owner = os.lstat(path).st_uid
        if owner not in {0, os.getuid()}:
            raise CacheError(
                f"the cache {path!r} is a link that another user created: choose another file"
            )


def _warn_if_others_may_write(path: str) -> None:
    if hasattr(os, "getuid") and os.stat(path).st_mode & (stat.S_IWGRP | stat.S_IWOTH):  # noqa: PTH116
        LOG.warning(
            "other users can write to the cache %r and change vectors: run chmod 600 %s", path, path
        )
