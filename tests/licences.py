"""`make audit`: the licences of everything that `pip install voyage-rag[...]` brings, and a check.

Needs no network: it reads what the installed packages say of themselves.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ALLOWED = {
    "0BSD",
    "AFL",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "CNRI-Python",
    "HPND",
    "ISC",
    "MIT",
    "MIT-CMU",
    "MPL-2.0",
    "PSF-2.0",
    "Unlicense",
    "Zlib",
}
"""Those that ask nothing of an application but to be named. MPL-2.0 asks that changes to its own
files be published."""

NAMES = {
    "academic free license (afl)": "AFL",
    "3-clause bsd license": "BSD-3-Clause",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "modified bsd license": "BSD-3-Clause",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "psfl": "PSF-2.0",
    "python software foundation license": "PSF-2.0",
}
"""What packages write in older metadata."""

SAY_NOTHING = {"unknown", "dual license"}
"""Words that name no licence; the classifiers do."""

CONJUNCTION = re.compile(r"\s+(?:AND|OR)\s+|[()]")


@dataclass(frozen=True, order=True)
class Licence:
    """The licence of a package.

    Attributes:
        package: Its name.
        version: The one installed.
        names: SPDX identifiers, or what it says where that is none of them.
    """

    package: str
    version: str
    names: tuple[str, ...]

    @property
    def refused(self) -> list[str]:
        """The licences that are not allowed, or one entry if none is named."""
        return [name for name in self.names or ("no licence named",) if name not in ALLOWED]


def of_everything_installed_with(root: str) -> list[Licence]:
    """The licences of a package's requirements, and of theirs, with all its extras."""
    extras = frozenset(metadata.metadata(root).get_all("Provides-Extra") or ())
    seen: set[tuple[str, frozenset[str]]] = set()
    found: dict[str, Licence] = {}
    waiting = list(_required(root, extras))
    while waiting:
        package = waiting.pop()
        if package in seen:
            continue
        seen.add(package)
        try:
            found[package[0]] = _licence(package[0])
        except metadata.PackageNotFoundError:
            continue  # of an extra that is not installed here
        waiting += _required(*package)
    found.pop(canonicalize_name(root), None)
    return sorted(found.values())


def _required(name: str, extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    for written in metadata.requires(name) or ():
        requirement = Requirement(written)
        asked = [{"extra": extra} for extra in extras] or [{"extra": ""}]
        if requirement.marker is None or any(map(requirement.marker.evaluate, asked)):
            yield canonicalize_name(requirement.name), frozenset(requirement.extras)


def _licence(name: str) -> Licence:
    about = metadata.metadata(name)
    prefix = "License :: "
    classified = [
        line.rpartition(" :: ")[2]
        for line in about.get_all("Classifier") or ()
        if line.startswith(prefix) and line != f"{prefix}OSI Approved"
    ]
    written = about.get("License-Expression") or _short(about.get("License"))
    reported = CONJUNCTION.split(written) if written else classified
    names = {NAMES.get(each.strip().lower(), each.strip()) for each in reported if each.strip()}
    return Licence(name, metadata.version(name), tuple(sorted(names)))


def _short(text: str | None) -> str:
    """The name of a licence; of one that is there in full, its first words."""
    first = (text or "").strip().partition("\n")[0].strip()
    return "" if first.lower() in SAY_NOTHING else first


def main() -> int:
    """Print the list; 1 if one of them is not allowed."""
    licences = of_everything_installed_with("voyage-rag")
    for licence in licences:
        mark = "REFUSED " if licence.refused else ""
        reported = ", ".join(licence.names) or "no licence named"
        sys.stdout.write(f"{licence.package:32}{licence.version:16}{mark}{reported}\n")
    refused = [licence.package for licence in licences if licence.refused]
    sys.stdout.write(f"{len(licences)} packages; not allowed: {', '.join(refused) or 'none'}\n")
    return 1 if refused else 0


if __name__ == "__main__":
    raise SystemExit(main())
