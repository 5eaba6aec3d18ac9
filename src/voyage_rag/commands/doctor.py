"""`voyage-rag doctor`: diagnose problems."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from voyage_rag.commands.failure import FAILED
from voyage_rag.commands.options import AsJSON, BaseURL
from voyage_rag.commands.screen import console, hanging_indent, one_line, working, write_json

if TYPE_CHECKING:
    from voyage_rag.doctor import Finding
    from voyage_rag.hosts import Host

EXAMPLES = (
    "doctor",
    "doctor --call",
    "doctor --base-url http://localhost:8000/v1 --json",
    "doctor --host sagemaker:my-endpoint",
)

INDENT = 18
STYLES = {"ok": "green", "note": "yellow", "broken": "bold red"}


def doctor(
    call: Annotated[
        bool, typer.Option("--call", help="Also embed one word, which is the smallest paid call.")
    ] = False,
    base_url: BaseURL = None,
    api_key_path: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File with the API key.",
            show_default="VOYAGE_API_KEY_PATH, then the key in VOYAGE_API_KEY",
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            metavar="HOST",
            help="Where the models run, for example sagemaker:my-endpoint, azure-foundry:URL, "
            "openai:http://localhost:8000/v1, local:FOLDER, openrouter.",
            show_default="Voyage's own",
        ),
    ] = None,
    allow_insecure_http: Annotated[
        bool,
        typer.Option("--allow-insecure-http", help="Allow sending the key unencrypted."),
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Diagnose problems with the key, host, network and limits.

    Also checks the certificate, the clock and versions. Costs nothing without --call. The exit code
    is 1 if something is broken. Shows at most four characters of the key, so the output can be
    shared.
    """
    from voyage_rag.doctor import examine  # noqa: PLC0415 - not needed for help

    arguments: dict[str, Any] = {
        "api_key_path": api_key_path,
        "base_url": base_url,
        "allow_insecure_http": allow_insecure_http,
    }
    if host is not None:
        arguments = {"host": _host(host, api_key_path, insecure=allow_insecure_http)}
    found = []
    with working("Checking"):
        for finding in examine(**arguments, call=call):
            found.append(finding)
            if not as_json:
                _show(finding)
    if as_json:
        write_json(_as_json(found))
    if any(finding.state == "broken" for finding in found):
        raise typer.Exit(FAILED)


def _host(text: str, api_key_path: Path | None, *, insecure: bool) -> Host:
    """Return the host of the option, with the key from the file or from `VOYAGE_API_KEY`."""
    from voyage_rag.hosts.specification import parse_host  # noqa: PLC0415 - rare
    from voyage_rag.secret import KEY_VARIABLE, find_key, variable  # noqa: PLC0415 - as above

    has_key = api_key_path or variable(KEY_VARIABLE)
    key = find_key(None, api_key_path) if has_key else None
    return parse_host(text, key, allow_insecure_http=insecure)


def _show(finding: Finding) -> None:
    out = console()
    parts = [f"{finding.state:<6}  {finding.name:<8}  {one_line(finding.said)}"]
    if finding.remedy:
        parts.append(f"{'':<{INDENT}}-> {one_line(finding.remedy)}")
    for number, text in enumerate(parts):
        shown = Text(hanging_indent(text, INDENT + 3 * number, out.width))
        if number == 0:
            shown.stylize(STYLES[finding.state], 0, len(finding.state))
        out.print(shown, soft_wrap=True)


def _as_json(found: list[Finding]) -> dict[str, object]:
    return {
        "healthy": all(finding.state != "broken" for finding in found),
        "findings": list(map(asdict, found)),
    }
