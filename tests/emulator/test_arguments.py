"""Arguments of /v1/embeddings and /v1/rerank, and the errors for invalid ones."""

import base64

import httpx
import numpy as np
import pytest

from voyage_rag.emulator.model_limits import TEXT_MODELS

PREAMBLE = (
    "The request body is not valid JSON, or some arguments were not specified properly. "
    "In particular, "
)
GOOD = {"input": ["hello", "world"], "model": "voyage-4"}
PAIRS = {
    "query": "capital of France",
    "documents": ["Berlin", "Paris, France"],
    "model": "rerank-3",
}


def test_a_good_request_is_answered(ask) -> None:
    """Key orders, index and usage as recorded."""
    body = ask("embeddings", GOOD).json()
    assert list(body) == ["object", "data", "model", "usage"]
    assert [list(item) for item in body["data"]] == [["object", "embedding", "index", "text"]] * 2
    assert [item["index"] for item in body["data"]] == [0, 1]
    assert body["model"] == "voyage-4"
    assert body["usage"] == {"total_tokens": 2}


def test_documents_of_one_word_cost_nothing(ask) -> None:
    """The recorded quirk: one token less for each text with an input type."""
    body = ask("embeddings", GOOD | {"input_type": "document"}).json()
    assert body["usage"] == {"total_tokens": 0}


def test_a_bare_string_is_one_input(ask) -> None:
    """`input` need not be a list."""
    bare, listed = (ask("embeddings", GOOD | {"input": text}).json() for text in ("hi", ["hi"]))
    assert bare == listed


def test_nulls_stand_for_defaults(ask) -> None:
    """As the vendor's client sends them."""
    nulls = dict.fromkeys(
        ("input_type", "truncation", "output_dimension", "output_dtype", "encoding_format")
    )
    assert ask("embeddings", GOOD | nulls).json() == ask("embeddings", GOOD).json()


EMPTY = "Value error, Input cannot contain empty strings or empty lists"
UNKNOWN = "is not supported by our API"


@pytest.mark.parametrize(
    ("change", "clause"),
    [
        ({"zzz": 1}, f"Argument 'zzz' {UNKNOWN}"),
        ({"dimensions": 256}, f"Argument 'dimensions' {UNKNOWN}"),
        ({"input": ["a", ""]}, f"Error for argument 'input': {EMPTY}"),
        ({"input": []}, f"Error for argument 'input': {EMPTY}"),
        ({"input": [[1]]}, "Error for argument 'input': Input should be a valid list of strings"),
        ({"truncation": "yes"}, "Error for argument 'truncation': Input should be a valid boolean"),
    ],
)
def test_wrong_arguments_are_named(ask, change: dict[str, object], clause: str) -> None:
    """One clause after the preamble."""
    assert ask.detail("embeddings", GOOD | change) == PREAMBLE + clause


@pytest.mark.parametrize(
    ("argument", "value", "accepted"),
    [
        ("input_type", "passage", "'query' or 'document'"),
        ("input_type", "{x}", "'query' or 'document'"),
        ("encoding_format", "float", "'base64'"),
    ],
)
def test_an_invalid_value_is_refused_with_the_valid_ones(
    ask, argument: str, value: str, accepted: str
) -> None:
    """`encoding_format: float` among them."""
    assert ask.detail("embeddings", GOOD | {argument: value}) == (
        f"{PREAMBLE}Value '{value}' supplied for argument '{argument}' is not valid -- "
        f"accepted values are {accepted}"
    )


def test_all_invalid_arguments_are_reported_at_once(ask) -> None:
    """Joined with semicolons; a missing argument is not named."""
    missing = "Your request body was missing one or more required arguments."
    assert ask.detail("embeddings", {}) == f"{PREAMBLE}{missing}; {missing}"
    both = ask.detail("embeddings", {"model": "voyage-4", "zzz": 1})
    assert both == f"{PREAMBLE}{missing}; Argument 'zzz' is not supported by our API"


@pytest.mark.parametrize(("body", "position"), [(b"nonsense", 0), (b'{"input": }', 10), (b"", 0)])
def test_what_is_not_json_is_blamed_on_its_position(ask, body: bytes, position: int) -> None:
    """Where an argument's name should be."""
    expected = f"{PREAMBLE}Error for argument '{position}': JSON decode error"
    assert ask.detail("embeddings", body) == expected


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"\xff\xfe"])
def test_json_that_is_no_object_is_refused(ask, body: bytes) -> None:
    """With a 400 like any other wrong body."""
    assert ask.detail("embeddings", body).startswith(PREAMBLE)


@pytest.mark.parametrize(
    ("key", "detail"), [(None, "Unauthorized"), ("pa-invalid", "Provided API key is invalid.")]
)
def test_a_body_is_checked_before_the_key(ask, key: str | None, detail: str) -> None:
    """A wrong body with a wrong key is a wrong body."""
    assert ask.detail("embeddings", GOOD, key, 401) == detail
    assert ask.detail("embeddings", {}, key).startswith(PREAMBLE)


def test_keys_can_be_named(emulate) -> None:
    """Then no other is accepted."""
    ask = emulate(keys={"pa-mine"})
    assert ask("embeddings", GOOD, key="pa-mine").status_code == 200
    assert ask.detail("embeddings", GOOD, "pa-yours", 401) == "Provided API key is invalid."


def test_an_unknown_model_is_refused_with_the_known_ones(ask) -> None:
    """In Python's own list notation."""
    detail = ask.detail("embeddings", GOOD | {"model": "rerank-3"})
    assert detail.startswith("Model rerank-3 is not supported. Supported models are ['")


@pytest.mark.parametrize("model", TEXT_MODELS)
def test_every_model_has_its_own_dimension(ask, model: str) -> None:
    """The default of each, and its choices where it has any."""
    limits = TEXT_MODELS[model]
    for asked in (None, *limits.dimensions):
        body = ask("embeddings", {"input": "x", "model": model, "output_dimension": asked}).json()
        assert len(body["data"][0]["embedding"]) == asked or limits.dimension


def test_an_unsupported_dimension_is_refused(ask) -> None:
    """The wording names those it has."""
    body = GOOD | {"model": "voyage-3-large", "output_dimension": 1536}
    assert ask.detail("embeddings", body) == (
        "Value '1536' supplied for argument 'output_dimension' is not valid -- "
        "accepted values for 'voyage-3-large' are [256, 512, 1024, 2048]."
    )
    assert "'voyage-law-2' are ['float']" in ask.detail(
        "embeddings", GOOD | {"model": "voyage-law-2", "output_dtype": "int8"}
    )


@pytest.mark.parametrize(
    ("dtype", "stored", "length"),
    [
        ("float", "<f4", 256),
        ("int8", "i1", 256),
        ("uint8", "u1", 256),
        ("binary", "i1", 32),
        ("ubinary", "u1", 32),
    ],
)
def test_numbers_and_bytes_agree(ask, dtype: str, stored: str, length: int) -> None:
    """Each number type, as JSON numbers and as base64."""
    body = GOOD | {"output_dimension": 256, "output_dtype": dtype}
    (numbers, _) = ask("embeddings", body).json()["data"]
    (encoded, _) = ask("embeddings", body | {"encoding_format": "base64"}).json()["data"]
    decoded = np.frombuffer(base64.b64decode(encoded["embedding"]), stored)
    assert len(decoded) == length
    assert decoded == pytest.approx(np.array(numbers["embedding"]), abs=1e-8)


def test_more_than_a_thousand_texts_are_refused(ask) -> None:
    """A thousand are not."""
    assert ask("embeddings", GOOD | {"input": ["x"] * 1000}).status_code == 200
    assert ask.detail("embeddings", GOOD | {"input": ["x"] * 1001}) == (
        "Request to model 'voyage-4' failed. The batch size limit is 1000. Your batch size is 1001."
    )


def test_a_batch_of_too_many_tokens_has_an_error_code(ask) -> None:
    """Counted after truncation, against the model's own limit."""
    texts = ["word " * 40_000] * 4
    answer = ask("embeddings", {"input": texts, "model": "voyage-4-large"})
    assert answer.status_code == 400
    assert answer.json() == {
        "detail": "Request to model 'voyage-4-large' failed. The max allowed tokens per submitted "
        "batch is 120000. Your batch has 128000 tokens after truncation. Please lower the number "
        "of tokens in the batch.",
        "error_code": "TOO_MANY_TOKENS_IN_BATCH",
    }
    assert ask("embeddings", {"input": texts, "model": "voyage-4"}).status_code == 200


def test_a_long_text_is_cut_or_refused(ask) -> None:
    """By `truncation`, which is on by default."""
    body = {"input": ["short", "word " * 32_001], "model": "voyage-4"}
    assert ask("embeddings", body).json()["usage"]["total_tokens"] == 32_001
    assert ask.detail("embeddings", body | {"truncation": False}) == (
        "Request to model 'voyage-4' failed. The example at index 1 in your batch has too many "
        "tokens and does not fit into the model's context window of 32000 tokens. Please lower the "
        "number of tokens in the listed example(s) or use truncation."
    )


def test_rerank_answers_the_best_first(ask) -> None:
    """Score before index, documents only on demand, cut to `top_k`."""
    body = ask("rerank", PAIRS).json()
    assert list(body) == ["object", "data", "model", "usage"]
    assert [list(item) for item in body["data"]] == [["relevance_score", "index"]] * 2
    assert [item["index"] for item in body["data"]] == [1, 0]
    assert body["usage"] == {"total_tokens": 3 * 2 + 1 + 3 - 2}
    (best,) = ask("rerank", PAIRS | {"top_k": 1, "return_documents": True}).json()["data"]
    assert best["document"] == "Paris, France"
    assert len(ask("rerank", PAIRS | {"top_k": 9}).json()["data"]) == 2


@pytest.mark.parametrize(("model", "unbilled"), [("rerank-2.5", 1), ("rerank-2-lite", 4)])
def test_rerank_bills_less_than_it_counts(ask, model: str, unbilled: int) -> None:
    """As recorded: 12 tokens on rerank-2.5 where the documented sum is 14."""
    documents = ["sunny day at the beach", "rainy day in the city"]
    usage = ask("rerank", {"query": "rainy day", "documents": documents, "model": model}).json()
    assert usage["usage"] == {"total_tokens": 14 - 2 * unbilled}


@pytest.mark.parametrize(
    ("text", "model", "tokens"),
    [
        ("Hello, world", "voyage-2", 4),
        ("This is a test document.", "voyage-2", 7),
        ("This is a test document.", "voyage-4", 6),
    ],
)
def test_old_models_bill_one_more_token_a_text(ask, text: str, model: str, tokens: int) -> None:
    """As recorded: the first token of Llama 2's tokenizer."""
    answer = ask("embeddings", {"input": [text, text], "model": model}).json()
    assert answer["usage"] == {"total_tokens": 2 * tokens}


def test_text_of_many_tokens(emulate) -> None:
    """Counted by length, cut and refused by that count."""
    ask = emulate(characters_per_token=1.5)
    body = {"input": "x" * 60_000, "model": "voyage-4"}
    assert ask("embeddings", body).json()["usage"] == {"total_tokens": 32_000}
    assert "context window of 32000" in ask.detail("embeddings", body | {"truncation": False})
    many = {"input": ["x" * 45_000] * 5, "model": "voyage-4-large"}
    assert "Your batch has 150000 tokens" in ask.detail("embeddings", many)


@pytest.mark.parametrize(
    ("change", "clause"),
    [
        ({"instruction": "be nice"}, "Argument 'instruction' is not supported by our API"),
        ({"top_n": 1}, "Argument 'top_n' is not supported by our API"),
        ({"documents": []}, "cannot contain empty strings or empty lists"),
        ({"documents": [{"text": "x"}]}, "'documents' is not a valid string"),
        ({"top_k": 0}, "Error for argument 'top_k': Input should be greater than or equal to 1"),
    ],
)
def test_rerank_refuses_wrong_arguments(ask, change: dict[str, object], clause: str) -> None:
    """Unknown ones too."""
    assert clause in ask.detail("rerank", PAIRS | change)


def test_rerank_counts_the_query_once_for_each_document(ask) -> None:
    """Above the total the list must be split; truncation does not help."""
    body = {"query": "word " * 7_000, "documents": ["x"] * 100, "model": "rerank-2.5"}
    assert ask.detail("rerank", body) == (
        "Request to model 'rerank-2.5' failed. The max allowed tokens per submitted batch is "
        "600000. Your batch has 700100 tokens after truncation. Please lower the number of tokens "
        "in the batch."
    )


def test_rerank_cuts_or_refuses_long_pairs(ask) -> None:
    """Query and document have limits of their own."""
    body = {"query": "word " * 3_000, "documents": ["word " * 9_000], "model": "rerank-2-lite"}
    assert ask("rerank", body).json()["usage"]["total_tokens"] == 8_000 - 4
    assert "query limit of 2000 tokens" in ask.detail("rerank", body | {"truncation": False})
    body = body | {"query": "word", "truncation": False}
    assert "The example at index 0 in your batch" in ask.detail("rerank", body)


@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("GET", "/v1/embeddings", 405, "Method Not Allowed"),
        ("POST", "/v1/models", 404, "Not Found"),
        ("GET", "/v1/models", 404, "Not Found"),
        ("POST", "/v1/embeddings/", 404, "Not Found"),
    ],
)
def test_other_paths_and_methods(ask, method: str, path: str, status: int, detail: str) -> None:
    """Are answered in JSON too."""
    answer = ask.client.request(method, ask.emulator.url.removesuffix("/v1") + path)
    assert (answer.status_code, answer.json()) == (status, {"detail": detail})


def _names(answer: httpx.Response) -> list[str]:
    return [name for name in answer.headers if not name.startswith("x-voyage")]


def test_headers_stand_in_the_order_of_the_wire(ask) -> None:
    """An empty warning on each 200, none on an error."""
    good, bad = ask("embeddings", GOOD), ask("embeddings", {})
    front = ["content-length", "content-type", "x-request-id", "via", "alt-svc"]
    assert _names(good) == ["date", "server", "x-api-warning", *front]
    assert _names(bad) == ["date", "server", *front]
    assert good.headers["x-api-warning"] == ""


def test_every_answer_says_what_it_is(ask) -> None:
    """In a header, and on the page a browser shows."""
    page = ask.client.get(ask.emulator.url.removesuffix("v1"))
    assert "not Voyage AI" in page.text
    for answer in (page, ask("embeddings", GOOD), ask("embeddings", {}), ask("nothing", {})):
        assert "not Voyage's vectors" in answer.headers["x-voyage-emulator"]
