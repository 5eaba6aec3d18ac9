"""What is compared: the work, and who does it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Entry, Work
from benchmarks.server import Manner

BASE_LATENCY = 0.1
TOKEN_LATENCY = 5e-6
REQUESTS_PER_MINUTE = 2_000
TOKENS_PER_MINUTE = 12_000_000
BURST = 10.0
FLOOR = "raw sockets"
FLOOR_SIZES = (64, 128, 250, 500, 1_000)

LIMITS = {"requests_per_minute": REQUESTS_PER_MINUTE, "tokens_per_minute": TOKENS_PER_MINUTE}

INDEXING = "indexing"
GIVEN = "limits given"
SMOOTHED = "limits given, service smooths"
NOT_GIVEN = "limits not given"
NAMED = "limits named by the 429"
QUERY = "one query, warm, over TLS"
KEPT = "vectors kept compact"
STREAMED = "texts streamed"

CLIENTS = ("Voyage", "Voyage async")
CLASSES = ("LangChain", "LangChain async", "LlamaIndex", "LlamaIndex async")
PEERS = (
    "voyageai",
    "langchain-voyageai",
    "langchain-voyageai async",
    "llama-index-embeddings-voyageai",
    "llama-index-embeddings-voyageai async",
)
HTTPX = ("bare httpx", "bare httpx async")
HTTPX_IN_LLAMA_INDEX = ("bare httpx in LlamaIndex", "bare httpx in LlamaIndex async")


@dataclass(frozen=True)
class Comparison:
    """One work, done by several, so many times in turn."""

    work: Work
    entries: tuple[Entry, ...]
    runs: int


def comparisons(runs: int, *, quick: bool, peers: bool, certificates: Path) -> list[Comparison]:
    """All of them.

    Args:
        runs: How often each is measured.
        quick: Less of everything: a first impression in two or three minutes.
        peers: Whether the peers take part.
        certificates: Where `authority.pem` and `server.pem` are, for TLS.
    """
    slow = Manner(base_latency=BASE_LATENCY, token_latency=TOKEN_LATENCY)
    counted = Manner(BASE_LATENCY, TOKEN_LATENCY, REQUESTS_PER_MINUTE, TOKENS_PER_MINUTE, None)
    limited = Manner(BASE_LATENCY, TOKEN_LATENCY, REQUESTS_PER_MINUTE, TOKENS_PER_MINUTE, BURST)
    naming = Manner(
        BASE_LATENCY, TOKEN_LATENCY, REQUESTS_PER_MINUTE, TOKENS_PER_MINUTE, BURST, names_limit=True
    )
    secure = Manner(certificate=str(certificates / "server.pem"))
    trusting = str(certificates / "authority.pem")
    classes = CLASSES[:2] if quick else CLASSES
    others = PEERS if peers and not quick else PEERS[1:2] if peers else ()
    others_limited = ("voyageai", "langchain-voyageai", PEERS[-1]) if others == PEERS else ()
    seldom = max(1, runs // 3)  # what a limit paces takes half a minute, and varies little
    return [
        Comparison(
            Work(INDEXING, "documents", 20_000, slow),
            (*_floors(), *_entries(*CLIENTS, *classes, *others)),
            runs,
        ),
        Comparison(
            Work(GIVEN, "documents", 60_000, counted),
            tuple(Entry(name, LIMITS) for name in classes),
            seldom,
        ),
        Comparison(
            Work(SMOOTHED, "documents", 60_000, limited), (Entry(CLASSES[0], LIMITS),), seldom
        ),
        Comparison(
            Work(NOT_GIVEN, "documents", 60_000, limited),
            _entries(*classes, *others_limited),
            seldom,
        ),
        Comparison(Work(NAMED, "documents", 60_000, naming), _entries(*CLASSES[:1]), seldom),
        Comparison(
            Work(QUERY, "query", 300 if quick else 1_000, secure, trusting),
            _entries(*HTTPX, *HTTPX_IN_LLAMA_INDEX, *CLIENTS, *CLASSES, *others),
            runs,
        ),
        Comparison(Work(KEPT, "documents", 100_000, slow), _entries(*CLIENTS), seldom),
        Comparison(
            Work(STREAMED, "streamed", 50_000 if quick else 1_000_000), _entries(*CLIENTS), 1
        ),
    ]


def _entries(*names: str) -> tuple[Entry, ...]:
    return tuple(Entry(name) for name in names)


def _floors() -> tuple[Entry, ...]:
    return tuple(floor(size) for size in FLOOR_SIZES)


def floor(size: int) -> Entry:
    """The floor with so many texts per request."""
    return Entry(FLOOR, {"size": size}, f"{FLOOR}, {size} per request")
