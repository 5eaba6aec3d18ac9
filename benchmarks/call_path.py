"""Count the files that one call enters, and how often it changes file.

Counts the package's Python frames, with `sys.setprofile`, of one warm call that embeds two texts,
from the framework's method to the socket and back, without the framework and without the server.

    python -m benchmarks.call_path [--list]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import CO_COROUTINE
from itertools import groupby
from pathlib import Path
from types import FrameType

import voyage_rag
from benchmarks.server import ServerBehavior
from benchmarks.server_process import running_server
from voyage_rag.langchain import VoyageAIEmbeddings
from voyage_rag.llama_index import VoyageEmbedding

PACKAGE = Path(voyage_rag.__file__).parent
TEXTS = ["a text", "another text"]
WARM_CALLS = 3
COUNTED_CALLS = 10
"""The shortest of these is counted: a response may arrive late, or in several pieces."""


@contextmanager
def recorded() -> Iterator[list[str]]:
    """Record the file of every function call and generator step, in order.

    The steps in which coroutines pass on a wait for the network are not recorded.
    """
    files: list[str] = []
    coroutines: set[FrameType] = set()

    def profile(frame: FrameType, event: str, _: object) -> None:
        if frame in coroutines:
            return
        path = Path(frame.f_code.co_filename)
        if frame.f_code.co_flags & CO_COROUTINE:
            coroutines.add(frame)
        if event == "call" and path.is_relative_to(PACKAGE):
            files.append(path.relative_to(PACKAGE).as_posix())

    sys.setprofile(profile)
    try:
        yield files
    finally:
        sys.setprofile(None)


def sync_path(call: Callable[[], object]) -> list[str]:
    """Return the files of a warm call in a thread."""
    for _ in range(WARM_CALLS):
        call()
    paths = []
    for _ in range(COUNTED_CALLS):
        with recorded() as files:
            call()
        paths.append(files)
    return min(paths, key=switches_of)


def async_path(call: Callable[[], object]) -> list[str]:
    """Return the files of a warm call in an event loop."""

    async def program() -> list[str]:
        for _ in range(WARM_CALLS):
            await call()  # type: ignore[misc]
        paths = []
        for _ in range(COUNTED_CALLS):
            with recorded() as files:
                await call()  # type: ignore[misc]
            paths.append(files)
        return min(paths, key=switches_of)

    return asyncio.run(program())


def switches_of(files: list[str]) -> int:
    """Count the changes of file, including the first file."""
    return sum(1 for _ in groupby(files))


def call_paths() -> dict[str, list[str]]:
    """Return the files of a call in order, for both frameworks, sync and async."""
    with running_server(ServerBehavior()) as server:
        langchain = VoyageAIEmbeddings(model="voyage-4", api_key="any", base_url=server.url)
        llama_index = VoyageEmbedding("voyage-4", "any", base_url=server.url)
        return {
            "LangChain sync": sync_path(lambda: langchain.embed_documents(TEXTS)),
            "LangChain async": async_path(lambda: langchain.aembed_documents(TEXTS)),
            "LlamaIndex sync": sync_path(lambda: llama_index.get_text_embedding_batch(TEXTS)),
            "LlamaIndex async": async_path(lambda: llama_index.aget_text_embedding_batch(TEXTS)),
        }


def main() -> None:
    """Print files and switches."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="print each file in order")
    shows_files = parser.parse_args().list
    for name, files in call_paths().items():
        sys.stdout.write(f"{name}: {len(set(files))} files, {switches_of(files)} switches\n")
        if shows_files:
            sys.stdout.writelines(f"    {file}\n" for file, _ in groupby(files))


if __name__ == "__main__":
    main()
