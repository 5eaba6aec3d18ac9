"""`voyage-rag emulate`: run the emulator."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, TypeAlias

import typer

from voyage_rag.commands.failure import CommandError

EXAMPLES = (
    "emulate",
    "emulate --port 9000 --host 0.0.0.0",
    "emulate --tokens-per-minute 100000 --latency 0.1",
    "emulate --free-tier",
    "emulate --dialect sagemaker",
    "emulate --port 0 --json",
)


Dialect: TypeAlias = Literal["voyage", "sagemaker", "azure-foundry", "azure-application", "openai"]
"""The names of `voyage_rag.emulator.options.DialectName`, for the help."""

PerMinute = typer.Option(min=1, metavar="N", help="Limit per key and model.", show_default="none")


def emulate(
    port: Annotated[
        int,
        typer.Option(
            metavar="PORT", min=0, max=65535, help="Port to listen on; 0 for a free port."
        ),
    ] = 8000,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on.")
    ] = "127.0.0.1",
    requests_per_minute: Annotated[int | None, PerMinute] = None,
    tokens_per_minute: Annotated[int | None, PerMinute] = None,
    free_tier: Annotated[
        bool,
        typer.Option("--free-tier", help="Use the limits of an account without a payment method."),
    ] = False,
    latency: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Seconds before each response.")
    ] = 0.0,
    batch_speed: Annotated[
        float,
        typer.Option(min=0.01, metavar="FACTOR", help="Factor by which batches are accelerated."),
    ] = 1.0,
    dialect: Annotated[
        Dialect, typer.Option(help="The emulated service: Voyage, or another with its models.")
    ] = "voyage",
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The model of a SageMaker endpoint or an Azure application.",
            show_default="the one in the endpoint's name; voyage-4",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the address as a line of JSON.")
    ] = False,
) -> None:
    """Run an emulator of Voyage's API on this machine.

    Use it in tests and without a network. It checks requests and applies limits like the service.
    Its vectors compare words; they are not Voyage's. Set VOYAGE_BASE_URL to the address that it
    prints, and VOYAGE_API_KEY to any value.
    """
    from voyage_rag.emulator.server import serve  # noqa: PLC0415 - needs an extra

    announced: dict[str, Any] = {}
    if as_json:
        announced = {"announcement": json.dumps({"base_url": "{url}", "emulated": True})}
    try:
        serve(
            host,
            port,
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
            free_tier=free_tier,
            latency=latency,
            batch_speed=batch_speed,
            dialect=dialect,
            served_model=model,
            **announced,
        )
    except ValueError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        reason = str(error.strerror).partition(" (")[0]
        raise CommandError(f"cannot listen on {host}:{port}: {reason}") from error
