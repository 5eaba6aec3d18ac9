"""The cache: what is in it is right, private, and not paid for again."""

from __future__ import annotations

import os
import sqlite3
import stat
import struct
import subprocess
import sys
import threading
from contextlib import closing
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conftest import Runner
from fakes import MODEL, FakeService, failed, vector_of, voyage_over
from voyage_rag import APIError, CacheError, ConfigurationError
from voyage_rag.io.cache import Cache

KEYS = [bytes([number]) * 20 for number in range(1, 4)]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "vectors.db")


def test_a_second_run_pays_for_nothing(path: str, runner: Runner) -> None:
    """Same texts, same options, another client: no request."""
    texts = [f"text {number}" for number in range(300)]
    first = runner.call(voyage_over(FakeService(), cache=path), "embed", texts, MODEL)
    service = FakeService()

    again = runner.call(voyage_over(service, cache=path), "embed", texts, MODEL)

    assert service.attempts == []
    assert first.embeddings == again.embeddings == [vector_of(text) for text in texts]
    assert again.usage.requests == again.total_tokens == 0


def test_only_what_is_missing_is_paid_for(path: str, runner: Runner) -> None:
    """The request contains only the new texts; the order is the caller's."""
    runner.call(voyage_over(FakeService(), cache=path), "embed", ["a", "c"], MODEL)
    service = FakeService()

    found = runner.call(voyage_over(service, cache=path), "embed", ["a", "b", "c", "d"], MODEL)

    assert [body["input"] for body in service.bodies] == [["b", "d"]]
    assert [vector_of(text) for text in "abcd"] == found.embeddings


def test_what_was_finished_before_a_failure_is_kept(path: str, runner: Runner) -> None:
    """The second of four requests fails: the next run pays only for the rest."""
    texts = [f"text {number}" for number in range(8)]
    broken = FakeService(lambda body: FakeService().always(body), failed(400))
    options = {"batch_size": 2}
    with pytest.raises(APIError) as caught:
        runner.call(
            voyage_over(broken, cache=path, concurrency=1), "embed", texts, MODEL, **options
        )
    service = FakeService()

    found = runner.call(voyage_over(service, cache=path), "embed", texts, MODEL, **options)

    finished = set(caught.value.partial.vectors)
    asked = {text for body in service.bodies for text in body["input"]}
    assert {texts[position] for position in caught.value.partial.missing} == asked
    assert finished == {0, 1}
    assert [vector_of(text) for text in texts] == found.embeddings


@pytest.mark.parametrize(
    "other",
    [
        {"model": "voyage-of-others"},
        {"input_type": "query"},
        {"truncation": False},
        {"output_dimension": 2},
        {"output_dtype": "int8"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_what_makes_another_vector_makes_another_entry(path: str, other: dict[str, object]) -> None:
    """Model, prompt, truncation, dimension and number type are part of the key."""
    voyage_over(FakeService(), cache=path).embed("a", MODEL, input_type="document")
    service = FakeService(failed(400))

    with pytest.raises(APIError):
        voyage_over(service, cache=path).embed(
            "a", **{"model": MODEL, "input_type": "document"} | other
        )

    assert len(service.attempts) == 1


def test_another_host_makes_another_entry(path: str) -> None:
    """A gateway may serve another model under the same name."""
    voyage_over(FakeService(), cache=path).embed("a", MODEL)
    service = FakeService()

    voyage_over(service, cache=path, base_url="https://gateway.example/v1").embed("a", MODEL)

    assert len(service.attempts) == 1


def test_the_default_dimension_is_the_same_entry_as_none(path: str) -> None:
    """The vector is the same if the default is requested explicitly."""
    numbers = [0.5] * 1024
    from fakes import embedded, ok

    voyage_over(FakeService(ok(embedded([numbers]))), cache=path).embed("a", "voyage-4")
    service = FakeService()

    found = voyage_over(service, cache=path).embed("a", "voyage-4", output_dimension=1024)

    assert service.attempts == []
    assert [numbers] == found.embeddings


def test_the_file_is_private(path: str) -> None:
    """Other users can read neither the file nor those next to it while it is open."""
    cache = Cache(path)
    cache.add({KEYS[0]: b"1234"})

    for file in Path(path).parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name
    cache.close()


def test_the_file_holds_no_text(path: str) -> None:
    """Only hashes of texts."""
    voyage = voyage_over(FakeService(), cache=path)
    voyage.embed("a secret passage", MODEL)
    voyage.driver.cache.close()

    assert b"secret passage" not in Path(path).read_bytes()


def test_a_damaged_vector_is_an_error_and_never_a_vector(path: str) -> None:
    """One bit of one vector is flipped on disk."""
    cache = Cache(path)
    cache.add({KEYS[0]: b"\0" * 400})
    cache.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        stored = bytearray(connection.execute("SELECT vector FROM vectors").fetchone()[0])
        stored[17] ^= 1
        connection.execute("UPDATE vectors SET vector = ?", (bytes(stored),))
    connection.close()

    cache = Cache(path)
    with pytest.raises(CacheError, match="damaged"):
        cache.find(KEYS)
    cache.close()


@pytest.mark.parametrize("content", [b"no database at all " * 100, b"\xff" * 5_000])
def test_a_file_of_another_kind_is_refused(path: str, content: bytes) -> None:
    """It is not overwritten either."""
    Path(path).write_bytes(content)

    with pytest.raises(CacheError, match="not a SQLite database"):
        Cache(path)
    assert content == Path(path).read_bytes()


def test_another_programs_database_is_refused(path: str) -> None:
    """A SQLite file that is not ours stays as it is."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()

    with pytest.raises(CacheError, match="another kind of database"):
        Cache(path)


def test_a_path_that_cannot_be_written_is_named() -> None:
    """The path is in the message."""
    with pytest.raises(CacheError, match="/nowhere/at/all"):
        Cache("/nowhere/at/all/vectors.db")


def test_a_folder_is_refused_and_not_to_be_made_private(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """`chmod 600` is no advice for a folder that others may write to, such as /tmp."""
    tmp_path.chmod(0o777)
    with pytest.raises(CacheError, match="is a folder: pass a file in it"):
        Cache(str(tmp_path))
    assert caplog.records == []


@pytest.mark.parametrize("fault", ["locked", "read-only"])
def test_vectors_that_cannot_be_stored_are_returned(
    path: str,
    fault: str,
    runner: Runner,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They are paid for. The cause is reported once, and the next vectors are stored."""
    monkeypatch.setattr("voyage_rag.io.cache.MAX_LOCK_SECONDS", 0.0)
    monkeypatch.setattr("voyage_rag.io.cache.NEXT_LOCK_MILLISECONDS", 1)
    voyage = voyage_over(service := FakeService(), cache=path)
    cache = voyage.driver.cache
    assert isinstance(cache, Cache)
    runner.call(voyage, "embed", ["a"], MODEL)
    other = sqlite3.connect(path, isolation_level=None)
    if fault == "locked":
        other.execute("BEGIN IMMEDIATE")
    else:
        cache._opened().execute("PRAGMA query_only = 1")

    for text in ("b", "c"):
        assert runner.call(voyage, "embed", [text, "a"], MODEL).embeddings[0] == vector_of(text)
    other.close()
    cache._opened().execute("PRAGMA query_only = 0")
    for _ in range(2):
        runner.call(voyage, "embed", ["d"], MODEL)

    said = {"locked": "another process has locked", "read-only": "readonly database"}[fault]
    assert [said in message for message in caplog.messages] == [True]
    assert [body["input"] for body in service.bodies] == [["a"], ["b"], ["c"], ["d"]]
    voyage.close()


def test_only_responses_during_a_lock_wait_less(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection is used under the lock only: another thread may close it at any time."""
    monkeypatch.setattr("voyage_rag.io.cache.MAX_LOCK_SECONDS", 0.05)
    monkeypatch.setattr("voyage_rag.io.cache.NEXT_LOCK_MILLISECONDS", 1)
    cache, waits = Cache(path), list[int]()
    cache.close()

    class Guarded(sqlite3.Connection):
        def execute(self, *args: Any) -> sqlite3.Cursor:
            assert cache._lock.locked()
            return super().execute(*args)

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Guarded))
    with closing(sqlite3.connect(path, isolation_level=None, factory=sqlite3.Connection)) as other:
        for statement in ("BEGIN IMMEDIATE", None, "ROLLBACK", None):
            if statement is not None:
                other.execute(statement)
            cache.add({KEYS[0]: b"1234"})
            with cache._lock:
                waits += cache._opened().execute("PRAGMA busy_timeout").fetchone()
    cache.close()
    assert waits == [50, 1, 1, 50]


def test_a_new_file_may_be_opened_several_times_at_once(tmp_path: Path) -> None:
    """As the workers of a server do when they start."""
    failures: list[Exception] = []

    def work(path: str, together: threading.Barrier) -> None:
        together.wait(10)
        try:
            cache = Cache(path)
            cache.add({KEYS[0]: b"1234"})
            cache.close()
        except Exception as error:  # noqa: BLE001 - reported below
            failures.append(error)

    for number in range(20):
        together = threading.Barrier(8)
        args = (str(tmp_path / f"{number}.sqlite"), together)
        threads = [threading.Thread(target=work, args=args) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


def test_threads_share_one_cache(path: str) -> None:
    """Eight threads write and read at once; all is there in the end."""
    cache = Cache(path)

    def work(number: int) -> None:
        for step in range(20):
            key = bytes([number, step]) * 10
            cache.add({key: key})
            assert {key: key} == cache.find([key])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    keys = [bytes([number, step]) * 10 for number in range(8) for step in range(20)]
    assert {key: key for key in keys} == cache.find(keys)
    cache.close()


WRITER = """
import os, signal, sys
from voyage_rag.io.cache import Cache
cache = Cache(sys.argv[1])
for number in range(1_000_000):
    cache.add({bytes([number % 251, size]) * 10: b"v" * 4096 for size in range(50)})
    if number == 20:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_that_is_killed_leaves_a_sound_file(path: str) -> None:
    """SIGKILL while it writes: every entry there is whole."""
    killed = subprocess.run([sys.executable, "-c", WRITER, path], check=False, timeout=60)
    assert killed.returncode == -9

    cache = Cache(path)
    keys = [bytes([number, size]) * 10 for number in range(21) for size in range(50)]
    found = cache.find(keys)

    assert set(keys) == set(found)
    assert set(found.values()) == {b"v" * 4096}
    cache.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_child_opens_its_own_connection(path: str) -> None:
    """Parent and child both write; neither loses anything."""
    program = """
import os, sys
from voyage_rag.io.cache import Cache
cache = Cache(sys.argv[1])
cache.add({b"p" * 20: b"before"})
child = os.fork()
cache.add({(b"c" if child == 0 else b"q") * 20: b"after"})
if child == 0:
    os._exit(0 if len(cache.find([b"p" * 20, b"c" * 20])) == 2 else 1)
assert os.waitpid(child, 0)[1] == 0
assert len(cache.find([b"p" * 20, b"c" * 20, b"q" * 20])) == 3
cache.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", program, path], check=False, capture_output=True, timeout=60
    )

    assert (done.returncode, done.stderr) == (0, b"")


# ── in memory, limited, full, damaged ─────────────────────────────────────────────────────────────


def test_a_cache_in_memory_makes_no_file(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It exists as long as its client, which does not share it."""
    monkeypatch.chdir(tmp_path)
    service = FakeService()
    voyage = voyage_over(service, cache=":memory:")

    runner.call(voyage, "embed", ["a"], MODEL)
    voyage.close()
    runner.call(voyage, "embed", ["a"], MODEL)
    runner.call(voyage.with_options(timeout=1), "embed", ["a"], MODEL)
    assert len(service.attempts) == 1
    runner.call(voyage_over(service, cache=":memory:"), "embed", ["a"], MODEL)

    assert len(service.attempts) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_limited_cache_stays_below_its_limit(path: str) -> None:
    """Some vectors are dropped; those that stay are right."""
    cache = Cache(path, max_bytes=2**18)
    for number in range(200):
        cache.add({b"%d-%d" % (number, n): bytes(4_000) for n in range(10)})

    assert Path(path).stat().st_size <= 2**18
    kept = cache.find([b"%d-%d" % (number, n) for number in range(200) for n in range(10)])
    assert 20 < len(kept) < 66
    assert set(kept.values()) == {bytes(4_000)}


def test_a_full_disk_is_reported_once_and_loses_nothing(
    path: str, runner: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    """Paid results are returned; a later call may find space."""
    voyage = voyage_over(FakeService(), cache=path)
    cache = voyage.driver.cache
    assert isinstance(cache, Cache)
    runner.call(voyage, "embed", ["a"], MODEL)
    cache._opened().execute("PRAGMA max_page_count = 1")

    for number in range(3):
        texts = [f"{number} {n}" for n in range(300)]
        found = runner.call(voyage, "embed", texts, MODEL)
        assert found.embeddings == list(map(vector_of, texts))

    assert [record.message for record in caplog.records if "is full" in record.message] != []
    assert sum("is full" in record.message for record in caplog.records) == 1


def test_a_cached_vector_that_is_not_valid_is_requested_again(path: str, runner: Runner) -> None:
    """Another program may have written it: a number that is not finite, or too few."""
    service = FakeService()
    voyage = voyage_over(service, cache=path)
    runner.call(voyage, "embed", ["a"], MODEL)
    with closing(sqlite3.connect(path)) as connection, connection:
        ((key,),) = connection.execute("SELECT key FROM vectors").fetchall()
    Cache(path).add({key: struct.pack("<2f", float("nan"), 1.0)})

    found = runner.call(voyage, "embed", ["a"], MODEL)

    assert found.embeddings == [vector_of("a")]
    assert len(service.attempts) == 2


@pytest.mark.parametrize(
    "options",
    [{"cache_max_bytes": 2**20}, {"cache": "x.db", "cache_max_bytes": 10}],
)
def test_a_limit_that_cannot_work_is_refused(options: dict[str, Any]) -> None:
    """A limit without a cache, or for less than a few vectors."""
    with pytest.raises(ConfigurationError, match="cache_max_bytes"):
        voyage_over(FakeService(), **options)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://localhost:8001/v1", "http://localhost:8002/v1"),
        ("https://gateway.example/a/v1", "https://gateway.example/b/v1"),
        ("https://gateway.example/v1", "https://gateway.example:8443/v1"),
    ],
)
def test_servers_of_one_machine_do_not_share_vectors(tmp_path: Path, one: str, other: str) -> None:
    """They may serve different models under one name; the same address finds them again."""
    services = [FakeService(), FakeService(), FakeService()]
    for address, service in zip((one, other, one), services, strict=True):
        voyage = voyage_over(service, base_url=address, cache=tmp_path / "vectors")
        voyage.embed(["a"], MODEL)
        voyage.close()
    assert [len(service.attempts) for service in services] == [1, 1, 0]


@pytest.mark.skipif(sys.platform == "win32", reason="has other permissions")
@pytest.mark.parametrize(("mode", "warns"), [(0o600, False), (0o644, False), (0o666, True)])
def test_a_file_that_others_may_write_is_used_with_a_warning(
    tmp_path: Path, mode: int, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "vectors"
    path.touch()
    path.chmod(mode)
    cache = Cache(str(path))
    cache.find([b"key"])
    cache.close()
    assert ("other users can write" in caplog.text) is warns


@pytest.mark.skipif(sys.platform == "win32", reason="has no owners")
def test_a_link_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link of the same user is followed."""
    (tmp_path / "link").symlink_to(tmp_path / "vectors")
    cache = Cache(str(tmp_path / "link"))
    cache.find([b"key"])
    cache.close()
    assert (tmp_path / "vectors").exists()
    owner, mode = os.getuid(), os.lstat(tmp_path / "link").st_mode
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    other = SimpleNamespace(st_uid=owner + 2, st_mode=mode)
    monkeypatch.setattr(os, "lstat", lambda path: other)
    with pytest.raises(CacheError, match="a link that another user created"):
        Cache(str(tmp_path / "link")).find([b"key"])
