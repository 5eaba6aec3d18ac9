"""Checks of a request's arguments, and the errors for requests that fail them.

The service checks a body before the key, names every error of the body in one `detail`, and
responds with 400 where FastAPI would use 422. Wordings marked "Seen" come from live responses; the
others follow their pattern and are guesses.
"""

import json
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, TypeAlias

from voyage_rag.emulator.responses import Payload
from voyage_rag.emulator.tokens import EmulatedTokenizer

ArgumentValues: TypeAlias = dict[str, Any]
"""A checked body: every argument by name, None or its default where it was absent or null."""

Check: TypeAlias = Callable[[Any], str | None]
"""Returns the error of a value that is not null, with `{}` for the argument's name."""

_PREAMBLE = (
    "The request body is not valid JSON, or some arguments were not specified properly. "
    "In particular, "
)
_MISSING = "Your request body was missing one or more required arguments."


class RejectedRequest(Exception):  # noqa: N818 - the service's error, not the emulator's
    """The response is an error.

    Attributes:
        status: HTTP status.
        body: Body of the response, `detail` first.
        headers: Headers besides the usual ones.
    """

    def __init__(
        self, status: int, detail: str, *, code: str | None = None, headers: Mapping[str, str] = {}
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.body: dict[str, str] = {"detail": detail} | ({"error_code": code} if code else {})
        self.headers = headers


class Argument(NamedTuple):
    """One argument of an endpoint."""

    name: str
    check: Check
    required: bool = False
    default: Any = None


class AcceptedRequest(NamedTuple):
    """A request that has passed every check except the rate limits."""

    model: str
    tokens: int
    """Billed tokens."""
    as_base64: bool
    compute: Callable[[], Payload]
    """Computes the response: the part that costs time."""


class EmulatedEndpoint(NamedTuple):
    """One path of the API."""

    path: str
    arguments: tuple[Argument, ...]
    accept: Callable[[ArgumentValues, EmulatedTokenizer], AcceptedRequest]
    """Checks arguments against their model's limits; raises `RejectedRequest`."""
    check_together: Callable[[ArgumentValues], None] = lambda _: None
    """Checks arguments against each other, before the key; raises `RejectedRequest`."""


def check_arguments(body: Any, arguments: Sequence[Argument]) -> ArgumentValues:
    """Return the arguments of a request body, which is parsed JSON, or bytes if it is not JSON.

    Raises:
        RejectedRequest: 400, one clause for each missing, wrong or unknown argument. Seen.
    """
    if isinstance(body, bytes):
        reject_arguments([f"Error for argument '{_error_offset(body)}': JSON decode error"])
    if not isinstance(body, dict):
        reject_arguments(["Error for argument 'body': Input should be a valid dictionary"])
    clauses: list[str] = []
    checked: ArgumentValues = {}
    for argument in arguments:
        value = checked[argument.name] = body.get(argument.name)
        if argument.name not in body and argument.required:
            clauses.append(_MISSING)
        elif value is None and not argument.required:  # null means the default, as seen
            checked[argument.name] = argument.default
        elif clause := argument.check(value):
            clauses.append(clause.format(argument.name))
    known = {argument.name for argument in arguments}
    clauses += [
        f"Argument '{name}' is not supported by our API" for name in body if name not in known
    ]
    if clauses:
        reject_arguments(clauses)
    return checked


def reject_arguments(clauses: Sequence[str]) -> NoReturn:
    """Reject a body for these reasons. Seen."""
    raise RejectedRequest(400, _PREAMBLE + "; ".join(clauses))


_LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")
"""Matches possible lone surrogates, escaped or as bytes."""


def parse_json(raw: bytes) -> Any:
    """Return parsed JSON, or the bytes themselves if they are not JSON.

    A text with a lone surrogate does not count as JSON. This is a guess, based on current parsers.
    """
    try:
        parsed = json.loads(raw)
        if _LONE_SURROGATE.search(raw):
            json.dumps(parsed, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return raw
    return parsed


def _error_offset(body: bytes) -> int:
    """Return the position of a JSON error, which FastAPI reports instead of an argument. Seen."""
    try:
        json.loads(body)
    except json.JSONDecodeError as error:
        return error.pos
    except UnicodeDecodeError as error:
        return error.start
    except RecursionError:
        return 0
    surrogate = _LONE_SURROGATE.search(body)
    return surrogate.start() if surrogate else 0


def authenticate(authorization: str | None, keys: Collection[str] | None) -> str:
    """Return the key of an Authorization header; reject others with 401. Seen.

    Without a list of accepted keys, any is accepted that does not contain `invalid`.
    """
    scheme, _, key = (authorization or "").partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not key:
        raise RejectedRequest(401, "Unauthorized")
    if key not in keys if keys is not None else "invalid" in key:
        raise RejectedRequest(401, "Provided API key is invalid.")
    return key


def text(value: Any) -> str | None:
    """Accept a string that is not empty."""
    if not isinstance(value, str):
        return _wrong("Input should be a valid string")
    return None if value else EMPTY


def texts(value: Any) -> str | None:
    """Accept a list of at least one string, none of which is empty. Seen."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return _wrong("Input should be a valid list of strings")
    return None if value and all(value) else EMPTY


def text_or_texts(value: Any) -> str | None:
    """Accept a string, or a list of strings."""
    return text(value) if isinstance(value, str) else texts(value)


def boolean(value: Any) -> str | None:
    """Accept true or false."""
    return None if isinstance(value, bool) else _wrong("Input should be a valid boolean")


def integer(value: Any) -> str | None:
    """Accept an integer."""
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return None if is_integer else _wrong("Input should be a valid integer")


def integer_between(least: int, most: float = math.inf) -> Check:
    """Accept an integer from `least` to `most`."""

    def check(value: Any) -> str | None:
        if clause := integer(value):
            return clause
        if value < least:
            return _wrong(f"Input should be greater than or equal to {least}")
        return None if value <= most else _wrong(f"Input should be less than or equal to {most}")

    return check


def one_of(*accepted: str) -> Check:
    """Accept one of several words. Seen for input_type and encoding_format."""
    named = " or ".join(f"'{word}'" for word in accepted)

    def check(value: Any) -> str | None:
        if value in accepted:
            return None
        escaped = str(value).replace("{", "{{").replace("}", "}}")
        return (
            f"Value '{escaped}' supplied for argument '{{}}' is not valid -- "
            f"accepted values are {named}"
        )

    return check


def _wrong(message: str) -> str:
    return f"Error for argument '{{}}': {message}"


EMPTY = _wrong("Value error, Input cannot contain empty strings or empty lists")

INPUT_TYPE = Argument("input_type", one_of("query", "document"))
TRUNCATION = Argument("truncation", boolean, default=True)
OUTPUT_DIMENSION = Argument("output_dimension", integer)
OUTPUT_DTYPE = Argument(
    "output_dtype", one_of("float", "int8", "uint8", "binary", "ubinary"), default="float"
)
ENCODING_FORMAT = Argument("encoding_format", one_of("base64"))
