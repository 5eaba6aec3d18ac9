"""Count the files that one call enters, and how often it changes file.

Counts the package's Python frames, with `sys.setprofile`, of one warm call that embeds two texts,
from the framework's method to the socket and back, without the framework and without the server.

    python benchmarks/call_path.py [--list]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from types import FrameType

import voyage_rag
from voyage_rag.emulator import Emulator
from voyage_rag.langchain import VoyageAIEmbeddings
from voyage_rag.llama_index import VoyageEmbedding

PACKAGE = Path(voyage_rag.__file__).parent
TEXTS = ["a text", "another text"]
WARM_CALLS = 3
COUNTED_CALLS = 10
"""The longest of these is printed: a response may arrive in one piece or in several."""


@contextmanager
def recorded() -> Iterator[list[str]]:
    """Record the file of every function call and generator step, in order."""
    files: list[str] = []

    def profile(frame: FrameType, event: str, _: object) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(PACKAGE):
            name = path.relative_to(PACKAGE).as_posix()
            if not name.startswith("emulator/"):
                files.append(name)

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
    return max(paths, key=switches_of)


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
        return max(paths, key=switches_of)

    return asyncio.run(program())


def switches_of(files: list[str]) -> int:
    """Count the changes of file, including the first file."""
    return sum(1 for _ in groupby(files))


def main() -> None:
    """Print files and switches for both frameworks, sync and async."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="print each file in order")
    shows_files = parser.parse_args().list
    with Emulator() as url:
        langchain = VoyageAIEmbeddings(model="voyage-4", api_key="any", base_url=url)
        llama_index = VoyageEmbedding("voyage-4", "any", base_url=url)
        paths = {
            "LangChain sync": sync_path(lambda: langchain.embed_documents(TEXTS)),
            "LangChain async": async_path(lambda: langchain.aembed_documents(TEXTS)),
            "LlamaIndex sync": sync_path(lambda: llama_index.get_text_embedding_batch(TEXTS)),
            "LlamaIndex async": async_path(lambda: llama_index.aget_text_embedding_batch(TEXTS)),
        }
    for name, files in paths.items():
        sys.stdout.write(f"{name}: {len(set(files))} files, {switches_of(files)} switches\n")
        if shows_files:
            sys.stdout.writelines(f"    {file}\n" for file, _ in groupby(files))


if __name__ == "__main__":
    main()
