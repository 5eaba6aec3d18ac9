"""Construction and the first call: what must not happen in an event loop, or during a call."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from fakes import MODEL
from wire import WireServer

WATCHED = """
import asyncio, os, sys, threading

url, model, made = sys.argv[1:]
options = {"base_url": url, "max_retries": 0}
if made == "Voyage":
    from voyage_rag import Voyage

    make = lambda: Voyage("pa-of-nobody", **options)
    calls = [("embed", ["a"], {"model": model}),
             ("embed", ["a", "b", "c", "d"], {"model": model, "batch_size": 1})]
elif made == "LangChain":
    from voyage_rag.langchain import VoyageAIEmbeddings

    make = lambda: VoyageAIEmbeddings(model, api_key="pa-of-nobody", batch_size=1, **options)
    calls = [("embed_query", "a", {}), ("embed_documents", ["a", "b", "c"], {})]
else:
    from voyage_rag.llama_index import VoyageEmbedding

    make = lambda: VoyageEmbedding(model, "pa-of-nobody", 1, **options)
    calls = [("get_query_embedding", "a", {}), ("get_text_embedding_batch", ["a", "b", "c"], {})]
BLOCKING = {"open", "os.listdir", "os.scandir", "socket.getaddrinfo", "socket.connect"}
watched = None
seen = []


def hook(event, arguments):
    if watched == threading.get_ident():
        about = str(arguments[0]) if arguments else ""
        opens = event in BLOCKING and about != "<unknown>"  # by ast.parse, of no file
        if event == "import" or (opens and kind != "sync"):
            seen.append((event, about))


async def in_a_loop():
    global watched
    watched = threading.get_ident()
    client = make()
    for name, inputs, others in calls:
        await getattr(client, "a" + name)(inputs, **others)
    watched = None


def in_a_thread():
    global watched
    watched = threading.get_ident()
    client = make()
    for name, inputs, others in calls:
        getattr(client, name)(inputs, **others)
    watched = None


for kind in ("sync", "asyncio", "trio"):
    if child := os.fork():  # every kind of call is the first of a process
        status = os.waitpid(child, 0)[1]
        assert status == 0, (kind, status)
        continue
    if kind == "trio":
        import trio
    sys.addaudithook(hook)
    if kind == "sync":
        in_a_thread()
    elif kind == "trio":
        trio.run(in_a_loop)
    else:
        asyncio.run(in_a_loop())
    assert not seen, seen
    break
"""


def run(program: str, *arguments: str) -> None:
    """Run a program in a separate process, which must succeed without output."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert (done.stdout, done.stderr.decode().splitlines()[-1:], done.returncode) == (b"", [], 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
@pytest.mark.parametrize("made", ["Voyage", "LangChain", "LlamaIndex"])
def test_nothing_is_imported_and_no_loop_is_blocked(
    made: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client comes with its class, and another thread reads certificates, names and modules."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with WireServer(context=context) as server:
        run(WATCHED, server.url, MODEL, made)
        assert len({request.connection for request in server.requests}) >= 3


SUBINTERPRETER = """
import _xxsubinterpreters as interpreters
import sys

program = f'''
import sys
sys.path[:0] = {sys.path!r}
import asyncio
from voyage_rag import Voyage

voyage = Voyage("pa-of-nobody", base_url={sys.argv[1]!r}, max_retries=0)
for count in (1, 8):
    voyage.embed(list("abcdefgh"[:count]), {sys.argv[2]!r}, batch_size=2)
    asyncio.run(voyage.aembed(list("abcdefgh"[:count]), {sys.argv[2]!r}, batch_size=2))
voyage.close()

import threading
for thread in threading.enumerate():  # an interpreter may not end while its threads do
    if thread is not threading.current_thread():
        thread.join()
'''
interpreters.run_string(interpreters.create(isolated=False), program)
"""


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="the module has another name there")
def test_calls_in_a_subinterpreter() -> None:
    """Sync and async, one request and several."""
    with WireServer() as server:
        run(SUBINTERPRETER, server.url, MODEL)
        assert len(server.requests) == 10
