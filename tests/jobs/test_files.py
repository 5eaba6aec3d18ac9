"""Files that appear complete or not at all, and locks between processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from voyage_rag.jobs.files import atomic_write, exclusive_lock


def test_a_file_appears_whole_or_stays_as_it_was(tmp_path: Path) -> None:
    """Whatever happens while it is written; nothing else is left."""
    path = tmp_path / "a.txt"
    for content in ("one", "two"):
        with atomic_write(path) as temporary:
            temporary.write_text(content)
        assert path.read_text() == content

    def fail() -> None:
        with atomic_write(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "two"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_followed_and_a_device_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    with atomic_write(tmp_path / "link") as file:
        file.write_text("content")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "content"

    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="not a regular file"), atomic_write(tmp_path / "fifo"):
        pass
    assert (tmp_path / "fifo").is_fifo()


def test_a_private_file_is_never_readable_by_others(tmp_path: Path) -> None:
    """Not even while it is written."""
    with atomic_write(tmp_path / "a", private=True) as temporary:
        assert temporary.stat().st_mode & 0o077 == 0
        temporary.write_text("x")
    assert (tmp_path / "a").stat().st_mode & 0o077 == 0


def test_content_is_flushed_before_the_name_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a power cut leaves the old file or the new one."""
    steps: list[tuple[str, int]] = []
    flush, replace = os.fsync, os.replace

    def fsync(file: int) -> None:
        steps.append(("flush", os.fstat(file).st_ino))
        flush(file)

    def moved(source: Path, target: Path) -> None:
        steps.append(("replace", Path(source).stat().st_ino))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", moved)
    with atomic_write(tmp_path / "a") as temporary:
        temporary.write_text("x")

    file, folder = (tmp_path / "a").stat().st_ino, tmp_path.stat().st_ino
    assert steps == [("flush", file), ("replace", file), ("flush", folder)]


def test_a_lock_is_held_by_one_process(tmp_path: Path) -> None:
    """A second process is rejected. Afterwards the file is deleted and the lock is free."""
    path = tmp_path / "lock"
    program = (
        "import sys; from pathlib import Path; from voyage_rag.jobs.files import exclusive_lock\n"
        "with exclusive_lock(Path(sys.argv[1]), RuntimeError('busy')): print('held')"
    )
    command = [sys.executable, "-c", program, str(path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    with exclusive_lock(path, RuntimeError()):
        refused = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert b"RuntimeError: busy" in refused.stderr
    assert not path.exists()
    assert subprocess.check_output(command, env=environment) == b"held\n"
