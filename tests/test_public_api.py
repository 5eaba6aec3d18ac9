"""What `import voyage_rag` promises: names, documentation, two faces alike, and a light start."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import voyage_rag
from voyage_rag import AsyncClient, Client, Voyage
from voyage_rag.client.batches import Batches
from voyage_rag.client.files import Files

HEAVY = [
    "aiohttp",
    "langchain_core",
    "llama_index",
    "numpy",
    "orjson",
    "PIL",
    "requests",
    "starlette",
    "tokenizers",
    "tqdm",
    "trio",
    "typer",
    "uvicorn",
]

METHODS = [name for name in dir(Voyage) if not name.startswith("_")]
VERBS = [name for name in METHODS if f"a{name}" in METHODS]
ITERATORS = {"Iterator": "AsyncGenerator", "Generator": "AsyncGenerator"}


def test_all_is_sorted_and_is_what_there_is() -> None:
    """`__all__` names every public object, and nothing else."""
    there = {
        name
        for name, value in vars(voyage_rag).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }

    assert sorted(voyage_rag.__all__, key=str.casefold) == sorted(
        there | {"__version__"}, key=str.casefold
    )
    assert sorted(voyage_rag.__all__) == voyage_rag.__all__


@pytest.mark.parametrize("name", sorted(set(voyage_rag.__all__) - {"__version__"}))
def test_every_public_name_is_documented(name: str) -> None:
    """Class and public methods, and a name says where it is from."""
    public = getattr(voyage_rag, name)
    members = {
        member: value
        for member, value in vars(public).items()
        if not member.startswith("_") and (callable(value) or isinstance(value, property))
    }

    assert inspect.getdoc(public)
    assert not [member for member, value in members.items() if not inspect.getdoc(value)]
    assert public.__module__.startswith("voyage_rag.")


def test_the_version_is_the_distributions() -> None:
    """One place says it."""
    from importlib.metadata import version

    assert voyage_rag.__version__ == version("voyage-rag")


def test_the_package_is_typed() -> None:
    """Type checkers look for this file."""
    assert Path(voyage_rag.__file__).with_name("py.typed").exists()


def test_every_verb_has_two_faces() -> None:
    """The pairs, named `verb` and `averb`."""
    assert {"embed", "embed_iter", "rerank", "close"} <= set(VERBS)
    alone = {name for name in METHODS if name not in VERBS and name[1:] not in VERBS}
    assert {"batches", "files", "of", "usage"} == alone


def twins(owner: type) -> list[tuple[type, str, str]]:
    """The pairs of verbs of a class; that of `wait` is `await_`, since `await` is a keyword."""
    names = [name for name in dir(owner) if not name.startswith("_")]
    pairs = [(name, "await_" if name == "wait" else f"a{name}") for name in names]
    return [(owner, name, twin) for name, twin in pairs if twin in names]


TWINS = [pair for owner in (Voyage, Files, Batches) for pair in twins(owner)]


@pytest.mark.parametrize(("owner", "verb", "twin_verb"), TWINS)
def test_sync_and_async_twins_take_the_same(owner: type, verb: str, twin_verb: str) -> None:
    """Names, order, defaults and types; what comes out differs by being awaited or iterated."""
    sync, twin = (inspect.signature(getattr(owner, name)) for name in (verb, twin_verb))

    assert list(sync.parameters.values()) == list(twin.parameters.values())
    outcome = str(sync.return_annotation)
    for ours, theirs in ITERATORS.items():
        outcome = outcome.replace(ours, theirs) if outcome.startswith(ours) else outcome
    assert outcome == str(twin.return_annotation)
    is_async = inspect.iscoroutinefunction(getattr(owner, twin_verb))
    assert is_async or inspect.isasyncgenfunction(getattr(owner, twin_verb))


@pytest.mark.parametrize("owner", [Files, Batches])
def test_every_verb_of_files_and_batches_has_two_faces(owner: type) -> None:
    """And is documented."""
    public = {name for name in vars(owner) if not name.startswith("_")}
    assert public == {name for _, *pair in twins(owner) for name in pair}
    assert all(inspect.getdoc(getattr(owner, name)) for name in public)


def test_the_import_is_light() -> None:
    """No framework, no numpy, nothing that only some users need."""
    program = "import sys, json, voyage_rag; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        timeout=30,
        check=True,
    )
    loaded = {name.split(".")[0] for name in json.loads(done.stdout)}

    assert "voyage_rag" in loaded
    assert set() == loaded & set(HEAVY)


VENDORS_CLIENT: dict[str, list[Any]] = {
    "__init__": ["api_key", "max_retries", "timeout", "base_url"],
    "embed": ["texts", "model", "input_type", "truncation", "output_dtype", "output_dimension"],
    "rerank": ["query", "documents", "model", "top_k", "truncation"],
}


@pytest.mark.parametrize("verb", VENDORS_CLIENT)
def test_arguments_stand_where_the_vendors_client_has_them(verb: str) -> None:
    """Positional calls written for it mean the same here."""
    parameters = list(inspect.signature(getattr(Client, verb)).parameters.values())[1:]
    positional = [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]

    assert VENDORS_CLIENT[verb] == positional


def test_the_vendors_names_stand_for_ours() -> None:
    """`Client` is `Voyage`; `AsyncClient` has the verbs under their plain names."""
    assert Client is Voyage
    assert all(
        inspect.iscoroutinefunction(getattr(AsyncClient, name)) for name in ("embed", "rerank")
    )
