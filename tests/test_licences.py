"""The licences of all dependencies allow use in any application."""

from __future__ import annotations

import pytest

import licences
from licences import Licence


def test_every_dependency_has_a_licence_that_is_allowed() -> None:
    """Of the core, of every installed extra, and of their dependencies."""
    found = licences.of_everything_installed_with("voyage-rag")

    assert {"httpx", "pydantic", "langchain-core", "llama-index-core"} <= {
        licence.package for licence in found
    }
    assert [licence for licence in found if licence.refused] == []


@pytest.mark.parametrize(
    ("names", "refused"),
    [
        (("MIT",), []),
        (("MIT", "Apache-2.0"), []),
        (("GPL-3.0-only",), ["GPL-3.0-only"]),
        (("MIT", "AGPL-3.0"), ["AGPL-3.0"]),
        ((), ["no licence named"]),
    ],
)
def test_another_licence_is_noticed(names: tuple[str, ...], refused: list[str]) -> None:
    """Also one among several, and none at all."""
    assert Licence("a", "1", names).refused == refused
