"""Quantised vectors in the stores' own types, through the stores' own interfaces.

Each is compared with distances that numpy counts, so a store that took the numbers for something
else would be seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from stores.corpus import BEST, PASSAGES, QUERY
from stores.place import Place
from voyage_rag import Voyage

if TYPE_CHECKING:
    from conftest import Runner
    from voyage_rag.emulator import Emulator

TEXTS = [passage.text for passage in PASSAGES]
BITS = 1_024


@pytest.fixture
def voyage(emulator: Emulator) -> Iterator[Voyage]:
    """A client of the emulator."""
    with Voyage("pa-key", base_url=emulator.url) as voyage:
        yield voyage


class Embedded:
    """The passages and the query in one dtype."""

    def __init__(self, voyage: Voyage, dtype: Any) -> None:
        self.rows = voyage.embed(TEXTS, "voyage-4", "document", output_dtype=dtype).to_numpy()
        self.query = voyage.embed([QUERY], "voyage-4", "query", output_dtype=dtype).to_numpy()[0]

    def by_hamming(self) -> list[int]:
        """Bits in which each passage differs from the query."""
        return np.unpackbits(self.rows ^ self.query, axis=1).sum(axis=1).tolist()

    def by_l2(self) -> list[float]:
        """Squared distance of each passage from the query."""
        difference = self.rows.astype(np.float64) - self.query.astype(np.float64)
        return (difference**2).sum(axis=1).tolist()


def check(found: list[tuple[int, float]], expected: list[float]) -> None:
    """All passages with these distances, the nearest first, which is the right one."""
    assert [distance for _, distance in found] == pytest.approx(sorted(expected), rel=1e-3)
    assert dict(found) == pytest.approx(dict(enumerate(expected)), rel=1e-3)
    assert PASSAGES[found[0][0]] == BEST


def test_faiss_searches_packed_bits(voyage: Voyage) -> None:
    """`IndexBinaryFlat` takes them as they are; removed ones are gone."""
    from faiss import IndexBinaryFlat

    given = Embedded(voyage, "ubinary")
    index = IndexBinaryFlat(BITS)
    index.add(given.rows)

    distances, positions = index.search(given.query[np.newaxis], len(TEXTS))

    check(list(zip(positions[0].tolist(), distances[0].tolist(), strict=True)), given.by_hamming())
    index.remove_ids(np.array([positions[0][0]]))
    assert index.ntotal == len(TEXTS) - 1


@pytest.mark.parametrize(("dtype", "kind"), [("int8", "direct_signed"), ("uint8", "direct")])
def test_faiss_keeps_whole_numbers_in_a_byte_each(voyage: Voyage, dtype: Any, kind: str) -> None:
    """Distances are those of the numbers: nothing is lost on the way."""
    import faiss

    given = Embedded(voyage, dtype)
    index = faiss.IndexScalarQuantizer(BITS, getattr(faiss.ScalarQuantizer, f"QT_8bit_{kind}"))
    index.add(given.rows.astype(np.float32))

    distances, positions = index.search(given.query[np.newaxis].astype(np.float32), len(TEXTS))

    assert index.code_size == BITS
    check(list(zip(positions[0].tolist(), distances[0].tolist(), strict=True)), given.by_l2())


@pytest.mark.parametrize("runner", ["sync", "asyncio"], indirect=True)
def test_lancedb_searches_packed_bits(voyage: Voyage, runner: Runner, place: Place) -> None:
    """A table made of lists of bytes is compared bit by bit by default."""
    import lancedb
    import pyarrow as pa

    given = Embedded(voyage, "ubinary")
    rows = [{"vector": row, "number": number} for number, row in enumerate(given.rows.tolist())]

    async def found() -> list[dict[str, Any]]:
        if runner.is_sync:
            table = lancedb.connect(place.folder).create_table("bits", rows)
            assert table.schema.field("vector").type == pa.list_(pa.uint8(), BITS // 8)
            return table.search(given.query.tolist()).limit(len(TEXTS)).to_list()
        connection = await lancedb.connect_async(place.folder)
        atable = await connection.create_table("bits", rows)
        search = await atable.search(given.query.tolist())
        return await search.distance_type("hamming").limit(len(TEXTS)).to_list()

    listed = runner.run(found)
    check([(row["number"], row["_distance"]) for row in listed], given.by_hamming())


def test_lancedb_takes_uint8_for_packed_bits(voyage: Voyage, tmp_path: Any) -> None:
    """It cannot distinguish them: int8 is the dtype for LanceDB, or a column of floats."""
    import lancedb

    given = Embedded(voyage, "uint8")
    rows = [{"vector": row} for row in given.rows.tolist()]

    table = lancedb.connect(tmp_path).create_table("bytes", rows)

    nearest = table.search(given.query.tolist()).limit(1).to_list()[0]
    assert nearest["_distance"] == min(given.by_hamming()) != min(given.by_l2())


@pytest.mark.parametrize("runner", ["sync", "asyncio"], indirect=True)
@pytest.mark.parametrize(
    ("column", "dtype", "operator"),
    [("bit", "ubinary", "<~>"), ("halfvec", "int8", "<->"), ("halfvec", "uint8", "<->")],
)
def test_postgres_keeps_bits_and_half_floats(
    voyage: Voyage, runner: Runner, place: Place, column: str, dtype: Any, operator: str
) -> None:
    """Added, searched, filtered and deleted; half floats keep whole numbers up to 2,048 exactly."""
    import psycopg

    given = Embedded(voyage, dtype)
    table = f"{place.schema}.passages"
    query = written(given.query, column)
    select = f"SELECT number, embedding {operator} %s::{column}({BITS}) FROM {table}"

    async def program() -> Any:
        connection = await connected(psycopg, place, runner)
        run = connection.execute

        async def execute(*said: Any) -> Any:
            return run(*said) if runner.is_sync else await run(*said)

        await execute(f"CREATE TABLE {table} (number int, topic text, embedding {column}({BITS}))")
        for number, row in enumerate(given.rows):
            values = (number, PASSAGES[number].topic, written(row, column))
            await execute(f"INSERT INTO {table} VALUES (%s, %s, %s::{column}({BITS}))", values)
        everything = await execute(f"{select} ORDER BY 2", (query,))
        travel = await execute(f"{select} WHERE topic = 'travel' ORDER BY 2", (query,))
        await execute(f"DELETE FROM {table} WHERE number = 0")
        rest = await execute(f"{select} ORDER BY 2", (query,))
        reported = [
            cursor.fetchall() if runner.is_sync else await cursor.fetchall()
            for cursor in (everything, travel, rest)
        ]
        connection.close() if runner.is_sync else await connection.close()
        return reported

    everything, travel, rest = runner.run(program)
    expected = given.by_hamming() if column == "bit" else [d**0.5 for d in given.by_l2()]
    check(everything, expected)
    assert [pair for pair in everything if PASSAGES[pair[0]].topic == "travel"] == travel
    assert everything[1:] == rest


async def connected(psycopg: Any, place: Place, runner: Runner) -> Any:
    """A sync or async connection."""
    if runner.is_sync:
        return psycopg.connect(place.postgres, autocommit=True)
    return await psycopg.AsyncConnection.connect(place.postgres, autocommit=True)


def written(row: Any, column: str) -> str:
    """A vector as PostgreSQL reads it."""
    if column == "bit":
        return "".join(map(str, np.unpackbits(row).tolist()))
    return str(row.tolist())
