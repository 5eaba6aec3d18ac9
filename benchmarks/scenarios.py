"""The scenarios and the clients that are compared in each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Entry, Scenario
from benchmarks.server import ServerBehavior

BASE_LATENCY = 0.1
TOKEN_LATENCY = 5e-6
REQUESTS_PER_MINUTE = 2_000
TOKENS_PER_MINUTE = 12_000_000
BURST = 10.0
LOWER_BOUND = "raw sockets"
LOWER_BOUND_SIZES = (64, 128, 250, 500, 1_000)

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
    """A scenario, its entries, and the number of runs."""

    scenario: Scenario
    entries: tuple[Entry, ...]
    runs: int


def comparisons(runs: int, *, quick: bool, peers: bool, certificates: Path) -> list[Comparison]:
    """Return all comparisons.

    Args:
        runs: Number of measurements of each entry.
        quick: Whether to reduce everything to two or three minutes.
        peers: Whether to include the peers.
        certificates: Folder with `authority.pem` and `server.pem`, for TLS.
    """
    slow = ServerBehavior(base_latency=BASE_LATENCY, token_latency=TOKEN_LATENCY)
    counted = ServerBehavior(
        BASE_LATENCY, TOKEN_LATENCY, REQUESTS_PER_MINUTE, TOKENS_PER_MINUTE, None
    )
    limited = ServerBehavior(
        BASE_LATENCY, TOKEN_LATENCY, REQUESTS_PER_MINUTE, TOKENS_PER_MINUTE, BURST
    )
    naming = ServerBehavior(
        BASE_LATENCY, TOKEN_LATENCY, REQUESTS_PER_MINUTE, TOKENS_PER_MINUTE, BURST, names_limit=True
    )
    secure = ServerBehavior(certificate=str(certificates / "server.pem"))
    trusting = str(certificates / "authority.pem")
    classes = CLASSES[:2] if quick else CLASSES
    others = PEERS if peers and not quick else PEERS[1:2] if peers else ()
    others_limited = ("voyageai", "langchain-voyageai", PEERS[-1]) if others == PEERS else ()
    seldom = max(1, runs // 3)  # a run under a rate limit takes half a minute and varies little
    return [
        Comparison(
            Scenario(INDEXING, "documents", 20_000, slow),
            (*_lower_bounds(), *_entries(*CLIENTS, *classes, *others)),
            runs,
        ),
        Comparison(
            Scenario(GIVEN, "documents", 60_000, counted),
            tuple(Entry(name, LIMITS) for name in classes),
            seldom,
        ),
        Comparison(
            Scenario(SMOOTHED, "documents", 60_000, limited), (Entry(CLASSES[0], LIMITS),), seldom
        ),
        Comparison(
            Scenario(NOT_GIVEN, "documents", 60_000, limited),
            _entries(*classes, *others_limited),
            seldom,
        ),
        Comparison(Scenario(NAMED, "documents", 60_000, naming), _entries(*CLASSES[:1]), seldom),
        Comparison(
            Scenario(QUERY, "query", 300 if quick else 1_000, secure, trusting),
            _entries(*HTTPX, *HTTPX_IN_LLAMA_INDEX, *CLIENTS, *CLASSES, *others),
            runs,
        ),
        Comparison(Scenario(KEPT, "documents", 100_000, slow), _entries(*CLIENTS), seldom),
        Comparison(
            Scenario(STREAMED, "streamed", 50_000 if quick else 1_000_000), _entries(*CLIENTS), 1
        ),
    ]


def _entries(*names: str) -> tuple[Entry, ...]:
    return tuple(Entry(name) for name in names)


def _lower_bounds() -> tuple[Entry, ...]:
    return tuple(lower_bound(size) for size in LOWER_BOUND_SIZES)


def lower_bound(size: int) -> Entry:
    """Return the entry of the lower bound with `size` texts per request."""
    return Entry(LOWER_BOUND, {"size": size}, f"{LOWER_BOUND}, {size} per request")
