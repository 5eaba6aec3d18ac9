"""What a class of a peer can be given: `python tests/dropin/signatures.py MODULE.CLASS ...`.

Runs in the peer's environment and prints JSON: by class, by what is called, its parameters.
"""

from __future__ import annotations

import inspect
import json
import sys
from importlib import import_module
from typing import Any

OF_NOBODY = {"self", "cls", "args", "kwargs", "data"}
OF_PYDANTIC = {"model_post_init"}


def signatures(kind: type) -> dict[str, list[str]]:
    """The constructor and the public methods that the peer wrote."""
    return {"__init__": parameters(kind)} | {
        name: [one for one in inspect.signature(function).parameters if one not in OF_NOBODY]
        for name, function in sorted(methods(kind).items())
    }


def parameters(kind: Any) -> list[str]:
    """Those of the constructor, and pydantic's fields that no base class has."""
    written = [one for one in inspect.signature(kind.__init__).parameters if one not in OF_NOBODY]
    inherited = {name for base in kind.__mro__[1:] for name in getattr(base, "model_fields", {})}
    fields = [
        name
        for field, reported in getattr(kind, "model_fields", {}).items()
        if field not in inherited
        for name in (field, reported.alias)
    ]
    return written + [name for name in fields if name and name not in written]


def methods(kind: type) -> dict[str, Any]:
    """Of the class and of those above it in the same packages, `Client` and its base."""
    found: dict[str, Any] = {}
    for one in kind.__mro__:
        if "voyage" in one.__module__:
            for name, value in vars(one).items():
                function = inspect.unwrap(getattr(value, "__func__", value))
                if inspect.isfunction(function) and not name.startswith("_"):
                    found.setdefault(name, function)
    return {name: function for name, function in found.items() if name not in OF_PYDANTIC}


def main() -> None:
    """Print them for the classes that are named."""
    reported = {}
    for spelled in sys.argv[1:]:
        module, _, name = spelled.rpartition(".")
        reported[spelled] = signatures(getattr(import_module(module), name))
    sys.stdout.write(json.dumps(reported))


if __name__ == "__main__":
    main()
