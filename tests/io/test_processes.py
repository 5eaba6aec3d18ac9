"""Processes begin and end with an object in use, and every loop and thread has its own answers."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from operator import methodcaller
from pathlib import Path
from typing import Any

import pytest

from fakes import KEY, MODEL, RERANKER, HTTPService, vector_of
from voyage_rag import Voyage
from voyage_rag.langchain import VoyageAIEmbeddings
from voyage_rag.llama_index import VoyageEmbedding

TEXTS = [f"text {number}" for number in range(12)]
VECTORS = [vector_of(text) for text in TEXTS]

# ── other processes ───────────────────────────────────────────────────────────────────────────────


def test_worker_processes_use_the_objects_they_are_sent(http_service: HTTPService) -> None:
    """New processes, with objects whose connections are in use here."""
    voyage = Voyage(KEY, base_url=http_service.url)
    embeddings = VoyageAIEmbeddings(model=MODEL, client=voyage, batch_size=3)
    assert embeddings.embed_documents(TEXTS) == VECTORS
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as workers:
        in_framework = workers.submit(methodcaller("embed_documents", TEXTS), embeddings)
        ranked = workers.submit(methodcaller("rerank", "q", TEXTS, RERANKER), voyage)
        assert in_framework.result(60) == VECTORS
        assert ranked.result(60) == voyage.rerank("q", TEXTS, RERANKER)
    assert embeddings.embed_documents(TEXTS) == VECTORS
    voyage.close()


# ── loops and threads ─────────────────────────────────────────────────────────────────────────────


def test_a_running_loop_takes_sync_and_async_calls(http_service: HTTPService) -> None:
    """As in Jupyter, whose loop always runs: in turn, concurrently, and in both frameworks."""
    voyage = Voyage(KEY, base_url=http_service.url, concurrency=3)
    langchain = VoyageAIEmbeddings(model=MODEL, client=voyage, batch_size=3)
    llama_index = VoyageEmbedding(MODEL, client=voyage, embed_batch_size=3)

    async def cells() -> None:
        for _ in range(2):
            assert voyage.embed(TEXTS, MODEL, batch_size=2).embeddings == VECTORS
            assert (await voyage.aembed(TEXTS, MODEL, batch_size=2)).embeddings == VECTORS
            assert len(voyage.rerank("q", TEXTS, RERANKER).results) == len(TEXTS)
            assert [v.tolist() for v in voyage.embed_iter(TEXTS, MODEL)] == VECTORS
            assert [v.tolist() async for v in voyage.aembed_iter(TEXTS, MODEL)] == VECTORS
            assert langchain.embed_documents(TEXTS) == VECTORS
            assert await langchain.aembed_documents(TEXTS) == VECTORS
            assert llama_index.get_text_embedding_batch(TEXTS) == VECTORS
            assert await llama_index.aget_text_embedding_batch(TEXTS) == VECTORS
        in_a_thread = asyncio.to_thread(voyage.embed, TEXTS, MODEL, batch_size=2)
        found = await asyncio.gather(
            in_a_thread,
            voyage.aembed(TEXTS, MODEL, batch_size=2),
            langchain.aembed_documents(TEXTS),
        )
        assert [found[0].embeddings, found[1].embeddings, found[2]] == [VECTORS] * 3

    asyncio.run(cells())
    voyage.close()


def test_loops_and_threads_at_once_share_one_object(http_service: HTTPService) -> None:
    """Sync calls in threads beside loops in other threads; each has its own answers."""
    voyage = Voyage(KEY, base_url=http_service.url, concurrency=3)

    def work(number: int) -> bool:
        texts = [f"{number} {text}" for text in TEXTS]
        expected = [vector_of(text) for text in texts]
        if number % 2:
            return voyage.embed(texts, MODEL, batch_size=2).embeddings == expected

        async def program() -> Any:
            return (await voyage.aembed(texts, MODEL, batch_size=2)).embeddings

        return asyncio.run(program()) == expected

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(work, range(24))) == [True] * 24
    voyage.close()


# ── the end ───────────────────────────────────────────────────────────────────────────────────────

HEAD = """
import logging, sys, threading
logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns where a machine is slow
from functools import partial
import anyio
from fakes import KEY, MODEL
from voyage_rag import Voyage
url = sys.argv[1]
voyage = Voyage(KEY, base_url=url, concurrency=3)
texts = [f"text {number}" for number in range(12)]
"""
EVERYTHING = """
from contextlib import aclosing
from voyage_rag.langchain import VoyageAIEmbeddings

def embed(backend):
    anyio.run(partial(voyage.aembed, texts, MODEL, batch_size=2), backend=backend)

async def some():
    async with aclosing(voyage.aembed_iter(texts, MODEL, batch_size=1)) as vectors:
        async for vector in vectors:
            break

embeddings = VoyageAIEmbeddings(model=MODEL, client=voyage)
embeddings.embed_documents(texts)
voyage.embed(texts, MODEL, batch_size=2)
for backend in ("asyncio", "trio", "asyncio"):
    embed(backend)
    anyio.run(some, backend=backend)
    anyio.run(embeddings.aembed_documents, texts, backend=backend)
threads = [threading.Thread(target=embed, args=("asyncio",)) for _ in range(3)]
for thread in threads:
    thread.start()
Voyage(KEY, base_url=url, cache=sys.argv[2]).embed(texts, MODEL)
try:
    voyage.embed(["a", ""], MODEL)
except ValueError as error:
    kept = error
vectors = voyage.embed_iter(texts, MODEL, batch_size=1)
next(vectors)
"""


def ended(program: str, *arguments: str) -> tuple[int, bytes, bytes]:
    """Return how a program ended, and its output."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", HEAD + program, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_interpreter_exits_without_output(http_service: HTTPService, tmp_path: Path) -> None:
    """Nothing was closed; every warning is an error, in Python's development mode."""
    assert ended(EVERYTHING, http_service.url, str(tmp_path / "vectors.db")) == (0, b"", b"")


IN_FLIGHT = {
    "a stream": """
vectors = voyage.embed_iter(texts, MODEL, batch_size=1)
next(vectors)
""",
    "a daemon's call": """
threading.Thread(target=voyage.embed, args=(texts, MODEL), kwargs={"batch_size": 1},
                 daemon=True).start()
""",
}


@pytest.mark.parametrize("name", IN_FLIGHT)
def test_the_interpreter_does_not_wait_for_what_nobody_awaits(
    name: str, http_service: HTTPService
) -> None:
    """Requests that hang end with it, and no thread delays it."""
    healthy = http_service.always

    def hang(body: bytes) -> Any:
        if b"ready?" in body:
            http_service.wait_for(4)  # three requests hang
        elif b'"text 0"' not in body:
            return http_service.hang(body)
        return healthy(body)

    http_service.always = hang
    ready = "Voyage(KEY, base_url=url).embed(['ready?'], MODEL)\nended = time.time()\n"
    reported = "import atexit, time\natexit.register(lambda: print(time.time() - ended))\n"

    code, out, err = ended(reported + IN_FLIGHT[name] + ready, http_service.url)

    assert (code, err) == (0, b"")
    assert float(out) < 1


AFTER_MAIN = """
def work():
    threading.main_thread().join()
    assert len(voyage.embed(texts, MODEL, batch_size=2).embeddings) == len(texts)
    assert len(list(voyage.embed_iter(texts, MODEL, batch_size=1))) == len(texts)
    try:
        voyage.embed([*texts, ""], MODEL, batch_size=1)
    except ValueError:
        print("all done", flush=True)

threading.Thread(target=work).start()
"""


def test_a_thread_goes_on_after_the_main_thread(http_service: HTTPService) -> None:
    """Python waits for it and starts no others, so its requests are sent one after the other."""
    assert ended(AFTER_MAIN, http_service.url) == (0, b"all done\n", b"")


AT_THE_END = """
class Store:
    def __del__(self):
        assert sys.is_finalizing()
        assert len(voyage.embed(texts, MODEL, batch_size=2).embeddings) == len(texts)
        assert len(hedged.embed(["a"], MODEL, "query").embeddings) == 1
        print("all done", flush=True)

hedged = voyage.with_options(hedge_after=5)
voyage.embed(["a"], MODEL)
store = Store()
"""


def test_an_object_that_embeds_when_it_is_deleted_at_the_end(http_service: HTTPService) -> None:
    """An interpreter that is ending starts no threads, and a call does not wait for one."""
    assert ended(AT_THE_END, http_service.url) == (0, b"all done\n", b"")


NESTED = """
import asyncio
import nest_asyncio

nest_asyncio.apply()
cached = Voyage(KEY, base_url=url, cache=":memory:")
for each in (voyage, cached, cached):
    assert len(asyncio.run(each.aembed(texts, MODEL, batch_size=2)).embeddings) == len(texts)

async def within():
    return asyncio.run(each.aembed(["a"], MODEL, "query"))

assert len(asyncio.run(within()).embeddings) == 1
print("all done", flush=True)
"""


def test_an_interpreter_with_nest_asyncio_ends(http_service: HTTPService) -> None:
    """It runs no callbacks of a main task, by which the threads of anyio would end."""
    pytest.importorskip("nest_asyncio")
    code, out, error = ended(NESTED, http_service.url)

    assert (code, out) == (0, b"all done\n"), error
