"""`python -m voyage_rag` is `voyage-rag`."""

from __future__ import annotations

import sys

from voyage_rag.cli import main

if __name__ == "__main__":
    sys.exit(main())
