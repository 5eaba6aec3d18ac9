"""A process that forks with live connections: parent and child have their own answers."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from pathlib import Path

import certifi
import pytest
import trustme

from fakes import MODEL, HTTPService
from wire import WireServer

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")

PROGRAM = """
import os, sys, threading
from functools import partial

import anyio

from fakes import KEY, MODEL, vector_of
from voyage_rag import Voyage

url, backend = sys.argv[1:]
voyage = Voyage(KEY, base_url=url, max_retries=0, concurrency=4)


def ask(who, rounds):
    for number in range(rounds):
        texts = [f"{who} {number} {part}" for part in range(6)]
        if backend == "sync":
            result = voyage.embed(texts, MODEL, batch_size=2)
        else:
            result = anyio.run(
                partial(voyage.aembed, texts, MODEL, batch_size=2), backend=backend
            )
        assert [vector_of(text) for text in texts] == result.embeddings, who


ask("before", 2)
child = os.fork()
ask("child" if child == 0 else "parent", 10)
voyage.close()
if child == 0:
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
ask("after", 2)
"""

ALL_HELD = """
import os, sys, threading

from fakes import KEY, MODEL, RERANKER
from voyage_rag import Usage, Voyage
from voyage_rag.locks import _owners

voyage = Voyage(KEY, base_url=sys.argv[1], max_retries=0, cache=sys.argv[2])
voyage.embed(["a"], MODEL)
voyage.rerank("q", ["a", "b"], RERANKER)
held, over = threading.Event(), threading.Event()


def hold():
    for owner in list(_owners.values()):
        owner._lock.acquire()
    held.set()
    over.wait()


threading.Thread(target=hold, daemon=True).start()
held.wait()
assert len(_owners) > 5, len(_owners)
child = os.fork()
if child == 0:
    def work():
        voyage.embed(["b", "c"], MODEL, batch_size=1)
        voyage.rerank("q", ["c", "d"], RERANKER)
        voyage.embed(["e"], "a model that is new")
        os._exit(0 if voyage.usage.requests == 6 else 2)
    threading.Thread(target=work).start()
    threading.Event().wait(5)
    os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""

FIRST_CALL = """
import os, sys, threading, time

from voyage_rag import Voyage

url, model, delay = sys.argv[1:]
voyage = Voyage("pa-of-nobody", base_url=url, max_retries=0)
begun = threading.Event()


def ask():
    begun.set()
    voyage.embed(["a"], model)


asking = threading.Thread(target=ask)
asking.start()
begun.wait()
time.sleep(float(delay))
child = os.fork()
if child == 0:
    asking = threading.Thread(target=lambda: os._exit(not voyage.embed(["b"], model)))
    asking.start()
    asking.join(10)
    os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
asking.join()
"""

RESOLVING = """
import contextlib, os, socket, threading

from voyage_rag import Voyage, VoyageError

resolving, resolved = threading.Event(), []


def getaddrinfo(*_, **__):
    resolving.set()
    threading.Event().wait(0.3)
    resolved.append(True)
    raise OSError("unknown")


def ask():
    voyage = Voyage("pa-of-nobody", base_url="http://localhost:1", max_retries=0)
    with contextlib.suppress(VoyageError):
        voyage.embed(["a"], "voyage-4")


socket.getaddrinfo = getaddrinfo
asking = threading.Thread(target=ask)
asking.start()
assert resolving.wait(10)
for _ in range(2):  # a child can fork in turn
    child = os.fork()
    if child:
        break
    assert resolved
if child:
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
else:
    os._exit(0)
asking.join()
"""

SHARED_CACHE = """
import os, sys

from fakes import KEY, MODEL, vector_of
from voyage_rag import Voyage

url, path = sys.argv[1:]
parent_may_close, child_may_add = os.pipe(), os.pipe()
voyage = Voyage(KEY, base_url=url, max_retries=0, cache=path)
voyage.embed(["before"], MODEL)
child = os.fork()
if child == 0:
    voyage.embed(["before", "child 1"], MODEL)
    os.write(parent_may_close[1], b".")
    os.read(child_may_add[0], 1)
    voyage.embed(["child 2"], MODEL)
    voyage.close()
    os._exit(0)
os.read(parent_may_close[0], 1)
voyage.embed(["parent"], MODEL)
voyage.driver.cache.close()
os.write(child_may_add[1], b".")
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

texts = ["before", "child 1", "parent", "child 2"]
with Voyage(KEY, base_url=url, cache=path) as again:
    assert [vector_of(text) for text in texts] == again.embed(texts, MODEL).embeddings
    assert again.usage.requests == 0, again.usage
"""


def run(program: str, *arguments: str) -> None:
    """Run a program in a separate process, which must succeed without output."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("backend", ["sync", "asyncio", "trio"])
def test_parent_and_child_have_their_own_answers(backend: str, http_service: HTTPService) -> None:
    """The child drops what it inherited, without closing it: the parent's connections live on."""
    run(PROGRAM, http_service.url, backend)

    opened = {text for each in http_service.received for text in _who(each.body)}
    assert {"before", "child", "parent", "after"} == opened


def test_no_lock_that_another_thread_held_at_the_fork_stops_the_child(
    http_service: HTTPService, tmp_path: Path
) -> None:
    """Budgets, rates, usage, transport: whatever a thread was just changing."""
    run(ALL_HELD, http_service.url, str(tmp_path / "vectors.db"))


def test_a_fork_waits_while_a_name_is_resolved() -> None:
    """The C library holds locks meanwhile, which would stay locked in the child."""
    run(RESOLVING)


@pytest.mark.parametrize("milliseconds", [0, 1, 3, 10, 30, 60])
def test_a_fork_during_the_first_call_of_the_process(
    milliseconds: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The child can make calls, even if certificates were being read during the fork."""
    authority = trustme.CA()
    trusted = tmp_path / "trusted.pem"  # with all of certifi's, so that reading takes its time
    trusted.write_bytes(Path(certifi.where()).read_bytes() + authority.cert_pem.bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with WireServer(context=context) as server:
        run(FIRST_CALL, server.url, MODEL, str(milliseconds / 1_000))
        assert len(server.requests) == 2


def test_parent_and_child_share_a_cache(http_service: HTTPService, tmp_path: Path) -> None:
    """What either of them paid for is kept, though the parent closes the file first."""
    run(SHARED_CACHE, http_service.url, str(tmp_path / "vectors.db"))


def _who(body: bytes) -> list[str]:
    return [word.decode() for word in (b"before", b"child", b"parent", b"after") if word in body]
