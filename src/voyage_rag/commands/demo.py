"""`voyage-rag demo`: an example search in both frameworks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voyage_rag.commands.options import AsJSON, SkipUnreadable, input_path
from voyage_rag.commands.screen import console
from voyage_rag.demo.options import IMAGE_MODEL, MODEL, RERANK_MODEL, DemoOptions

EXAMPLES = (
    "demo",
    'demo "how do I sort a list by two keys?"',
    'demo "who signed the contract?" --files notes/ letters/*.md',
    'demo "a red circle" --images pictures/',
    "demo --json | jq .first_hit_right",
)


def demo(
    questions: Annotated[
        list[str] | None,
        typer.Argument(metavar="QUESTION", help="Your questions, each in quotes."),
    ] = None,
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--files",
            parser=input_path,
            metavar="PATH...",
            help="Search your text: .txt .md .rst .py files, or folders of them.",
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            "--images",
            metavar="DIR",
            help="Search the PNG, JPEG, WEBP and GIF images of a folder, without a reranker.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The embedding model.",
            show_default=f"{MODEL}; {IMAGE_MODEL} with --images",
        ),
    ] = None,
    rerank_model: Annotated[str, typer.Option(metavar="NAME", help="The reranker.")] = RERANK_MODEL,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Embed only N passages or images.")
    ] = None,
    skip_unreadable: SkipUnreadable = False,
    as_json: AsJSON = False,
) -> None:
    """Search Python's documentation with LangChain and LlamaIndex.

    Embeds the docstrings of the standard library, searches for ten built-in questions (or yours)
    with a retriever and a reranker of each framework, and shows the cost.

    Without VOYAGE_API_KEY or VOYAGE_API_KEY_PATH, an emulator responds, free of charge and offline;
    its vectors are not Voyage's. With a key, the live service is used, and tokens are billed.
    """
    from voyage_rag.demo import run_demo  # noqa: PLC0415 - not needed for help

    options = DemoOptions(
        questions=tuple(questions or ()),
        files=tuple(files or ()),
        model=model or (IMAGE_MODEL if images else MODEL),
        rerank_model=rerank_model,
        limit=limit,
        as_json=as_json,
        images=images,
        skip_unreadable=skip_unreadable,
    )
    run_demo(options, console(), console(stderr=True))
