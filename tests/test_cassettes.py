"""Every entry point replays the cassettes, which contain what their scenarios say."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from vcr.errors import CannotOverwriteExistingCassetteException

import cassette
from cassette import HEADERS, Provenance, Tape, UnsafeCassetteError, load, names, played, recorded
from entry_points import ENTRY_POINTS, EntryPoint, is_of_one, llama_index
from entry_points import client as through_client
from fakes import FakeClock, HTTPService, failed
from record import record, shown_table, table
from scenarios import ANSWER, DOCUMENTS, QUESTION, SCENARIOS, cosine
from voyage_rag import AuthenticationError, InvalidInputError, InvalidRequestError, Voyage

if TYPE_CHECKING:
    from conftest import Runner

HOST = "https://api.voyageai.com/v1"
KEY = "pa-no-service-knows-this-key"

NOT_RECORDED = {"aimlapi_voyage_2"}

# LlamaIndex sends lists with asyncio.gather, so they are not for trio.
CALLS = [
    (name, entry_point, runner)
    for name, scenario in SCENARIOS.items()
    for entry_point in ENTRY_POINTS
    for runner in ("sync", "asyncio", "trio")
    if (entry_point, runner) != (llama_index, "trio") or is_of_one(scenario)
    if entry_point is through_client or not scenario.client_only
]


def client(clock: FakeClock | None = None) -> Voyage:
    return Voyage(KEY, base_url=HOST, clock=clock or FakeClock())


# ── replaying ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("name", "entry_point", "runner"), CALLS, indirect=["runner"])
def test_every_entry_point_sends_and_reads_the_same(
    name: str, entry_point: EntryPoint, runner: Runner
) -> None:
    """Client, LangChain and LlamaIndex, sync and async, replay the whole cassette."""
    scenario, voyage = SCENARIOS[name], client()
    with played(name):
        if scenario.error is not None:
            with pytest.raises(scenario.error) as caught:
                entry_point(scenario, voyage, runner)
            assert caught.value.http_status in {400, 401}
            assert caught.value.attempts == 1
            assert voyage.usage.requests == 0
            return
        scenario.check(entry_point(scenario, voyage, runner))
    assert voyage.usage.requests == scenario.billed
    assert voyage.usage.total_tokens >= 0


def test_a_query_finds_its_answer(runner: Runner) -> None:
    """Of the recorded documents the nearest to the recorded query is the one that answers it."""
    vectors = {}
    for name in ("embed_documents", "embed_query"):
        with played(name):
            vectors[name] = runner.call(client(), "embed", **SCENARIOS[name].arguments).embeddings
    (query,) = vectors["embed_query"]
    nearest = max(range(len(DOCUMENTS)), key=lambda i: cosine(query, vectors["embed_documents"][i]))
    assert DOCUMENTS[nearest] == ANSWER


@pytest.mark.parametrize("kind", ["contextualized_documents", "multimodal_interleaved"])
def test_a_query_finds_its_answer_among_chunks_and_pictures(kind: str, runner: Runner) -> None:
    """It is the last chunk and the last input, so vectors are in the order of the inputs."""
    found = []
    for name in (kind, kind.partition("_")[0] + "_query"):
        with played(name):
            found.append(through_client(SCENARIOS[name], client(), runner))
    if kind.startswith("contextualized"):
        found = [[vector for vectors in documents for vector in vectors] for documents in found]
    vectors, (query,) = found
    assert max(vectors, key=lambda vector: cosine(query, vector)) is vectors[-1]


def test_chunks_that_the_service_cut_come_with_their_texts(runner: Runner) -> None:
    """One text per vector."""
    scenario = SCENARIOS["contextualized_auto_chunking"]
    with played("contextualized_auto_chunking"):
        found = runner.call(client(), "contextualized_embed", **scenario.arguments)
    for result in found.results:
        assert len(result.chunk_texts) == len(result.embeddings)
        assert all(text.strip() for text in result.chunk_texts)


def test_batches_give_what_one_request_gives() -> None:
    """The vectors of a list do not depend on how it was divided."""
    found = []
    for name in ("embed_documents", "embed_batches"):
        with played(name):
            found.append(client().embed(**SCENARIOS[name].arguments).embeddings)
    assert all(cosine(one, other) > 0.999 for one, other in zip(*found, strict=True))


def test_a_429_is_waited_out(runner: Runner, clock: FakeClock) -> None:
    """The second request is sent later than the first."""
    with played("rate_limited"):
        runner.call(client(clock), "embed", **SCENARIOS["rate_limited"].arguments)
    assert sum(clock.sleeps) > 0


def test_empty_input_sends_nothing(runner: Runner, http_service: HTTPService) -> None:
    """No texts cost no request, and empty texts are refused before one."""
    voyage = Voyage(KEY, base_url=http_service.url)
    assert runner.call(voyage, "embed", [], "voyage-4").embeddings == []
    with pytest.raises(InvalidInputError) as caught:
        runner.call(voyage, "embed", [QUESTION, ""], "voyage-4")
    assert caught.value.indices == (1,)
    assert http_service.received == []


# ── the files ─────────────────────────────────────────────────────────────────────────────────────


def test_each_scenario_has_its_cassette_and_each_cassette_its_scenario() -> None:
    """None is missing, and none is superfluous."""
    assert set(names()) == set(SCENARIOS) | NOT_RECORDED


def test_the_readme_states_the_source_of_each_file() -> None:
    """The table of cassettes/README.md agrees with the files."""
    assert shown_table() == table()


@pytest.mark.parametrize("name", names())
def test_a_file_is_small_and_says_where_it_came_from(name: str) -> None:
    """At most 20 KB, and a provenance that fits its kind."""
    source = load(name).provenance
    assert cassette.path_of(name).stat().st_size <= 20_000
    if source.kind == "live service":
        assert re.fullmatch(r"[a-z.]+\.com, \d{4}-\d\d-\d\d", source.detail)
    elif source.kind == "emulator":
        assert "not Voyage's vectors" in source.detail
    else:
        assert name in NOT_RECORDED


@pytest.mark.parametrize("name", names())
def test_a_file_holds_no_secret(name: str) -> None:
    """Only the headers that may be kept, and nothing that looks like a key or a cookie."""
    for item in load(name).interactions:
        assert item["request"].keys() == {"method", "url", "body"}
        assert item["response"]["headers"].keys() <= HEADERS
    text = cassette.path_of(name).read_text("utf-8")
    assert not re.search(r"(?i)bearer|authorization|cookie|\b(pa|al)-[\w-]{8,}", text)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_file_is_of_its_scenario(name: str) -> None:
    """What was asked is what the scenario asks now, and it took as many requests."""
    tape, scenario = load(name), SCENARIOS[name]
    assert tape.about == scenario.about
    assert len(tape.interactions) == scenario.requests
    assert tape.provenance.kind == "emulator" or not scenario.faults


# ── playing ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("changed", [{"output_dimension": 512}, {"texts": ["Another question?"]}])
def test_a_request_that_was_not_recorded_fails(changed: dict[str, object], runner: Runner) -> None:
    """A request that was not recorded fails, whatever else could answer it."""
    with (
        pytest.raises(CannotOverwriteExistingCassetteException),
        played("embed_query"),
    ):
        runner.call(client(), "embed", **SCENARIOS["embed_query"].arguments | changed)


def test_an_answer_is_played_once(runner: Runner) -> None:
    """The same request again is not in the cassette."""
    arguments = SCENARIOS["embed_query"].arguments
    with played("embed_query"):
        runner.call(client(), "embed", **arguments)
        with pytest.raises(CannotOverwriteExistingCassetteException):
            runner.call(client(), "embed", **arguments)


def test_what_is_not_asked_fails() -> None:
    """A cassette that was not replayed completely fails the test."""
    with (
        pytest.raises(AssertionError, match="1 of 2 interactions not played"),
        played("embed_batches"),
    ):
        client().embed(**SCENARIOS["embed_batches"].arguments | {"texts": list(DOCUMENTS[:3])})


def test_a_missing_cassette_says_how_to_get_one() -> None:
    """The message names the command."""
    with pytest.raises(FileNotFoundError, match="make record"), played("no_such_call"):
        pass


# ── recording ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Cassettes are written here."""
    monkeypatch.setattr(cassette, "CASSETTES", tmp_path)
    return tmp_path


@pytest.fixture
def before() -> dict[str, Tape]:
    """The cassettes as they are."""
    return {name: load(name) for name in names()}


def asked_in(tape: Tape) -> list[object]:
    return [item["request"] for item in tape.interactions]


@pytest.mark.parametrize("name", ["embed_query", "rate_limited", "error_wrong_key"])
def test_recording_makes_what_is_stored(
    name: str, before: dict[str, Tape], elsewhere: Path
) -> None:
    """From the emulator the same request is recorded again."""
    record(name, None)
    assert load(name).provenance.kind == "emulator"
    assert asked_in(load(name)) == asked_in(before[name])


def test_with_a_key_the_service_is_asked(
    http_service: HTTPService, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the host of the key, the provenance names host and day, and troubles are left out."""
    monkeypatch.setattr("record.address_of", lambda key: http_service.url)
    monkeypatch.setattr("record.SYSTEM_CLOCK", FakeClock())
    http_service.script = [failed(503), failed(401)]
    record("error_wrong_key", KEY)
    assert [request.headers["authorization"] for request in http_service.received] == [
        "Bearer pa-invalid-on-purpose"
    ] * 2
    tape = load("error_wrong_key")
    assert tape.provenance.kind == "live service"
    assert re.fullmatch(r"127.0.0.1, \d{4}-\d\d-\d\d", tape.provenance.detail)
    assert [item["response"]["status"] for item in tape.interactions] == [401]


def test_a_cassette_contains_only_request_and_response(
    http_service: HTTPService, elsewhere: Path
) -> None:
    """Neither the key, nor host, cookies or the account's headers."""
    http_service.script = [
        failed(429, set_cookie="session=1", x_request_id="r1", retry_after="0"),
        failed(401, x_api_warning="pay!"),
    ]
    with (
        recorded("made", "About.", Provenance("emulator", "test"), [KEY], troubles=True),
        Voyage(KEY, base_url=http_service.url, clock=FakeClock()) as voyage,
        pytest.raises(AuthenticationError),
    ):
        voyage.embed(["a"], "voyage-4")
    text = (elsewhere / "made.yaml").read_text("utf-8")
    assert "retry-after: '0'" in text
    assert not re.search("pa-|127.0.0.1|cookie|session|request-id|warning|agent|pay!", text)
    assert [item["response"]["status"] for item in load("made").interactions] == [429, 401]


@pytest.mark.parametrize("text", ["ab " * 30_000, "ab " * 30_000 + "c", "a" * 5_000, "ab " * 9])
def test_a_long_text_that_repeats_itself_is_written_once(text: str, elsewhere: Path) -> None:
    """It is read unchanged; any other text is written unchanged."""
    body = {"inputs": [text]}
    tape = Tape("About.", Provenance("emulator", "test"), [{"request": {"body": body}}])
    written = cassette.dump(tape, [])
    (elsewhere / "made.yaml").write_text(written, "utf-8")
    assert load("made") == tape
    assert ("!repeated" in written) == (not text.endswith("c") and len(text) > cassette.LONG)


@pytest.mark.parametrize("place", ["text", "answer"])
def test_a_key_is_never_written(place: str, http_service: HTTPService, elsewhere: Path) -> None:
    """A cassette in whose bodies the key stands is not written, and an old one stays."""
    (elsewhere / "made.yaml").write_text("old")
    if place == "answer":
        http_service.script = [failed(400, f"no such key: {KEY}")]
    with (
        pytest.raises(UnsafeCassetteError),
        recorded("made", "About.", Provenance("emulator", "test"), [KEY]),
        Voyage(KEY, base_url=http_service.url) as voyage,
        suppress(InvalidRequestError),
    ):
        voyage.embed([f"my key is {KEY}" if place == "text" else QUESTION], "voyage-of-tests")
    assert (elsewhere / "made.yaml").read_text() == "old"


def test_a_failed_recording_leaves_the_old_one(http_service: HTTPService, elsewhere: Path) -> None:
    """A recording that fails its scenario does not replace an earlier one."""
    (elsewhere / "made.yaml").write_text("old")
    with (  # noqa: PT012
        pytest.raises(AssertionError, match="not what was due"),
        recorded("made", "About.", Provenance("emulator", "test"), [KEY]),
        Voyage(KEY, base_url=http_service.url) as voyage,
    ):
        voyage.embed([QUESTION], "voyage-of-tests")
        raise AssertionError("not what was due")
    assert (elsewhere / "made.yaml").read_text() == "old"


def test_the_source_of_a_cassette_is_one_of_three() -> None:
    """No cassette of unknown origin."""
    with pytest.raises(ValueError, match="not a provenance"):
        Provenance("hearsay", "someone said")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not a provenance"):
        Provenance("live service", "")
