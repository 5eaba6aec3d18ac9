"""The statements of docs/migrate.md: the imports to change, and every parameter."""

from __future__ import annotations

import re

from pages import ROOT

PAGE = ROOT / "docs" / "migrate.md"
TEXT = PAGE.read_text("utf-8")
SIGNATURES = ROOT / "tests" / "dropin" / "signatures.json"
"""What the peers' classes can be given, as `make dropin` has found it in their own environments."""

ROW = re.compile(r"^\| (.+?) \| (.+?) \|$", re.MULTILINE)


def imports() -> dict[str, str]:
    """By what a program has, what to write instead."""
    table = section("The import")
    return {theirs.strip("`"): ours.strip("`") for theirs, ours in ROW.findall(table)[1:]}


def section(title: str) -> str:
    """Return the text under a heading of any level, up to the next one."""
    return re.split(rf"^#+ {re.escape(title)}$", TEXT, flags=re.MULTILINE)[1].partition("\n#")[0]


def becomes(kind: str) -> dict[str, str]:
    """What the section of a class says, by parameter, or by `method(parameters)`."""
    rows = ROW.findall(section(f"`{kind}`"))[1:]
    return {theirs.strip("`"): reported for theirs, reported in rows}
