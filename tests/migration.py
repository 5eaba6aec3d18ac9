"""The statements of docs/migrate.md: the imports to change, and every parameter."""

from __future__ import annotations

import re

from pages import ROOT

PAGE = ROOT / "docs" / "migrate.md"
TEXT = PAGE.read_text("utf-8")
SIGNATURES = ROOT / "tests" / "dropin" / "signatures.json"
"""The parameters of the other packages' classes, as `make dropin` found them."""

ROW = re.compile(r"^\| (.+?) \| (.+?) \|$", re.MULTILINE)


def imports() -> dict[str, str]:
    """The import statements, and what replaces each."""
    table = section("The import")
    return {theirs.strip("`"): ours.strip("`") for theirs, ours in ROW.findall(table)[1:]}


def section(title: str) -> str:
    """Return the text under a heading of any level, up to the next one."""
    return re.split(rf"^#+ {re.escape(title)}$", TEXT, flags=re.MULTILINE)[1].partition("\n#")[0]


def becomes(kind: str) -> dict[str, str]:
    """The rows of a class's section, by parameter, or by `method(parameters)`."""
    rows = ROW.findall(section(f"`{kind}`"))[1:]
    return {theirs.strip("`"): reported for theirs, reported in rows}
