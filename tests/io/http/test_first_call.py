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
import asyncio, sys, threading

from voyage_rag import Voyage

url, model, kind = sys.argv[1:]
BLOCKING = {"open", "os.listdir", "os.scandir", "socket.getaddrinfo", "socket.connect"}
ANYIO = ("anyio", "asyncio", "concurrent")  # it imports what it needs of a loop in that loop
watched = None
seen = []


def hook(event, arguments):
    if watched == threading.get_ident():
        about = str(arguments[0]) if arguments else ""
        if event == "import" and not about.startswith(ANYIO):
            seen.append((event, about))
        if event in BLOCKING and kind != "sync" and "anyio" not in about:
            seen.append((event, about))


async def in_a_loop():
    global watched
    watched = threading.get_ident()
    voyage = Voyage("pa-of-nobody", base_url=url, max_retries=0)
    await voyage.aembed(["a"], model)
    await voyage.aembed(["a", "b", "c", "d"], model, batch_size=1)
    watched = None


def in_a_thread():
    global watched
    watched = threading.get_ident()
    voyage = Voyage("pa-of-nobody", base_url=url, max_retries=0)
    voyage.embed(["a"], model)
    watched = None


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
"""


def run(program: str, *arguments: str) -> None:
    """Run a program in a process of its own; it must end well and say nothing."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("kind", ["sync", "asyncio", "trio"])
def test_nothing_is_imported_and_no_loop_is_blocked(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No files, names or connections on the loop's thread; another one reads certificates."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with WireServer(context=context) as server:
        run(WATCHED, server.url, MODEL, kind)


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
'''
interpreters.run_string(interpreters.create(isolated=False), program)
"""


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="the module has another name there")
def test_calls_in_a_subinterpreter() -> None:
    """Sync and async, one request and several."""
    with WireServer() as server:
        run(SUBINTERPRETER, server.url, MODEL)
        assert len(server.requests) == 10
