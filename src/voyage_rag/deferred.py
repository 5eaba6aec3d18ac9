"""Import the names of a package on first use, to keep imports fast.

Type checkers and editors see ordinary imports under `TYPE_CHECKING`; this module resolves the names
at run time (PEP 562).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec


def deferred(
    package: str, names: Sequence[str], modules: Sequence[str]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return the `__getattr__` and the `__dir__` of a package.

    Args:
        package: The name of the package.
        names: The public names.
        modules: The submodules that define them, or are themselves public, fastest imports first.
            A submodule is imported only if the previous ones do not define the name.
    """

    def find(name: str) -> object:
        if name in names:
            found = _held(name, package, modules)
        elif not name.startswith("_") and find_spec(f"{package}.{name}"):
            found = import_module(f"{package}.{name}")
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        setattr(sys.modules[package], name, found)
        return found

    return find, lambda: list(names)


def _held(name: str, package: str, modules: Iterable[str]) -> object:
    for each in modules:
        module = import_module(f"{package}.{each}")
        if name == each:
            return module
        if name in vars(module):
            return vars(module)[name]
    raise AttributeError(f"no module has {name!r}")
