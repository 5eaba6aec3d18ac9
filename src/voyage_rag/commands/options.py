"""Options that several commands take, so that they read the same everywhere."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

AsJSON: TypeAlias = Annotated[bool, typer.Option("--json", help="Write JSON instead of a table.")]
