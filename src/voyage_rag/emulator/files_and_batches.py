"""Handlers of /v1/files and /v1/batches. Source: "Files" and "Batches" in Voyage's API reference.

Errors of a request are reported before the key is checked, as on the other endpoints. Wordings of
errors that were not seen from the live service are guesses. It is also a guess that these requests
have no rate limit.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from starlette.datastructures import UploadFile

from voyage_rag.emulator import arguments as args
from voyage_rag.emulator import batch_lines
from voyage_rag.emulator.arguments import Argument, ArgumentValues, RejectedRequest
from voyage_rag.emulator.batch_lines import BATCH_KINDS
from voyage_rag.emulator.batches import BatchRegistry, BatchSpec
from voyage_rag.emulator.file_storage import FileStorage, page, reject_unknown
from voyage_rag.emulator.options import EmulatorOptions
from voyage_rag.emulator.responses import Payload
from voyage_rag.emulator.tokens import EmulatedTokenizer

MAX_METADATA_PAIRS, MAX_KEY_CHARACTERS, MAX_VALUE_CHARACTERS = 16, 64, 512
MAX_FILES_ON_A_PAGE, MAX_BATCHES_ON_A_PAGE, DEFAULT_BATCHES_ON_A_PAGE = 10_000, 100, 20


class ResourceRequest(NamedTuple):
    """A request for files or batches."""

    authenticate: Callable[[], str]
    """Returns the key, or raises `RejectedRequest`."""
    id: str
    """Id in the path."""
    query: Mapping[str, str]
    body: Any
    """Parsed JSON, or the fields of a form."""


ResourceHandler: TypeAlias = Callable[[ResourceRequest], Payload | Path]


class FilesAndBatches:
    """The handlers, and the state that they share.

    Attributes:
        handlers: By method and path.
    """

    def __init__(
        self, options: EmulatorOptions, tokens: EmulatedTokenizer, now: Callable[[], float]
    ) -> None:
        self._options, self._tokens = options, tokens
        self._files = FileStorage(now)
        self._batches = BatchRegistry(options, self._files, tokens)
        self.handlers: dict[tuple[str, str], ResourceHandler] = {
            ("POST", "/v1/files"): self._upload,
            ("GET", "/v1/files"): self._list_files,
            ("POST", "/v1/files/delete"): self._delete_files,
            ("GET", "/v1/files/{id}"): self._show_file,
            ("DELETE", "/v1/files/{id}"): self._delete_file,
            ("GET", "/v1/files/{id}/content"): self._read_file,
            ("POST", "/v1/batches"): self._create_batch,
            ("GET", "/v1/batches"): self._list_batches,
            ("GET", "/v1/batches/{id}"): self._show_batch,
            ("POST", "/v1/batches/{id}/cancel"): self._cancel_batch,
        }

    def close(self) -> None:
        """Stop the thread that processes batches."""
        self._batches.close()

    def _upload(self, request: ResourceRequest) -> Payload:
        fields = request.body if isinstance(request.body, dict) else {}
        upload, clauses = fields.get("file"), []
        if not isinstance(upload, UploadFile):
            clauses.append("Error for argument 'file': a file is required (multipart/form-data)")
        if clause := args.one_of("batch")(fields.get("purpose")):
            clauses.append(clause.format("purpose"))
        if clauses or not isinstance(upload, UploadFile):
            args.reject_arguments(clauses)
        key, limit = request.authenticate(), self._options.file_bytes
        if (upload.size or 0) > limit:
            raise RejectedRequest(413, f"The file has {upload.size} bytes; the limit is {limit}.")
        path = self._files.new_path()
        with path.open("wb") as target:
            shutil.copyfileobj(upload.file, target)
        return self._files.add(key, upload.filename or "", "batch", path).describe()

    def _list_files(self, request: ResourceRequest) -> Payload:
        limit = args.integer_between(1, MAX_FILES_ON_A_PAGE)
        query = _check_query(
            request,
            Argument("purpose", args.one_of("batch", "batch-output", "batch-error")),
            Argument("limit", limit, default=MAX_FILES_ON_A_PAGE),
            Argument("order", args.one_of("asc", "desc"), default="desc"),
            Argument("after", args.text),
        )
        files, purpose = self._files.list(request.authenticate()), query["purpose"]
        found = [file for file in files if purpose in (None, file.purpose)]
        if query["order"] == "desc":
            found.reverse()
        return page(found, query["after"], query["limit"])

    def _show_file(self, request: ResourceRequest) -> Payload:
        return self._files.find(request.authenticate(), request.id).describe()

    def _read_file(self, request: ResourceRequest) -> Path:
        return self._files.find(request.authenticate(), request.id).path

    def _delete_file(self, request: ResourceRequest) -> Payload:
        if self._files.delete(request.authenticate(), [request.id]):
            reject_unknown("file", request.id)
        return {"id": request.id, "object": "file", "deleted": True}

    def _delete_files(self, request: ResourceRequest) -> Payload:
        file_ids = Argument("file_ids", args.texts, required=True)
        arguments = args.check_arguments(request.body, [file_ids])
        missing = self._files.delete(request.authenticate(), arguments["file_ids"])
        return {"success": False, "error_file_ids": missing} if missing else {"success": True}

    def _create_batch(self, request: ResourceRequest) -> Payload:
        arguments = args.check_arguments(
            request.body,
            (
                Argument("endpoint", args.one_of(*BATCH_KINDS), required=True),
                Argument("input_file_id", args.text, required=True),
                Argument("completion_window", args.one_of("12h"), required=True),
                Argument("request_params", _check_params, required=True),
                Argument("metadata", _check_metadata),
            ),
        )
        kind, params = BATCH_KINDS[arguments["endpoint"]], arguments["request_params"]
        batch_lines.check_params(kind, params, self._tokens)
        files = self._files.list(request.authenticate())
        file = next((file for file in files if file.id == arguments["input_file_id"]), None)
        if file is None:
            raise RejectedRequest(404, "Input file not found")  # Seen.
        if file.purpose != "batch":
            message = f"The purpose of file '{file.id}' is '{file.purpose}', not 'batch'."
            raise RejectedRequest(400, message)
        spec = BatchSpec(kind, params, arguments["metadata"], file)
        return self._batches.create(file.key, spec).describe()

    def _list_batches(self, request: ResourceRequest) -> Payload:
        limit = args.integer_between(1, MAX_BATCHES_ON_A_PAGE)
        query = _check_query(
            request,
            Argument("limit", limit, default=DEFAULT_BATCHES_ON_A_PAGE),
            Argument("after", args.text),
        )
        return page(self._batches.list(request.authenticate()), query["after"], query["limit"])

    def _show_batch(self, request: ResourceRequest) -> Payload:
        return self._batches.find(request.authenticate(), request.id).describe()

    def _cancel_batch(self, request: ResourceRequest) -> Payload:
        return self._batches.cancel(request.authenticate(), request.id).describe()


def _check_params(value: Any) -> str | None:
    if not isinstance(value, dict) or not isinstance(value.get("model"), str):
        return "Error for argument '{}': Input should be an object with a model"
    return None


def _check_metadata(value: Any) -> str | None:
    if (
        isinstance(value, dict)
        and len(value) <= MAX_METADATA_PAIRS
        and all(len(name) <= MAX_KEY_CHARACTERS for name in value)
        and all(
            isinstance(item, str) and len(item) <= MAX_VALUE_CHARACTERS for item in value.values()
        )
    ):
        return None
    return (
        f"Error for argument '{{}}': Input should be at most {MAX_METADATA_PAIRS} pairs of strings "
        f"of at most {MAX_KEY_CHARACTERS} and {MAX_VALUE_CHARACTERS} characters"
    )


def _check_query(request: ResourceRequest, *arguments: Argument) -> ArgumentValues:
    given: ArgumentValues = dict(request.query)
    if given.get("limit", "").lstrip("-").isdecimal():
        given["limit"] = int(given["limit"])
    return args.check_arguments(given, arguments)
