"""One decoder under libFuzzer; the process ends with it."""

from __future__ import annotations

import sys

try:
    import atheris
except ImportError:
    raise SystemExit("fuzzing needs atheris: pip install --group fuzz") from None

with atheris.instrument_imports(include=["voyage_rag.core", "voyage_rag.io.http.response", "json"]):
    from fuzz.targets import TARGETS

*options, decoder = sys.argv
atheris.Setup(options, TARGETS[decoder.removeprefix("--decoder=")])
atheris.Fuzz()
