"""Names that are imported when they are first used, so that a package costs what is used of it.

Type checkers and editors see ordinary imports under `TYPE_CHECKING`; this is what happens at run
time (PEP 562).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec


def deferred(
    package: str, names: Collection[str], modules: Sequence[str]
) -> Callable[[str], object]:
    """The `__getattr__` of a package.

    Args:
        package: Its name.
        names: What it offers.
        modules: Its submodules that hold these, the light ones first; each is looked into only if
            those before it do not have the name.
    """

    def find(name: str) -> object:
        if name in names:
            found = _held(name, (f"{package}.{module}" for module in modules))
        elif not name.startswith("_") and find_spec(f"{package}.{name}"):
            found = import_module(f"{package}.{name}")
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        setattr(sys.modules[package], name, found)
        return found

    return find


def _held(name: str, modules: Iterable[str]) -> object:
    for module in map(import_module, modules):
        if name in vars(module):
            return vars(module)[name]
    raise AttributeError(f"no module has {name!r}")
