"""Options that several commands take, so that they read the same everywhere."""

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
        show_default="VOYAGE_BASE_URL, else the host the key belongs to",
    ),
]

Emulated: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--emulator", help="Try it without a key: an emulator on this machine compares words."
    ),
]

SkipUnreadable: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--skip-unreadable", help="Report files of a folder that cannot be read, and continue."
    ),
]
