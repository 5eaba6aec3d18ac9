"""Print the lowest version of every dependency in pyproject.toml, as constraints for pip.

`make lowest` installs these and runs the tests, so that the declared bounds are known to be true.
"""

from __future__ import annotations

import tomllib
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def constraints() -> list[str]:
    """One `name==version` for each dependency of the package and its extras."""
    project = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    requirements = map(Requirement, [*project["dependencies"], *chain(*extras)])
    lowest = {
        requirement.name: specifier.version
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        for specifier in requirement.specifier
        if specifier.operator == ">="
    }
    return [f"{name}=={version}" for name, version in sorted(lowest.items())]


if __name__ == "__main__":
    print("\n".join(constraints()))  # noqa: T201
