"""The examples in the docstrings of public classes run, and every public class has one."""

from __future__ import annotations

import doctest
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import voyage_rag
from pages import lay_out
from voyage_rag import Voyage, batch, bulk, emulator, hosts, langchain, llama_index, observe
from voyage_rag.emulator import Emulator

MODULES = (voyage_rag, langchain, llama_index, hosts, bulk, batch, observe, emulator)
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL


def public_classes() -> Iterator[tuple[str, type]]:
    """Every public class once, with its name as users import it."""
    seen = set()
    for module in MODULES:
        for name in module.__all__:
            value = getattr(module, name)
            if isinstance(value, type) and value not in seen:
                seen.add(value)
                yield f"{module.__name__}.{name}", value


CLASSES = dict(public_classes())


def examples(owner: type | ModuleType, name: str) -> list[doctest.Example]:
    """The examples in a docstring of its own, not one that it inherits."""
    return doctest.DocTestParser().get_examples(vars(owner).get("__doc__") or "", name)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A directory with the files that examples read, and an emulator for `Voyage()`."""
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)
    with Emulator(batch_speed=10_000) as url:
        monkeypatch.setenv("VOYAGE_API_KEY", "pa-docstrings")
        monkeypatch.setenv("VOYAGE_BASE_URL", url)
        yield


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_class_has_an_example(name: str) -> None:
    assert examples(CLASSES[name], name) != []


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # examples do not close their clients
@pytest.mark.parametrize("name", CLASSES)
def test_the_example_runs(name: str, service: None, capsys: pytest.CaptureFixture[str]) -> None:
    """On its own, with the output it shows."""
    found = examples(CLASSES[name], name)
    test = doctest.DocTest(found, {"__name__": "__main__"}, name, None, None, None)

    failed, _ = doctest.DocTestRunner(optionflags=OPTIONS).run(test)

    assert failed == 0, capsys.readouterr().out


def undocumented(of: Callable[..., object]) -> set[str]:
    """The parameters that the section `Args` of a docstring does not describe."""
    documented = re.findall(r"^    (\w+): ", inspect.getdoc(of) or "", re.MULTILINE)
    return {*inspect.signature(of).parameters} - {*documented, "self"}


def test_every_parameter_of_the_client_is_described() -> None:
    """Of the constructor, and of the methods that do not refer to another one."""
    methods = [getattr(Voyage, name) for name in dir(Voyage) if not name.startswith("_")]
    described = [method for method in methods if "Args:" in (inspect.getdoc(method) or "")]

    assert len(described) >= 7
    assert {of.__name__: undocumented(of) for of in (Voyage, *described) if undocumented(of)} == {}
