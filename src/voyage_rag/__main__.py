"""Run the command line with `python -m voyage_rag`."""

from __future__ import annotations

import sys

from voyage_rag.cli import main

if __name__ == "__main__":
    sys.exit(main())
