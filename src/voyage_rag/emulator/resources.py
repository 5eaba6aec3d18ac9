"""The paths of files and batches. Source: "Files" and "Batches" in Voyage's API reference.

What is wrong with a request is said before the key is looked at, as on the other endpoints. The
wordings of refusals that have no model of the live service are guesses, and so is that these calls
count towards no rate limit.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, MutableSequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import anyio.to_thread
import orjson
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route

from voyage_rag.emulator import answers, lines, rules
from voyage_rag.emulator.answers import Answer
from voyage_rag.emulator.batches import Batches, Order
from voyage_rag.emulator.delivery import (
    Receive,
    Scope,
    Send,
    deliver,
    deliver_badly,
    deliver_file,
    wait,
)
from voyage_rag.emulator.faults import Broken, Fault, Instead
from voyage_rag.emulator.options import Options
from voyage_rag.emulator.received import Received, without_key
from voyage_rag.emulator.rules import Argument, Refusal
from voyage_rag.emulator.storage import PURPOSES, Storage, page, refuse_unknown
from voyage_rag.emulator.work import Payload

JSONL = "application/octet-stream"
"""Of a file's content; a guess."""

MOST_METADATA, LONGEST_KEY, LONGEST_VALUE = 16, 64, 512
MOST_FILES, FILES_ON_A_PAGE = 10_000, 10_000
MOST_BATCHES, BATCHES_ON_A_PAGE = 100, 20


class Asked(NamedTuple):
    """A request, read."""

    key: Callable[[], str]
    """Return the key of whoever asks, or refuse."""
    id: str
    """Of the object in the path."""
    query: Mapping[str, str]
    body: Any
    """Parsed JSON, or the fields of a form."""


class Store(NamedTuple):
    """What the handlers work on."""

    options: Options
    storage: Storage
    batches: Batches


Handler = Callable[[Store, Asked], Payload | Path]


def _upload(store: Store, asked: Asked) -> Payload:
    clauses = []
    fields = asked.body if isinstance(asked.body, dict) else {}
    upload, purpose = fields.get("file"), fields.get("purpose")
    if not isinstance(upload, UploadFile):
        clauses.append("Error for argument 'file': a file is due, in multipart/form-data")
    if purpose != "batch":
        clauses.append(
            f"Value '{purpose}' supplied for argument 'purpose' is not valid -- accepted values "
            "are 'batch'"
        )
    if clauses or not isinstance(upload, UploadFile):
        rules.refuse_arguments(clauses)
    key = asked.key()
    limit = store.options.file_bytes
    if (upload.size or 0) > limit:
        raise Refusal(413, f"The file has {upload.size} bytes; the limit is {limit}.")
    path = store.storage.make_path()
    with path.open("wb") as target:
        shutil.copyfileobj(upload.file, target)
    return store.storage.keep(key, upload.filename or "", "batch", path).describe()


def _list_files(store: Store, asked: Asked) -> Payload:
    query = _query(
        asked,
        (
            Argument("purpose", rules.one_of(*PURPOSES)),
            Argument("limit", rules.between(1, MOST_FILES), default=FILES_ON_A_PAGE),
            Argument("order", rules.one_of("asc", "desc"), default="desc"),
            Argument("after", rules.text),
        ),
    )
    found = [
        file for file in store.storage.of(asked.key()) if query["purpose"] in (None, file.purpose)
    ]
    if query["order"] == "desc":
        found.reverse()
    return page(found, query["after"], query["limit"])


def _show_file(store: Store, asked: Asked) -> Payload:
    return store.storage.find(asked.key(), asked.id).describe()


def _read_file(store: Store, asked: Asked) -> Path:
    return store.storage.find(asked.key(), asked.id).path


def _delete_file(store: Store, asked: Asked) -> Payload:
    if store.storage.delete(asked.key(), [asked.id]):
        refuse_unknown("file", asked.id)
    return {"id": asked.id, "object": "file", "deleted": True}


def _delete_files(store: Store, asked: Asked) -> Payload:
    arguments = rules.check_arguments(
        asked.body, (Argument("file_ids", rules.texts, required=True),)
    )
    missing = store.storage.delete(asked.key(), arguments["file_ids"])
    return {"success": False, "error_file_ids": missing} if missing else {"success": True}


def _create_batch(store: Store, asked: Asked) -> Payload:
    arguments = rules.check_arguments(
        asked.body,
        (
            Argument("endpoint", rules.one_of(*lines.KINDS), required=True),
            Argument("input_file_id", rules.text, required=True),
            Argument("completion_window", rules.one_of("12h"), required=True),
            Argument("request_params", _check_params, required=True),
            Argument("metadata", _check_metadata),
        ),
    )
    kind = lines.KINDS[arguments["endpoint"]]
    params = arguments["request_params"]
    lines.check_params(kind, params)
    key = asked.key()
    file = store.storage.find(key, arguments["input_file_id"])
    if file.purpose != "batch":
        raise Refusal(400, f"The purpose of file '{file.id}' is '{file.purpose}', not 'batch'.")
    return store.batches.create(key, Order(kind, params, arguments["metadata"], file)).describe()


def _check_params(value: Any) -> str | None:
    if not isinstance(value, dict) or not isinstance(value.get("model"), str):
        return "Error for argument '{}': Input should be an object with a model"
    return None


def _check_metadata(value: Any) -> str | None:
    proper = (
        isinstance(value, dict)
        and len(value) <= MOST_METADATA
        and all(
            isinstance(held, str) and len(name) <= LONGEST_KEY and len(held) <= LONGEST_VALUE
            for name, held in value.items()
        )
    )
    if proper:
        return None
    return (
        f"Error for argument '{{}}': Input should be at most {MOST_METADATA} pairs of strings of "
        f"at most {LONGEST_KEY} and {LONGEST_VALUE} characters"
    )


def _list_batches(store: Store, asked: Asked) -> Payload:
    query = _query(
        asked,
        (
            Argument("limit", rules.between(1, MOST_BATCHES), default=BATCHES_ON_A_PAGE),
            Argument("after", rules.text),
        ),
    )
    return page(store.batches.of(asked.key()), query["after"], query["limit"])


def _show_batch(store: Store, asked: Asked) -> Payload:
    return store.batches.find(asked.key(), asked.id).describe()


def _cancel_batch(store: Store, asked: Asked) -> Payload:
    return store.batches.cancel(asked.key(), asked.id).describe()


def _query(asked: Asked, arguments: tuple[Argument, ...]) -> Payload:
    given: Payload = dict(asked.query)
    if given.get("limit", "").lstrip("-").isdecimal():
        given["limit"] = int(given["limit"])
    return rules.check_arguments(given, arguments)


HANDLERS: dict[tuple[str, str], Handler] = {
    ("POST", "/v1/files"): _upload,
    ("GET", "/v1/files"): _list_files,
    ("POST", "/v1/files/delete"): _delete_files,
    ("GET", "/v1/files/{id}"): _show_file,
    ("DELETE", "/v1/files/{id}"): _delete_file,
    ("GET", "/v1/files/{id}/content"): _read_file,
    ("POST", "/v1/batches"): _create_batch,
    ("GET", "/v1/batches"): _list_batches,
    ("GET", "/v1/batches/{id}"): _show_batch,
    ("POST", "/v1/batches/{id}/cancel"): _cancel_batch,
}
"""By method and path."""

RESOURCES = [f"{method} {path}" for method, path in HANDLERS]


def serve_resources(
    batches: Batches,
    storage: Storage,
    options: Options,
    faults: Iterator[Fault | None],
    requests: MutableSequence[Received] | None,
) -> list[Route]:
    """Return the routes of files and batches."""
    store = Store(options, storage, batches)
    paths: dict[str, dict[str, Handler]] = {}
    for (method, path), handler in HANDLERS.items():
        paths.setdefault(path, {})[method] = handler
    return [
        Route(path, _Resource(handlers, store, faults, requests), methods=list(handlers))
        for path, handlers in paths.items()
    ]


@dataclass(frozen=True, slots=True)
class _Resource:
    """ASGI application of one path."""

    handlers: dict[str, Handler]
    store: Store
    faults: Iterator[Fault | None]
    requests: MutableSequence[Received] | None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await _read(request)
        received = self._note(request, body)
        fault = next(self.faults)
        if isinstance(fault, Instead):
            answer: Answer | Path = fault.answer()
        else:
            answer = await anyio.to_thread.run_sync(self._answer, request, body)
        await request.close()
        if not await wait(self.store.options.latency, receive):
            return
        received.answered_at = self.store.options.clock()
        if isinstance(fault, Broken):
            whole = answer if isinstance(answer, Answer) else _whole(answer)
            await deliver_badly(whole, fault, scope, receive, send)
        elif isinstance(answer, Answer):
            received.status = answer.status
            await deliver(answer, send)
        else:
            received.status = 200
            await deliver_file(answers.write(200, b"", content_type=JSONL), answer, send)

    def _note(self, request: Request, body: Any) -> Received:
        shown = without_key(dict(request.headers))
        if isinstance(body, dict) and "file" in body and isinstance(body["file"], UploadFile):
            upload = body["file"]
            body = body | {"file": {"filename": upload.filename, "bytes": upload.size}}
        path, now = request.url.path, self.store.options.clock()
        received = Received(path, body, shown, now, method=request.method)
        if self.requests is not None:
            self.requests.append(received)
        return received

    def _answer(self, request: Request, body: Any) -> Answer | Path:
        def key() -> str:
            return rules.authenticate(request.headers.get("authorization"), self.store.options.keys)

        asked = Asked(key, request.path_params.get("id", ""), dict(request.query_params), body)
        handler = self.handlers[request.method if request.method != "HEAD" else "GET"]
        try:
            found = handler(self.store, asked)
        except Refusal as refusal:
            return answers.fail(refusal)
        return found if isinstance(found, Path) else answers.write(200, orjson.dumps(found))


def _whole(path: Path) -> Answer:
    return answers.write(200, path.read_bytes(), content_type=JSONL)


async def _read(request: Request) -> Any:
    """Return the fields of a form, parsed JSON, or the bytes of what is neither."""
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        try:
            return dict(await request.form())
        except HTTPException:
            return b""
    return rules.parse(await request.body())
