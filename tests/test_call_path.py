"""One call is easy to follow: it enters few files, and rarely changes between them."""

from __future__ import annotations

from typing import Any

import pytest

from pages import ROOT

MOST_FILES, MOST_SWITCHES = 22, 90


@pytest.fixture
def call_path(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that follows a call."""
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import call_path

    return call_path


def test_a_call_can_be_followed(call_path: Any) -> None:
    """`python -m benchmarks.call_path --list` prints the files in order."""
    for files in call_path.call_paths().values():
        assert len(set(files)) <= MOST_FILES
        assert call_path.switches_of(files) <= MOST_SWITCHES
