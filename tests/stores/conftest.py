"""Real stores over an emulator on loopback. `make stores` installs them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

try:
    import psycopg
    from sqlalchemy.engine import make_url
except ImportError as error:
    raise pytest.UsageError("the stores are not installed: run `make stores`") from error

from stores.place import Place
from stores.postgres import postgres
from voyage_rag.emulator import Emulator

if TYPE_CHECKING:
    from conftest import Runner


@pytest.fixture(scope="session")
def _emulator() -> Iterator[Emulator]:
    emulator = Emulator()
    with emulator:
        yield emulator


@pytest.fixture
def emulator(_emulator: Emulator) -> Emulator:
    """One emulator for all tests, with no requests so far."""
    _emulator.requests.clear()
    return _emulator


@pytest.fixture(scope="session")
def postgres_uri() -> Iterator[str]:
    """A database with pgvector, on the server named by PG_URI or on one of our own."""
    with nullcontext(os.environ["PG_URI"]) if "PG_URI" in os.environ else postgres() as server:
        name = f"voyage_rag_{uuid4().hex}"
        uri = make_url(server).set(database=name).render_as_string(hide_password=False)
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
            try:
                with psycopg.connect(uri) as inside:
                    inside.execute("CREATE EXTENSION vector")
                yield uri
            finally:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def place(tmp_path: Path, postgres_uri: str, runner: Runner) -> Place:
    """A place for one store."""
    schema = f"of_{uuid4().hex}"
    with psycopg.connect(postgres_uri) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    return Place(tmp_path, postgres_uri, schema, not runner.is_sync)
