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


def section(title: str, text: str = TEXT) -> str:
    """Return the text under a heading of any level, up to the next one."""
    return re.split(rf"^#+ {re.escape(title)}$", text, flags=re.MULTILINE)[1].partition("\n#")[0]


def becomes(kind: str) -> dict[str, str]:
    """The rows of a class's section, by parameter, or by `method(parameters)`."""
    module, _, name = kind.rpartition(".")
    package = re.sub(r"[._]", "-", module)
    of_package = TEXT.partition(f"\n## {package}\n")[2].partition("\n## ")[0]
    rows = ROW.findall(section(f"`{name}`", of_package))[1:]
    return {theirs.strip("`"): reported for theirs, reported in rows}
