"""Cassettes: recorded exchanges as readable files, played and recorded by vcrpy.

A file holds the parsed JSON of requests and answers, and says where they came from. A request is
found by method, path and parsed body, so whoever plays a cassette has sent the same bytes as
whoever recorded it; the fields of a form stand for a form, and the mark of a batch, which no two
share, for itself. What is not in the file is an error, and so is what is in it and not asked for.

Nothing is stored that was not named here: of the headers those in `HEADERS`, of the address its
path. A file that would hold the text of a key is not written.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

import yaml
from vcr import VCR
from vcr.cassette import Cassette
from vcr.persisters.filesystem import CassetteNotFoundError
from vcr.request import Request

MARK = "voyage_rag_id"
"""The client finds a batch by it; random, so that no two batches share it."""

CASSETTES = Path(__file__).parent.parent / "cassettes"

HEADERS = frozenset({"content-type", "retry-after"})
"""The response headers that are stored. No request header is stored."""

TROUBLES = {408, 429, *range(500, 600)}

Kind = Literal["live service", "documented exchange", "emulator"]

Interactions = list[dict[str, Any]]


class UnsafeCassetteError(Exception):
    """Raised if a cassette would contain a key."""


@dataclass(frozen=True)
class Provenance:
    """Where the responses of a cassette came from.

    Attributes:
        kind: Who answered.
        detail: When, or which version, or where it is documented.
    """

    kind: Kind
    detail: str

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind) or not self.detail:
            raise ValueError(f"not a provenance: {self}")


@dataclass(frozen=True)
class Tape:
    """The contents of a cassette file.

    Attributes:
        about: One line on what is asked.
        provenance: Where the answers came from.
        interactions: Pairs of a `request` (method, url, body) and a `response` (status, headers,
            body). A url is a path, or an address where the host matters.
    """

    about: str
    provenance: Provenance
    interactions: Interactions


def path_of(name: str) -> Path:
    """Return the path of a cassette."""
    return CASSETTES / f"{name}.yaml"


def names() -> list[str]:
    """Return the names of all cassettes."""
    return sorted(path.stem for path in CASSETTES.glob("*.yaml"))


def load(name: str) -> Tape:
    """Read a cassette."""
    held = yaml.load(path_of(name).read_text("utf-8"), Loader=_Loader)
    return Tape(held["about"], Provenance(**held["provenance"]), held["interactions"])


def dump(tape: Tape, keys: Iterable[str]) -> str:
    """The text of a cassette file.

    Raises:
        UnsafeCassetteError: One of the keys is in it.
    """
    held = {
        "about": tape.about,
        "provenance": vars(tape.provenance),
        "interactions": tape.interactions,
    }
    plain = json.dumps(held, ensure_ascii=False)
    if any(key in plain for key in keys):
        raise UnsafeCassetteError("the cassette would hold the text of an API key")
    return yaml.dump(held, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


LONG = 2_000
"""Characters from which a text that only repeats itself is written once, as `!repeated`."""


class _Dumper(yaml.SafeDumper):
    """Writes short mappings and lists of numbers on one line, and other items on separate lines."""

    def represent_text(self, data: str) -> yaml.Node:
        period = (data + data).find(data, 1) if len(data) > LONG else len(data)
        if period == len(data):
            return self.represent_str(data)
        once = {"text": data[:period], "times": len(data) // period}
        return self.represent_mapping("!repeated", once, flow_style=True)

    def represent_list(self, data: list[Any]) -> yaml.Node:
        short = all(isinstance(item, int | float) for item in data)
        return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=short)

    def represent_dict(self, data: dict[str, Any]) -> yaml.Node:
        short = len(str(data)) < 80 and not any(isinstance(item, list) for item in data.values())
        return self.represent_mapping("tag:yaml.org,2002:map", data, flow_style=short)


_Dumper.add_representer(list, _Dumper.represent_list)
_Dumper.add_representer(dict, _Dumper.represent_dict)
_Dumper.add_representer(str, _Dumper.represent_text)


class _Loader(yaml.SafeLoader):
    """Reads what `_Dumper` writes."""

    def construct_repeated(self, node: yaml.MappingNode) -> str:
        once = self.construct_mapping(node)
        return str(once["text"]) * int(once["times"])


_Loader.add_constructor("!repeated", _Loader.construct_repeated)


# ── playing ───────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def played(name: str) -> Iterator[Cassette]:
    """Answer every httpx client from a cassette.

    Raises:
        CannotOverwriteExistingCassetteException: Something was asked that is not in it.
        AssertionError: Something in it was not asked.
    """
    with _vcr(_Player()).use_cassette(name, record_mode="none") as cassette:
        yield cassette
    assert cassette.all_played, (
        f"{name}: {len(cassette) - cassette.play_count} of {len(cassette)} interactions not played"
    )


class _Player:
    def load_cassette(self, name: str, serializer: object) -> tuple[list[Request], list[Any]]:
        if not path_of(name).is_file():
            raise FileNotFoundError(f"there is no cassette {name!r}: run `make record`")
        interactions = load(name).interactions
        return (
            [_request(item["request"]) for item in interactions],
            [_response(item["response"]) for item in interactions],
        )


def _request(stored: Mapping[str, Any]) -> Request:
    return Request(stored["method"], stored["url"], json.dumps(stored["body"]).encode(), {})


def _response(stored: Mapping[str, Any]) -> dict[str, Any]:
    body = stored["body"]
    text = body if isinstance(body, str) else json.dumps(body)
    return {
        "status": {"code": stored["status"], "message": HTTPStatus(stored["status"]).phrase},
        "headers": {name: [value] for name, value in stored["headers"].items()},
        "body": {"string": text.encode()},
    }


# ── recording ─────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def recorded(
    name: str, about: str, provenance: Provenance, keys: Iterable[str], *, troubles: bool = False
) -> Iterator[Cassette]:
    """Record the requests of httpx clients in a cassette, unless an exception ends the block.

    Answers that a client is right to ask for again are written only if `troubles` are the matter.

    Raises:
        UnsafeCassetteError: The text of one of the keys is in it; the file is left as it was.
    """
    vcr = _vcr(_Blank())
    options = {"record_mode": "all", "decode_compressed_response": True}
    with vcr.use_cassette(name, **options) as cassette:
        yield cassette
    interactions = [
        {"request": scrub_request(request), "response": scrub_response(response)}
        for request, response in cassette.data
        if troubles or response["status"]["code"] not in TROUBLES
    ]
    text = dump(Tape(about, provenance, interactions), keys)
    path_of(name).write_text(text, "utf-8")


class _Blank:
    def load_cassette(self, name: str, serializer: object) -> None:
        raise CassetteNotFoundError

    def save_cassette(self, name: str, held: object, serializer: object) -> None:
        """Do nothing: `recorded` writes the file, if the block does not fail."""


def scrub_request(request: Request) -> dict[str, Any]:
    """Return what is stored of a request: no host, no query, no header."""
    return {
        "method": request.method,
        "url": urlsplit(request.uri).path,
        "body": _parsed(request.body),
    }


def scrub_response(response: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is stored of a response: of the headers only those in `HEADERS`."""
    headers = {name.lower(): values[-1] for name, values in response["headers"].items()}
    return {
        "status": response["status"]["code"],
        "headers": {name: value for name, value in headers.items() if name in HEADERS},
        "body": _parsed(response["body"]["string"]),
    }


def _parsed(body: bytes) -> Any:
    if body.startswith(b"--"):
        return dict(_fields(body))
    try:
        return json.loads(body, object_pairs_hook=_sorted)
    except ValueError:
        return body.decode()


def _sorted(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: "a mark" if name == MARK else value for name, value in sorted(pairs)}


def _fields(form: bytes) -> Iterator[tuple[str, Any]]:
    """Return the fields of a form, with the lines of files."""
    boundary = form.partition(b"\r\n")[0].removeprefix(b"--")
    head = b"content-type: multipart/form-data; boundary=" + boundary
    for part in message_from_bytes(head + b"\r\n\r\n" + form).get_payload():
        about = dict(part.get_params(header="content-disposition")[1:])
        content = part.get_payload(decode=True)
        is_file = "filename" in about
        yield about["name"], _lines(content) if is_file else content.decode()


def _lines(content: bytes) -> list[Any]:
    return [json.loads(line) for line in content.splitlines()]


# ── both ──────────────────────────────────────────────────────────────────────────────────────────


def _vcr(persister: object) -> VCR:
    vcr = VCR(match_on=("method", "place", "parsed body"))
    vcr.register_persister(persister)
    vcr.register_matcher("place", _same_place)
    vcr.register_matcher("parsed body", _same_body)
    return vcr


def _same_place(asked: Request, stored: Request) -> None:
    there, here = urlsplit(stored.uri), urlsplit(asked.uri)
    assert here.path == there.path
    if there.netloc:
        assert (here.scheme, here.netloc) == (there.scheme, there.netloc)


def _same_body(asked: Request, stored: Request) -> None:
    assert _parsed(asked.body) == _parsed(stored.body)
