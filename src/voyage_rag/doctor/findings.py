"""What an examination finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

State: TypeAlias = Literal["ok", "note", "broken"]
"""`note` is for what may be meant so."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination.

    Attributes:
        name: What was looked at.
        state: How it is.
        said: What was seen. Never a key, but for its last four characters.
        remedy: What to do about it; always there where it is broken.
        facts: The same for programs.
    """

    name: str
    state: State
    said: str
    remedy: str | None = None
    facts: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        remedy = f" -> {self.remedy}" if self.remedy else ""
        return f"{self.state:<6}  {self.name:<9} {self.said}{remedy}"


def ok(name: str, said: str, **facts: object) -> Finding:
    """All is well."""
    return Finding(name, "ok", said, None, facts)


def note(name: str, said: str, remedy: str | None = None, **facts: object) -> Finding:
    """It may be meant so."""
    return Finding(name, "note", said, remedy, facts)


def broken(name: str, said: str, remedy: str, **facts: object) -> Finding:
    """It cannot work."""
    return Finding(name, "broken", said, remedy, facts)
