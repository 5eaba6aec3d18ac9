"""Record the cassettes anew: `python tests/record.py [name ...]`, or `make record`.

With `VOYAGE_API_KEY` the live service is asked, otherwise the emulator; each file says which. What
needs the emulator's faults always comes from there, and so do batches, which may take half a day. A
cassette is replaced only when the answer is what its scenario promises of any correct answer. The
documented exchange is left as it is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.parse import urlsplit

from cassette import CASSETTES, Provenance, load, names, recorded
from conftest import Runner
from entry_points import client
from fakes import FakeClock
from scenarios import SCENARIOS, Scenario
from voyage_rag import Voyage, VoyageError, __version__
from voyage_rag.emulator import Emulator
from voyage_rag.hosts.voyage import address_of
from voyage_rag.io.clock import SYSTEM_CLOCK, Clock
from voyage_rag.secret import as_key

README = CASSETTES / "README.md"
EMULATOR_KEY = "pa-for-the-emulator"
PREFIX, WRONG = len("pa-"), "invalid-on-purpose"
TABLE_BEGINS, TABLE_ENDS = "<!-- table: begin -->\n", "<!-- table: end -->\n"


def record(name: str, live_key: str | None) -> Provenance:
    """Record one scenario, and return the source of its responses.

    Raises:
        AssertionError: The answer is not what it should be; the cassette is left as it was.
        VoyageError: The same.
    """
    scenario = SCENARIOS[name]
    with _service(scenario, live_key) as (provenance, key, base_url, clock):
        sent = key[:PREFIX] + WRONG if scenario.wrong_key else key
        voyage = Voyage(sent, base_url=base_url, concurrency=1, clock=clock)
        secrets = {sent, key, live_key or key}
        troubles = bool(scenario.faults)
        with (
            voyage,
            recorded(name, scenario.about, provenance, secrets, troubles=troubles),
        ):
            run(scenario, voyage)
    return provenance


def run(scenario: Scenario, voyage: Voyage) -> None:
    """Make the call and check its answer.

    Raises:
        AssertionError: It is not what it should be.
    """
    try:
        scenario.check(client(scenario, voyage, Runner("sync")))
    except VoyageError as error:
        if scenario.error is None or not isinstance(error, scenario.error):
            raise
    else:
        if scenario.error is not None:
            raise AssertionError(f"{scenario.error.__name__} was due")


@contextmanager
def _service(
    scenario: Scenario, live_key: str | None
) -> Iterator[tuple[Provenance, str, str, Clock]]:
    """The service: provenance, key, address and clock."""
    if live_key and not scenario.faults and not scenario.may_take_days:
        address = address_of(as_key(live_key))
        detail = f"{urlsplit(address).hostname}, {datetime.now(UTC).date().isoformat()}"
        yield Provenance("live service", detail), live_key, address, SYSTEM_CLOCK
        return
    clock = FakeClock()
    with Emulator(faults=scenario.faults, clock=clock.now) as url:
        detail = f"voyage-rag {__version__}; not Voyage's vectors or scores"
        yield Provenance("emulator", detail), EMULATOR_KEY, url, clock


def table() -> str:
    """The provenance of every cassette, as `cassettes/README.md` shows it."""
    rows = ["| cassette | request | source | details |", "|---|---|---|---|"]
    for name in names():
        tape = load(name)
        source = tape.provenance
        rows.append(f"| [`{name}`]({name}.yaml) | {tape.about} | {source.kind} | {source.detail} |")
    return "\n".join([*rows, ""])


def shown_table() -> str:
    """The present table of `cassettes/README.md`."""
    return _readme()[1]


def _readme() -> tuple[str, str, str]:
    before, rest = README.read_text("utf-8").split(TABLE_BEGINS)
    shown, after = rest.split(TABLE_ENDS)
    return before, shown, after


def main(asked: list[str]) -> None:
    """Record the named scenarios, or all, and update the table."""
    if unknown := sorted(set(asked) - set(SCENARIOS)):
        sys.exit(f"no such scenario: {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    live_key = os.environ.get("VOYAGE_API_KEY")
    for name in asked or SCENARIOS:
        provenance = record(name, live_key)
        sys.stdout.write(f"{name:28} {provenance.kind}, {provenance.detail}\n")
    before, _, after = _readme()
    README.write_text(before + TABLE_BEGINS + table() + TABLE_ENDS + after, "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
