"""The same programs on the peers' packages and on ours: only their imports differ."""

from __future__ import annotations

import difflib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from dropin.peers import HERE, PEERS, printed
from migration import SIGNATURES, imports
from voyage_rag.emulator import Emulator

PROGRAMS = sorted((HERE / "programs").glob("*.py"))
FLOAT32 = 1e-6
"""What vectors may differ by: both decode the service's 4-byte floats."""


def switched(program: str) -> str:
    """A program with the imports changed, as the page describes."""
    for theirs, ours in imports().items():
        program = program.replace(f"\n{theirs}", f"\n{ours}")
    return program


def differences(theirs: Any, ours: Any, where: str = "") -> list[str]:
    """Where two results are not the same, up to the rounding of a float."""
    if isinstance(theirs, dict) and isinstance(ours, dict) and theirs.keys() == ours.keys():
        pairs = [(f"{where}.{name}", value, ours[name]) for name, value in theirs.items()]
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        pairs = [(f"{where}[{n}]", *both) for n, both in enumerate(zip(theirs, ours, strict=True))]
    elif type(theirs) is type(ours) is float:
        return [] if abs(theirs - ours) <= FLOAT32 else [f"{where}: {theirs} is {ours}"]
    else:
        return [] if (type(theirs), theirs) == (type(ours), ours) else [f"{where}: {theirs} {ours}"]
    return [found for pair in pairs for found in differences(pair[1], pair[2], pair[0])]


def test_differences_are_seen() -> None:
    """Each kind of them, so that the comparison below can fail."""
    for theirs, ours in (
        ({"a": [1.0, 2.0]}, {"a": [1.0, 2.00001]}),
        ({"a": 1}, {"a": 1.0}),
        ({"a": 1}, {"b": 1}),
        ([1, 2], [1]),
        ("a", "b"),
        (None, []),
    ):
        assert len(differences(theirs, ours)) == 1
    assert differences({"a": [1.0, {"b": None}]}, {"a": [1.0 + 1e-8, {"b": None}]}) == []


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_only_imports_change(program: Path) -> None:
    """Nothing else of a program is touched."""
    before = program.read_text("utf-8")
    changed = [
        line[2:]
        for line in difflib.ndiff(before.splitlines(), switched(before).splitlines())
        if line.startswith(("- ", "+ "))
    ]

    assert changed
    assert all(line.startswith(("import ", "from ")) for line in changed)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_a_program_has_the_same_results(program: Path, tmp_path: Path) -> None:
    """Vectors, rankings with their scores, usage, and the errors that are caught."""
    peer = next(peer for name, peer in PEERS.items() if program.stem.startswith(name))
    variant = tmp_path / program.name
    variant.write_text(switched(program.read_text("utf-8")), "utf-8")

    with Emulator() as url:
        theirs = peer.run(HERE / "peer.py", program, url=url)
    with Emulator() as url:
        ours = printed([sys.executable, variant], url)

    assert differences(theirs, ours) == []


@pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS)
def test_the_other_packages_accept_the_documented_parameters(peer: Any) -> None:
    """The file that the page is compared with is what their classes say themselves."""
    written = json.loads(SIGNATURES.read_text("utf-8"))

    found = peer.run(HERE / "signatures.py", *peer.classes)

    assert found == {kind: written[kind] for kind in peer.classes}
