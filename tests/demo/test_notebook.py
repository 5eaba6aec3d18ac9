"""Where a notebook's vectors come from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from voyage_rag import Voyage
from voyage_rag.demo import notebook
from voyage_rag.demo.notebook import choose_service

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLES = ("VOYAGE_API_KEY", "VOYAGE_API_KEY_PATH", "VOYAGE_BASE_URL")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One of its own, and no emulator left running."""
    monkeypatch.setattr(os, "environ", {k: v for k, v in os.environ.items() if k not in VARIABLES})
    notebook._emulator.cache_clear()
    yield
    if notebook._emulator.cache_info().currsize:
        notebook._emulator().stop()
        notebook._emulator.cache_clear()


def test_without_a_key_an_emulator_answers_and_is_announced(
    capsys: pytest.CaptureFixture[str],
) -> None:
    choose_service()

    reported = capsys.readouterr().out
    assert "an emulator was started" in reported
    assert "Its vectors are not Voyage's: it compares words, not meaning." in reported
    address = os.environ["VOYAGE_BASE_URL"]
    assert address.startswith("http://127.0.0.1:")
    with urlopen(address.removesuffix("/v1")) as answer:
        assert b"emulator" in answer.read()


def test_what_follows_is_written_as_for_the_live_service() -> None:
    choose_service()

    with Voyage() as voyage:
        assert len(voyage.embed(["hello"], model="voyage-4").vectors) == 1


def test_a_cell_that_is_run_twice_stays_with_its_emulator(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What it put into the environment is not taken for a user's key."""
    choose_service()
    first = capsys.readouterr().out
    choose_service()

    assert capsys.readouterr().out == first


def test_with_a_key_nothing_is_emulated_and_nothing_is_changed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    os.environ["VOYAGE_API_KEY"] = "pa-a-real-key"

    choose_service()

    reported = capsys.readouterr().out
    address = "https://api.voyageai.com/v1"
    assert reported == f"Your key is used, at {address} (live: calls are billed).\n"
    assert "VOYAGE_BASE_URL" not in os.environ
    assert notebook._emulator.cache_info().currsize == 0


def test_a_service_on_this_machine_is_not_called_live(capsys: pytest.CaptureFixture[str]) -> None:
    os.environ |= {"VOYAGE_API_KEY": "pa-mine", "VOYAGE_BASE_URL": "http://127.0.0.1:8080/v1"}

    choose_service()

    reported = capsys.readouterr().out
    assert (
        reported == "Your key is used, at http://127.0.0.1:8080/v1 (a service on this machine).\n"
    )


def test_the_announcement_states_that_words_are_compared(
    capsys: pytest.CaptureFixture[str],
) -> None:
    choose_service("colours and simple shapes")

    assert "compares colours and simple shapes, not meaning" in capsys.readouterr().out
