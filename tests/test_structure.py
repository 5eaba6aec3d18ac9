"""Rules for the source as a whole: names, lengths of files, and imports."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "voyage_rag"
MOST_LINES = 350

NAMED_TUPLES = {"_asdict", "_field_defaults", "_fields", "_make", "_replace"}
"""Public methods and attributes of every named tuple."""

SHARED_CLASS_NAMES = {"VoyageAIRerank"}
"""Classes that both frameworks know under this name."""

ADDRESS = re.compile(
    r"https?://(?!localhost)\w|\b(voyageai|mongodb|aimlapi)\.com\b"
    r"|(?<!proxy-)\bauthorization\b|\bBearer\b",
    re.IGNORECASE,
)
ADDRESSES_BELONG_TO = ("hosts", "emulator")

# Known violations. The tests also fail where an entry is no longer needed: remove it then.
KNOWN_LONG_FILES: set[str] = set()
KNOWN_SHARED_NAMES: set[str] = set()
KNOWN_PRIVATE_ATTRIBUTES: set[str] = set()
KNOWN_ADDRESSES: set[str] = set()


@cache
def modules() -> dict[str, ast.Module]:
    """Every module's syntax tree by its path."""
    paths = sorted(SOURCE.rglob("*.py"))
    return {p.relative_to(SOURCE).as_posix(): ast.parse(p.read_text("utf-8")) for p in paths}


def is_private(name: str) -> bool:
    """Whether a leading underscore marks a name as private."""
    return name.startswith("_") and not name.endswith("__") and name not in NAMED_TUPLES


def own_private_names() -> set[str]:
    """Private names that this package defines: attributes, functions, classes, parameters."""
    names = set()
    for tree in modules().values():
        for node in ast.walk(tree):
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                    names.add(node.name)
                case ast.Name(ctx=ast.Store()):
                    names.add(node.id)
                case ast.Attribute(ctx=ast.Store(), value=ast.Name(id="self")):
                    names.add(node.attr)
    return {name for name in names if is_private(name)}


def foreign_names(tree: ast.Module) -> set[str]:
    """Names that a module imported from other packages."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("voyage_rag"):
            names |= {alias.asname or alias.name for alias in node.names if not node.level}
    return names


def private_attributes_of_others(tree: ast.Module, own: set[str]) -> Iterator[str]:
    """Private attributes that a module uses and that are not this package's.

    Those reached by name count, too: `getattr(x, "_y")`, `vars(x)["_y"]`, `fields.get("_y")`.
    """
    foreign = foreign_names(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name, value=ast.Name(id=owner)) if is_private(name):
                if owner in foreign or name not in own:
                    yield name
            case ast.Attribute(attr=name) if is_private(name) and name not in own:
                yield name
            case ast.Import() | ast.ImportFrom():
                yield from _private_imports(node)
            case ast.Call(func=ast.Name(id="getattr" | "setattr" | "hasattr" | "delattr")):
                yield from _private_strings(node.args[1:2], own)
            case ast.Call(func=ast.Attribute(attr="get" | "pop" | "setdefault"), args=args):
                yield from _private_strings(args[:1], own)
            case ast.Subscript(slice=index):
                yield from _private_strings([index], own)


def _private_imports(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.ImportFrom):
        if (
            node.module == "__future__"
            or node.level
            or (node.module or "").startswith("voyage_rag")
        ):
            return
        parts = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
    else:
        parts = [part for alias in node.names for part in alias.name.split(".")]
    yield from (part for part in parts if is_private(part) and part not in sys.stdlib_module_names)


def _private_strings(nodes: list[ast.expr], own: set[str]) -> Iterator[str]:
    texts = [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    names = [text for text in texts if text.isidentifier() and not text.startswith("__")]
    yield from (name for name in names if is_private(name) and name not in own)


def imported_modules(tree: ast.Module) -> Iterator[str]:
    """Full names of what a module imports, wherever the statement stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def strings_but_docstrings(tree: ast.Module) -> Iterator[str]:
    """String constants of a module, parts of f-strings included."""
    statements = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in statements:
            if isinstance(node.value, str):
                yield node.value
            elif isinstance(node.value, bytes):
                yield node.value.decode("latin-1")


def test_no_file_is_long() -> None:
    lengths = {path: len((SOURCE / path).read_text("utf-8").splitlines()) for path in modules()}
    assert {path for path, length in lengths.items() if length > MOST_LINES} == KNOWN_LONG_FILES


def test_a_class_name_is_used_once() -> None:
    counts = Counter(
        node.name
        for tree in modules().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    )
    twice = {name for name, count in counts.items() if count > 1}
    assert twice - SHARED_CLASS_NAMES == KNOWN_SHARED_NAMES


def test_other_packages_are_used_by_their_public_names() -> None:
    own = own_private_names()
    found = {
        f"{path}: {name}"
        for path, tree in modules().items()
        for name in private_attributes_of_others(tree, own)
    }
    assert found == KNOWN_PRIVATE_ATTRIBUTES


def test_addresses_and_credentials_are_defined_only_in_hosts() -> None:
    """A URL, a host's name or an authorisation header in code; docstrings may cite."""
    found = {
        path
        for path, tree in modules().items()
        if not path.startswith(ADDRESSES_BELONG_TO)
        and any(map(ADDRESS.search, strings_but_docstrings(tree)))
    }
    assert found == KNOWN_ADDRESSES


def test_the_emulator_shares_no_code_with_the_client() -> None:
    """Not through the package itself either, which no import contract can express."""
    found = {
        (path, name)
        for path, tree in modules().items()
        if path.startswith("emulator/")
        for name in imported_modules(tree)
        if name.startswith("voyage_rag") and not name.startswith("voyage_rag.emulator")
    }
    assert not found


def test_every_import_contract_covers_new_modules() -> None:
    """Layers of a package list all its modules; the contract fails where one is missing."""
    text = (SOURCE.parents[1] / "pyproject.toml").read_text("utf-8")
    contracts = tomllib.loads(text)["tool"]["importlinter"]["contracts"]
    layers = [contract for contract in contracts if contract["type"] == "layers"]
    assert layers
    assert all(contract["exhaustive"] and contract["containers"] for contract in layers)


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("import httpx\nhttpx._client", ["_client"]),
        ("import threading\nthreading._register_atexit(f)", ["_register_atexit"]),
        ("def f(client):\n    return client._transport._pool", ["_pool", "_transport"]),
        ("hasattr(pool, '_network_backend')", ["_network_backend"]),
        ("vars(image).get('_im')", ["_im"]),
        ("vars(image)['_im']", ["_im"]),
        ("from httpx._client import Client", ["_client"]),
        ("import httpcore._sync", ["_sync"]),
        ("from voyage_rag.core._own import thing", []),
        ("self._mine\nself.__dict__\nx['_mine']", []),
        ("import x\nx._mine", ["_mine"]),
    ],
)
def test_the_check_of_private_names_sees_them(code: str, names: list[str]) -> None:
    assert sorted(private_attributes_of_others(ast.parse(code), {"_mine"})) == names
