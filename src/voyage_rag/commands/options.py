"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

AsJSON: TypeAlias = Annotated[bool, typer.Option("--json", help="Write JSON instead of a table.")]

BaseURL: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        metavar="URL",
        help="Address of the API.",
        show_default="VOYAGE_BASE_URL, then the host of the key",
    ),
]

Emulated: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--emulator",
        help="Use an emulator on this machine, which compares words, instead of a key.",
    ),
]

SkipUnreadable: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--skip-unreadable", help="Report files in folders that cannot be read, and continue."
    ),
]
