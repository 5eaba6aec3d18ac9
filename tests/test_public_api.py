"""The public interface: names, documentation, sync and async pairs, a quick import."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from langchain_core.tools import StructuredTool
from llama_index.core.tools import FunctionTool

import voyage_rag
from voyage_rag import AsyncClient, Client, Voyage
from voyage_rag.batch import BatchJob
from voyage_rag.client.batches import Batches
from voyage_rag.client.files import Files
from voyage_rag.core.text_stream import AsyncSink, Sink

HEAVY = [
    "aiohttp",
    "langchain_core",
    "llama_index",
    "numpy",
    "opentelemetry",
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


DEFERRING = ["voyage_rag", "voyage_rag.langchain", "voyage_rag.llama_index", "voyage_rag.observe"]


@pytest.mark.parametrize("package", DEFERRING)
def test_all_is_sorted_and_is_what_there_is(package: str) -> None:
    """`__all__` names what type checkers see; all of it can be imported and is tab-completed."""
    module = import_module(package)
    seen = {
        alias.name
        for node in ast.walk(ast.parse(Path(module.__file__ or "").read_text("utf-8")))
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for imported in node.body
        if isinstance(imported, ast.ImportFrom)
        for alias in imported.names
    }

    assert set(module.__all__) == seen | ({"__version__"} & set(module.__all__))
    assert sorted(module.__all__) == module.__all__ == dir(module)
    assert all(getattr(module, name) for name in module.__all__)


@pytest.mark.parametrize("package", DEFERRING)
def test_a_name_that_there_is_not_is_an_attribute_error(package: str) -> None:
    """As of any module; submodules are found without being imported first."""
    module = import_module(package)

    assert voyage_rag.errors.VoyageError is voyage_rag.VoyageError
    with pytest.raises(AttributeError, match=f"'{package}' has no attribute 'Voyag'"):
        _ = module.Voyag


@pytest.mark.parametrize("name", sorted(set(voyage_rag.__all__) - {"__version__", "error"}))
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
    """It is defined in one place."""
    from importlib.metadata import version

    assert voyage_rag.__version__ == version("voyage-rag")


def test_the_package_is_typed() -> None:
    """Type checkers look for this file."""
    assert Path(voyage_rag.__file__).with_name("py.typed").exists()


def test_every_method_has_a_sync_and_an_async_variant() -> None:
    """The pairs, named `method` and `amethod`."""
    assert {"embed", "embed_iter", "rerank", "close"} <= set(VERBS)
    alone = {name for name in METHODS if name not in VERBS and name[1:] not in VERBS}
    assert {"batches", "files", "of", "usage", "with_options"} == alone


def twins(owner: type) -> list[tuple[type, str, str]]:
    """The sync and async methods of a class; `wait` has `await_`, as `await` is a keyword."""
    names = [name for name in dir(owner) if not name.startswith("_")]
    pairs = [(name, "await_" if name == "wait" else f"a{name}") for name in names]
    return [(owner, name, twin) for name, twin in pairs if twin in names]


TWINS = [pair for owner in (Voyage, Files, Batches, BatchJob) for pair in twins(owner)]


@pytest.mark.parametrize(("owner", "verb", "twin_verb"), TWINS)
def test_sync_and_async_twins_take_the_same(owner: type, verb: str, twin_verb: str) -> None:
    """Names, order, defaults and types; results and sinks differ by being awaited or iterated."""
    sync, twin = (inspect.signature(getattr(owner, name)) for name in (verb, twin_verb))
    expected = [
        given.replace(annotation=AsyncSink) if given.annotation is Sink else given
        for given in sync.parameters.values()
    ]

    assert list(twin.parameters.values()) == expected
    outcome = str(sync.return_annotation)
    for ours, theirs in ITERATORS.items():
        outcome = re.sub(rf"^(collections\.abc\.)?{ours}\[", rf"\1{theirs}[", outcome)
    assert outcome == str(twin.return_annotation)
    is_async = inspect.iscoroutinefunction(getattr(owner, twin_verb))
    assert is_async or inspect.isasyncgenfunction(getattr(owner, twin_verb))


@pytest.mark.parametrize("owner", [Files, Batches])
def test_every_method_of_files_and_batches_has_a_sync_and_an_async_variant(owner: type) -> None:
    """And is documented."""
    public = {name for name in vars(owner) if not name.startswith("_")}
    assert public == {name for _, *pair in twins(owner) for name in pair}
    assert all(inspect.getdoc(getattr(owner, name)) for name in public)


def loaded_by(*statements: str) -> list[set[str]]:
    """The modules that a fresh interpreter has loaded after each statement."""
    program = "import sys, json; loaded = []\n"
    program += "".join(f"{each}; loaded.append(sorted(sys.modules))\n" for each in statements)
    program += "print(json.dumps(loaded))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        timeout=60,
        check=True,
    )
    return [set(names) for names in json.loads(done.stdout)]


def test_the_import_is_light() -> None:
    """Not even what every user needs is imported before it is used."""
    (loaded,) = loaded_by("import voyage_rag")

    assert "voyage_rag" in loaded
    assert not loaded & {*HEAVY, "httpx", "pydantic", "anyio", "asyncio", "voyage_rag.client"}


def test_the_client_is_light() -> None:
    """No framework, no numpy, nothing that only some users need."""
    (loaded,) = loaded_by("from voyage_rag import Voyage; Voyage('key')")

    assert "voyage_rag.client" in loaded
    assert not loaded & {*HEAVY, "httpx", "httpcore"}


@pytest.mark.parametrize(
    ("ours", "base"),
    [
        ("voyage_rag.langchain import VoyageAIEmbeddings", "langchain_core.embeddings.embeddings"),
        ("voyage_rag.llama_index import VoyageEmbedding", "llama_index.core.base.embeddings.base"),
    ],
)
def test_a_framework_s_class_comes_with_its_client(ours: str, base: str) -> None:
    """So that nothing is imported where objects are made, which may be an event loop."""
    framework, loaded, of_an_object = loaded_by(
        f"import {base}", f"from {ours} as C", "C('voyage-4', **{'api_key': 'k'})"
    )

    assert "voyage_rag.client" in loaded
    assert of_an_object == loaded
    assert not (loaded - framework) & {*HEAVY, "httpx"}


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
    """`Client` is `Voyage`; `AsyncClient` has the methods under their plain names."""
    assert Client is Voyage
    assert all(
        inspect.iscoroutinefunction(getattr(AsyncClient, name)) for name in ("embed", "rerank")
    )


PUBLIC_MODULES = [
    *DEFERRING,
    *(
        f"voyage_rag.{name}"
        for name in ("batch", "bulk", "counting", "emulator", "events", "hosts")
    ),
    *(f"voyage_rag.{name}" for name in ("models", "observe.otel", "records", "secret", "types")),
]
LATER = {"Files": Files, "Batches": Batches}
"""Types of modules that are imported only where they are used."""


def functions_of(package: str) -> Iterator[Callable[..., object]]:
    """The classes and functions of a module, with the classes' methods and properties."""
    module = import_module(package)
    for public in [getattr(module, name) for name in getattr(module, "__all__", dir(module))]:
        names = dir(public) if inspect.isclass(public) else ()
        for item in [public, *(inspect.getattr_static(public, name) for name in names)]:
            bare = inspect.unwrap(getattr(item, "fget", getattr(item, "func", item)))
            bare = getattr(bare, "__func__", bare)
            is_ours = str(getattr(bare, "__module__", None)).startswith("voyage_rag")
            if is_ours and (inspect.isclass(bare) or inspect.isfunction(bare)):
                yield bare


@pytest.mark.parametrize("package", PUBLIC_MODULES)
def test_type_hints_can_be_read_at_runtime(package: str) -> None:
    """LangChain's tools, `pydantic.validate_call` and dependency injection read them."""
    found = list(functions_of(package))

    assert found or package == "voyage_rag.llama_index"
    for function in found:
        get_type_hints(function, localns=LATER)


UNSUITABLE = {"contextualized_embed", "acontextualized_embed"}
"""They accept a function, which a model cannot name."""
TOOLS = sorted({*VERBS, *(f"a{verb}" for verb in VERBS)} - {"close", "aclose"})


@pytest.mark.parametrize("name", TOOLS)
def test_a_method_becomes_a_tool_of_an_agent(name: str) -> None:
    """LlamaIndex reads the types in the signature, LangChain the hints; both see the same."""
    method = getattr(Voyage("any-key"), name)
    parameters = inspect.signature(method).parameters

    assert [p.name for p in parameters.values() if isinstance(p.annotation, str)] == []
    if name not in UNSUITABLE and "iter" not in name and "into" not in name:
        ours = FunctionTool.from_defaults(method).metadata.get_parameters_dict()["properties"]
        assert ours.keys() == StructuredTool.from_function(method).args.keys() == parameters.keys()
