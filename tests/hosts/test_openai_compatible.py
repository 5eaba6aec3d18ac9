"""Servers that know `input`, `model` and `encoding_format`; the rest is done on this side."""

from __future__ import annotations

import base64
import json
import math
from array import array
from functools import partial
from typing import Any

import pytest

from fakes import KEY, HTTPService, base64_of, ok
from voyage_rag import (
    ConfigurationError,
    InvalidInputError,
    InvalidRequestError,
    UnexpectedAnswerError,
    Voyage,
    VoyageError,
)
from voyage_rag.hosts import Gateway, Local, OpenAICompatible
from voyage_rag.hosts.messages import Response

HOSTS = [OpenAICompatible, lambda url, **options: Gateway("litellm", base_url=url, **options)]
VECTOR = [3.0, -4.0, 0.0, 12.0, 1.0, 1.0, 1.0, 1.0, 5.0]


def served_as_openai(*, as_lists: bool) -> Any:
    """A server that responds with one vector for each text, whatever it is."""

    def respond(body: bytes) -> Response:
        texts = json.loads(body)["input"]
        vector = VECTOR if as_lists else base64_of(VECTOR)
        data = [{"object": "embedding", "index": i, "embedding": vector} for i in range(len(texts))]
        return ok(
            {"object": "list", "data": data, "usage": {"prompt_tokens": 5, "total_tokens": 5}}
        )

    return respond


@pytest.mark.parametrize("as_lists", [True, False])
def test_only_three_fields_are_sent(http_service: HTTPService, runner: Any, as_lists: bool) -> None:
    """Prompts precede the texts, and no key is sent unless one is given."""
    http_service.always = served_as_openai(as_lists=as_lists)
    voyage = Voyage(host=OpenAICompatible(http_service.url))
    found = runner.call(voyage, "embed", ["a"], "some-model", "query")

    assert found.embeddings == [VECTOR]
    assert found.total_tokens == 5
    sent = http_service.received[0]
    assert "authorization" not in sent.headers
    assert json.loads(sent.body) == {
        "input": ["Represent the query for retrieving supporting documents: a"],
        "model": "some-model",
        "encoding_format": "base64",
    }


@pytest.mark.parametrize("as_lists", [True, False])
def test_dimensions_and_signs_are_made_here(http_service: HTTPService, as_lists: bool) -> None:
    """Shortened vectors have length one; signs are packed as the service packs them."""
    http_service.always = served_as_openai(as_lists=as_lists)
    voyage = Voyage(host=OpenAICompatible(http_service.url, prompts={}))

    short = voyage.embed(["a"], "m", output_dimension=2).embeddings[0]
    assert short == pytest.approx([0.6, -0.8])
    assert math.hypot(*short) == pytest.approx(1.0)
    ubinary = voyage.embed(["a"], "m", output_dimension=8, output_dtype="ubinary").embeddings[0]
    binary = voyage.embed(["a"], "m", output_dimension=8, output_dtype="binary").embeddings[0]
    assert (ubinary, binary) == ([0b10011111], [0b10011111 - 128])
    with pytest.raises(InvalidInputError, match="'int8'"):
        voyage.embed(["a"], "m", output_dtype="int8")
    with pytest.raises(InvalidInputError, match="truncation=False"):
        voyage.embed(["a"], "m", truncation=False)
    with pytest.raises(VoyageError, match="9 instead of 512 dimensions"):
        Voyage(host=voyage.settings.host, max_retries=0).embed(["a"], "m", output_dimension=512)


BINARY, UBINARY, SHORT = (
    {"output_dtype": "binary"},
    {"output_dtype": "ubinary"},
    {"output_dimension": 4},
)


@pytest.mark.parametrize("as_lists", [True, False])
@pytest.mark.parametrize(
    ("vectors", "options", "message"),
    [
        ([[]], BINARY, "vectors of 0 dimensions"),
        ([VECTOR], UBINARY, "vectors of 9 dimensions, of which 'ubinary' cannot pack"),
        ([[1.0] * 7 + [math.nan]], BINARY, "not finite"),
        ([[-math.inf] * 8], UBINARY, "not finite"),
        ([[1.0] * 7 + [math.nan]], SHORT, "not finite"),
        ([[1.0] * 8, [1.0] * 16], SHORT, r"vectors of \[8, 16\] numbers"),
    ],
)
def test_conversions_hide_no_fault_of_the_server(
    http_service: HTTPService,
    runner: Any,
    vectors: list[list[float]],
    options: dict[str, Any],
    message: str,
    as_lists: bool,
) -> None:
    """NaN, vectors of different lengths, and signs that do not fill a byte."""
    values = [vector if as_lists else base64_of(vector) for vector in vectors]
    data = [{"index": index, "embedding": value} for index, value in enumerate(values)]
    http_service.always = lambda _: ok({"data": data})
    voyage = Voyage(host=OpenAICompatible(http_service.url), max_retries=0)
    with pytest.raises(UnexpectedAnswerError, match=message):
        runner.call(voyage, "embed", list(map(str, vectors)), "m", **options)


def test_batches_are_as_small_as_servers_want_them(http_service: HTTPService) -> None:
    """32 by default, and smaller if the server rejects that."""

    def limited(body: bytes) -> Response:
        if len(json.loads(body)["input"]) > 8:
            error = {
                "error": "batch size 32 > maximum allowed batch size 8",
                "error_type": "Validation",
            }
            return Response(422, {}, json.dumps(error).encode())
        return served_as_openai(as_lists=False)(body)

    http_service.always = limited
    found = Voyage(host=OpenAICompatible(http_service.url)).embed(
        list(map(str, range(70))), "m", batch_size=70
    )
    assert len(found.embeddings) == 70
    assert max(len(json.loads(r.body)["input"]) for r in http_service.received) == 32


@pytest.mark.parametrize(
    "message",
    [
        "Requested 673477 tokens, max 300000 tokens per request",
        "Invalid 'input': maximum request size is 300000 tokens per request.",
        "invalid request: total number of texts must be at most 96 - received 131",
        "* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch",
        "Value error, batch size is invalid, it should not be larger than 10.: input.contents",
        "Too many tokens in batch. Max is 16384 got 17555",
        "Too many inputs in request, split into more batches.",
        "5 instance(s) is allowed per prediction. Actual: 10",
        "Unable to submit request because it included too many instances",
        "the input token count is 25642 but the model supports up to 20000",
        "INVALID_ARGUMENT: Request payload size exceeds the limit: 4194304 bytes.",
        "Malformed input request: expected maximum item count: 96, found: 128, please reformat",
        "This model's maximum context length is 512 tokens. However, your request has 600.",
    ],
)
@pytest.mark.parametrize("make_host", HOSTS)
def test_a_request_that_is_too_large_for_a_provider_is_split(
    http_service: HTTPService, runner: Any, make_host: Any, message: str
) -> None:
    """Providers behind a gateway limit texts, tokens or bytes, and differ in the words."""

    def limited(body: bytes) -> Response:
        if len(json.loads(body)["input"]) > 10:
            return Response(400, {}, json.dumps({"error": {"message": message}}).encode())
        return served_as_openai(as_lists=True)(body)

    http_service.always = limited
    voyage = Voyage(host=make_host(http_service.url))
    assert len(runner.call(voyage, "embed", list(map(str, range(32))), "m").embeddings) == 32


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        ("input (979 tokens) is too large to process. increase the physical batch size", "split"),
        ("Invalid 'input[{}]': maximum input length is 8192 tokens.", "split"),
        ("failed to encode response: json: unsupported value: NaN", "change"),
    ],
)
def test_the_text_that_cannot_be_embedded_is_named(
    http_service: HTTPService, runner: Any, message: str, remedy: str
) -> None:
    """Even if the server only says that there is one."""

    def limited(body: bytes) -> Response:
        texts = json.loads(body)["input"]
        if "long" in texts:
            error = {"message": message.format(texts.index("long"))}
            return Response(500, {}, json.dumps({"error": error}).encode())
        return served_as_openai(as_lists=True)(body)

    http_service.always = limited
    voyage = Voyage(host=OpenAICompatible(http_service.url, prompts={}))
    texts = [*map(str, range(40)), "long", *map(str, range(40, 50))]
    with pytest.raises(InvalidRequestError, match=rf"{remedy}.* input 40,"):
        runner.call(voyage, "embed", texts, "m")


@pytest.mark.parametrize("number", [None, math.nan])
def test_the_text_without_numbers_is_named_at_once(
    http_service: HTTPService, runner: Any, number: float | None
) -> None:
    """Text Embeddings Inference sends null where the model computes NaN."""

    def respond(body: bytes) -> Response:
        texts = json.loads(body)["input"]
        vectors = [[number] * 9 if text == "bad" else VECTOR for text in texts]
        return ok({"data": [{"index": i, "embedding": v} for i, v in enumerate(vectors)]})

    http_service.always = respond
    voyage = Voyage(host=OpenAICompatible(http_service.url, prompts={}))
    texts = [*map(str, range(40)), "bad", *map(str, range(40, 50))]
    with pytest.raises(InvalidRequestError, match=r"no numbers .*your input 40\."):
        runner.call(voyage, "embed", texts, "m")
    assert len(http_service.received) == 2


def test_a_wrong_address_suggests_no_other_model(http_service: HTTPService) -> None:
    """The remedy mentions the model, but the server does not."""
    http_service.always = lambda _: Response(404, {}, b"404 page not found")
    with pytest.raises(InvalidRequestError, match="check base_url") as caught:
        Voyage(host=OpenAICompatible(http_service.url)).embed(["a"], "voyage-4-nanoo")
    assert "Did you mean" not in caught.value.message


def test_a_rate_limit_is_not_taken_for_a_request_that_is_too_large(
    http_service: HTTPService, runner: Any
) -> None:
    """It passes with time."""
    message = "Rate limit reached: too many inputs, 100 requests per minute"
    refused = Response(429, {"retry-after": "0"}, json.dumps({"error": message}).encode())
    http_service.script = [lambda _: refused, served_as_openai(as_lists=True)]
    voyage = Voyage(host=OpenAICompatible(http_service.url))
    assert runner.call(voyage, "embed", ["a"], "m").embeddings == [VECTOR]


@pytest.mark.parametrize(
    ("status", "document"),
    [
        (500, {"error": {"code": 500, "message": "input is too large to process. increase the "
                         "physical batch size", "type": "server_error"}}),
        (400, {"object": "error", "message": "This model's maximum context length is 512 tokens."}),
    ],
)  # fmt: skip
def test_an_input_that_is_too_long_is_not_sent_again(
    http_service: HTTPService, status: int, document: Any
) -> None:
    """llama.cpp calls it an error of the server."""
    http_service.always = lambda body: Response(status, {}, json.dumps(document).encode())
    with pytest.raises(InvalidRequestError, match="split the text"):
        Voyage(host=OpenAICompatible(http_service.url)).embed(["a"], "m")
    assert len(http_service.received) == 1


@pytest.mark.parametrize("options", [{}, SHORT, BINARY])
@pytest.mark.parametrize("make", [float, lambda number: array("f", [number])[0]])
def test_base64_of_another_number_type_is_refused(
    http_service: HTTPService, options: dict[str, Any], make: Any
) -> None:
    """A server that encodes float64 would otherwise return vectors of twice the length."""
    numbers = array("d", [make(math.sin(number) / 30) for number in range(1, 1_025)])
    data = [{"index": 0, "embedding": base64.b64encode(numbers.tobytes()).decode()}]
    http_service.always = lambda _: ok({"data": data})
    voyage = Voyage(host=OpenAICompatible(http_service.url), max_retries=0)
    with pytest.raises(UnexpectedAnswerError, match="another type than float32"):
        voyage.embed(["a"], "m", **options)


@pytest.mark.parametrize("index", ["missing", None, 0])
def test_a_server_that_numbers_nothing_keeps_the_order(
    http_service: HTTPService, runner: Any, index: Any
) -> None:
    """As every client of OpenAI's API takes it."""

    def respond(body: bytes) -> Response:
        vectors = [[float(len(text)), 1.0] for text in json.loads(body)["input"]]
        data = [{"embedding": vector, "index": index} for vector in vectors]
        if index == "missing":
            data = [{"embedding": item["embedding"]} for item in data]
        return ok({"data": data})

    http_service.always = respond
    voyage = Voyage(host=OpenAICompatible(http_service.url, prompts={}), max_retries=0)
    found = runner.call(voyage, "embed", ["a", "bb", "ccc"], "m")
    assert [vector[0] for vector in found.embeddings] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("indices", [(1, 1), (None, 0), (0, None), ("", 0), ([], [])])
def test_a_server_that_numbers_some_is_refused(
    http_service: HTTPService, indices: tuple[object, object]
) -> None:
    """Because the order is unknown."""
    data = [{"embedding": [1.0], "index": index} for index in indices]
    http_service.always = lambda _: ok({"data": data})
    voyage = Voyage(host=OpenAICompatible(http_service.url, prompts={}), max_retries=0)
    with pytest.raises(UnexpectedAnswerError):
        voyage.embed(["a", "bb"], "m")


@pytest.mark.parametrize(
    "host", [partial(OpenAICompatible, "http://localhost/v1"), partial(Local, "m/m")]
)
@pytest.mark.parametrize(
    "options",
    [
        {"prompts": {"passage": "passage: "}},
        {"prompts": {"query": "query: ", "search_document": "document: "}},
        {"prompts": {"query": None}},
        {"prompts": "query: "},
        {"prompts": None},
        {"batch_size": 0},
        {"batch_size": "8"},
        {"batch_size": 2.5},
        {"batch_size": True},
    ],
    ids=str,
)
def test_options_that_would_not_work_are_refused(host: Any, options: dict[str, Any]) -> None:
    """A prompt under another name would never be put before a text."""
    (name,) = options
    with pytest.raises(ConfigurationError, match=f"{name} must be .* not "):
        host(**options)


@pytest.mark.parametrize("format_", ["base16", [], True, 0])
@pytest.mark.parametrize("make_host", HOSTS)
def test_an_unknown_encoding_format_is_refused(make_host: Any, format_: object) -> None:
    """A server would refuse each request."""
    with pytest.raises(ConfigurationError, match="'base64', 'float' or None, not "):
        make_host("http://localhost/v1", encoding_format=format_)


@pytest.mark.parametrize("make_host", HOSTS)
@pytest.mark.parametrize("format_", ["float", None])
def test_the_encoding_format_can_be_changed_and_omitted(
    http_service: HTTPService, runner: Any, make_host: Any, format_: str | None
) -> None:
    """For providers behind a gateway that accept only lists, or refuse the field."""
    http_service.always = served_as_openai(as_lists=True)
    voyage = Voyage(host=make_host(http_service.url, encoding_format=format_, prompts={}))
    assert runner.call(voyage, "embed", ["a"], "m", "query").embeddings == [VECTOR]
    sent = json.loads(http_service.received[0].body)
    assert sent["input"] == ["a"]
    assert sent.get("encoding_format", None) == format_
    assert ("encoding_format" in sent) == (format_ is not None)


@pytest.mark.parametrize("make_host", HOSTS)
@pytest.mark.parametrize("status", [400, 422, 500])
@pytest.mark.parametrize(
    "message",
    [
        (
            "litellm.UnsupportedParamsError: vertex_ai does not support parameters: "
            "{'encoding_format': 'base64'}, for model=m"
        ),
        "encoding_format is missing, encoding_format does not have a valid value",
        "Malformed input request: #/embedding_types: expected type: JSONArray, found: String",
        "base64 encoding is not currently supported",
    ],
)
def test_a_server_that_refuses_the_encoding_format_names_the_remedy(
    http_service: HTTPService, runner: Any, make_host: Any, status: int, message: str
) -> None:
    """A repeated request could not succeed, whatever the status says."""
    document = {"error": {"message": message, "type": "None", "param": None, "code": status}}
    http_service.always = lambda body: Response(status, {}, json.dumps(document).encode())
    voyage = Voyage(host=make_host(http_service.url))
    name = type(voyage.settings.host).__name__
    with pytest.raises(
        InvalidRequestError, match=rf"pass encoding_format=None or 'float' to {name}"
    ):
        runner.call(voyage, "embed", ["a"], "m")
    assert len(http_service.received) == 1


def test_a_server_may_want_a_key(http_service: HTTPService) -> None:
    """It is sent, and no error shows it."""
    http_service.always = lambda body: Response(401, {}, json.dumps({"detail": KEY}).encode())
    with pytest.raises(VoyageError) as caught:
        Voyage(host=OpenAICompatible(http_service.url, KEY)).embed(["a"], "m")
    assert http_service.received[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in str(caught.value)


# ── gateways ──────────────────────────────────────────────────────────────────────────────────────


def test_a_gateway_has_its_own_names(http_service: HTTPService, runner: Any) -> None:
    """Of models and dimensions; a rerank in Cohere's shape is read as Voyage's."""
    ranked = {"results": [{"index": 1, "relevance_score": 0.9, "document": {"text": "b"}},
                          {"index": 0, "relevance_score": 0.1}]}  # fmt: skip
    http_service.script = [served_as_openai(as_lists=True), lambda body: ok(ranked)]
    voyage = Voyage(host=Gateway("openrouter", KEY, base_url=http_service.url))
    runner.call(voyage, "embed", ["a"], "some-voyage", "document", output_dimension=9)
    result = runner.call(voyage, "rerank", "q", ["a", "b"], "rerank-x", 2)

    embedding, reranking = (json.loads(request.body) for request in http_service.received)
    assert embedding == {
        "model": "mongodb/some-voyage",
        "input": ["Represent the document for retrieval: a"],
        "encoding_format": "base64",
        "dimensions": 9,
    }
    assert reranking == {
        "model": "mongodb/rerank-x", "query": "q", "documents": ["a", "b"], "top_n": 2,
    }  # fmt: skip
    assert [r.index for r in result.results] == [1, 0]


@pytest.mark.parametrize(
    ("scores", "top_k", "expected"),
    [([0.1, 0.9, 0.5], 2, [1, 2]), ([0.1, 0.9, 0.5], 1, [1]), ([-2.5, -1.0, -3.0], 1, [1])],
)
def test_a_provider_may_ignore_the_number_of_results(
    http_service: HTTPService, runner: Any, scores: list[float], top_k: int, expected: list[int]
) -> None:
    """And may not sort them. The best of all documents are returned."""
    ranked = [{"index": i, "relevance_score": score} for i, score in enumerate(scores)]
    http_service.always = lambda _: ok({"results": ranked})
    voyage = Voyage(host=Gateway("litellm", KEY, base_url=http_service.url), max_retries=0)
    found = runner.call(voyage, "rerank", "q", ["a", "b", "c"], "rerank-x", top_k)
    assert [one.index for one in found.results] == expected


@pytest.mark.parametrize(
    "ranked",
    [
        [{"index": i, "relevance_score": None} for i in range(3)],
        [{"index": i, "relevance_score": math.nan} for i in range(3)],
        [{"index": i} for i in range(3)],
        [{"index": 0, "relevance_score": 0.5}] * 3,
        [None] * 3,
        [{"index": i, "relevance_score": 0.5} for i in range(2)],
    ],
)
def test_a_ranking_that_is_not_of_all_documents_is_refused(
    http_service: HTTPService, ranked: list[Any]
) -> None:
    """More results than requested are accepted only if all are there."""
    http_service.always = lambda _: ok({"results": ranked})
    voyage = Voyage(host=Gateway("litellm", KEY, base_url=http_service.url), max_retries=0)
    with pytest.raises(UnexpectedAnswerError):
        voyage.rerank("q", ["a", "b", "c"], "rerank-x", 1)


def test_what_a_gateway_lacks_is_refused(http_service: HTTPService) -> None:
    """Before anything is sent."""
    with pytest.raises(InvalidInputError, match=r"Vercel AI Gateway serves /embeddings only"):
        Voyage(host=Gateway("vercel", KEY)).rerank("q", ["a"], "rerank-3")
    with pytest.raises(VoyageError, match="the gateways are openrouter, vercel, litellm"):
        Gateway("nobody", KEY)
    with pytest.raises(VoyageError, match="pass base_url"):
        Gateway("litellm", KEY)
    with pytest.raises(ConfigurationError, match="base_url '' is not"):
        Gateway("openrouter", KEY, base_url="")
