"""The results of the checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

State: TypeAlias = Literal["ok", "note", "broken"]
"""`note` marks a finding that may be intended."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        name: The name of the check.
        state: Whether it works.
        said: The result, with at most the last four characters of a key.
        remedy: How to solve the problem; never None if `state` is `broken`.
        facts: The result for programs.
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
    """Return a finding that needs no action."""
    return Finding(name, "ok", said, None, facts)


def note(name: str, said: str, remedy: str | None = None, **facts: object) -> Finding:
    """Return a finding that may be intended."""
    return Finding(name, "note", said, remedy, facts)


def broken(name: str, said: str, remedy: str, **facts: object) -> Finding:
    """Return a finding that prevents calls, with the remedy."""
    return Finding(name, "broken", said, remedy, facts)
