"""`voyage-rag emulate`: the API's rules on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from voyage_rag.commands.extras import extra
from voyage_rag.commands.failure import CommandError

EXAMPLES = ("emulate", "emulate --port 9000 --host 0.0.0.0")


def emulate(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen.")] = 8000,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
) -> None:
    """Run an emulator of Voyage's API on this machine, for tests and for working offline.

    It checks and limits as the service does. Its vectors compare words; they are not Voyage's.
    """
    with extra("emulator", "numpy", "orjson", "starlette", "uvicorn", what="the emulator"):
        from voyage_rag.emulator.server import serve  # noqa: PLC0415 - an extra of its own
    try:
        serve(host, port)
    except OSError as error:
        reason = str(error.strerror).partition(" (")[0]
        raise CommandError(f"cannot listen on {host}:{port}: {reason}") from error
