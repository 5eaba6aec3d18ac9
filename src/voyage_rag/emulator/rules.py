"""What a request may say, and what it is told when it says otherwise.

The service checks a body before the key, names every fault of the body in one `detail`, and answers
400 where FastAPI would answer 422. Wordings marked "Seen" come from live answers; the others
follow their pattern and are guesses.
"""

import json
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, TypeAlias, TypeVar

Limits = TypeVar("Limits")

Arguments: TypeAlias = dict[str, Any]
"""A checked body: every argument by name, None or its default where it was absent or null."""

_PREAMBLE = (
    "The request body is not valid JSON, or some arguments were not specified properly. "
    "In particular, "
)
_MISSING = "Your request body was missing one or more required arguments."


class Refusal(Exception):  # noqa: N818  (a noun as the service has it, not an emulator's error)
    """The request is answered with an error.

    Attributes:
        status: HTTP status.
        body: What the answer says, `detail` first.
        headers: Sent besides the usual ones.
    """

    def __init__(
        self, status: int, detail: str, *, code: str | None = None, headers: Mapping[str, str] = {}
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.body = {"detail": detail} | ({"error_code": code} if code else {})
        self.headers = headers


class Argument(NamedTuple):
    """One argument of an endpoint."""

    name: str
    check: Callable[[Any], str | None]
    """Return what is wrong with a value that is not null, `{}` standing for the argument's name."""
    required: bool = False
    default: Any = None


def check_arguments(body: Any, arguments: Sequence[Argument]) -> Arguments:
    """Return the arguments of a request body.

    Args:
        body: Parsed JSON, or the bytes of what is not JSON.
        arguments: Those the endpoint knows.

    Raises:
        Refusal: 400, one clause for each missing, wrong or unknown argument. Seen.
    """
    if isinstance(body, bytes):
        refuse_arguments([f"Error for argument '{_find_fault(body)}': JSON decode error"])
    if not isinstance(body, dict):
        refuse_arguments(["Error for argument 'body': Input should be a valid dictionary"])
    clauses: list[str] = []
    checked: Arguments = {}
    for argument in arguments:
        value = checked[argument.name] = body.get(argument.name)
        if argument.name not in body and argument.required:
            clauses.append(_MISSING)
        elif value is None and not argument.required:  # nulls stand for the default, as seen
            checked[argument.name] = argument.default
        elif clause := argument.check(value):
            clauses.append(clause.format(argument.name))
    known = {argument.name for argument in arguments}
    clauses += [
        f"Argument '{name}' is not supported by our API" for name in body if name not in known
    ]
    if clauses:
        refuse_arguments(clauses)
    return checked


def refuse_arguments(clauses: Sequence[str]) -> NoReturn:
    """Refuse a body for the reasons given. Seen."""
    raise Refusal(400, _PREAMBLE + "; ".join(clauses))


_HALF_A_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")
"""Where half a character (a lone surrogate) may stand: escaped, or in bytes."""


def parse(raw: bytes) -> Any:
    """Return JSON parsed, and what is not JSON as it came.

    A text with half a character is no JSON either: a guess, after what JSON parsers of today do.
    """
    try:
        parsed = json.loads(raw)
        if _HALF_A_CHARACTER.search(raw):
            json.dumps(parsed, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return raw
    return parsed


def _find_fault(body: bytes) -> int:
    """Return where a body stops being JSON; FastAPI gives this for an argument's name. Seen."""
    try:
        json.loads(body)
    except json.JSONDecodeError as error:
        return error.pos
    except UnicodeDecodeError as error:
        return error.start
    except RecursionError:
        return 0
    half = _HALF_A_CHARACTER.search(body)
    return half.start() if half else 0


# What a value may be. Each returns a clause, or None when the value will do.


def text(value: Any) -> str | None:
    """A string that is not empty."""
    if not isinstance(value, str):
        return _wrong("Input should be a valid string")
    return None if value else EMPTY


def texts(value: Any) -> str | None:
    """Strings, none empty, at least one. Seen."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return _wrong("Input should be a valid list of strings")
    return None if value and all(value) else EMPTY


def text_or_texts(value: Any) -> str | None:
    """One string, or a list of them."""
    return text(value) if isinstance(value, str) else texts(value)


def flag(value: Any) -> str | None:
    """True or false."""
    return None if isinstance(value, bool) else _wrong("Input should be a valid boolean")


def whole(value: Any) -> str | None:
    """A whole number."""
    proper = isinstance(value, int) and not isinstance(value, bool)
    return None if proper else _wrong("Input should be a valid integer")


def between(least: int, most: float = math.inf) -> Callable[[Any], str | None]:
    """A whole number from `least` to `most`."""

    def check(value: Any) -> str | None:
        if clause := whole(value):
            return clause
        if value < least:
            return _wrong(f"Input should be greater than or equal to {least}")
        return None if value <= most else _wrong(f"Input should be less than or equal to {most}")

    return check


def one_of(*accepted: str) -> Callable[[Any], str | None]:
    """One of a few words. Seen for input_type and encoding_format."""
    named = " or ".join(f"'{word}'" for word in accepted)

    def check(value: Any) -> str | None:
        if value in accepted:
            return None
        return (
            f"Value '{_plain(value)}' supplied for argument '{{}}' is not valid -- "
            f"accepted values are {named}"
        )

    return check


def _wrong(message: str) -> str:
    return f"Error for argument '{{}}': {message}"


def _plain(value: Any) -> str:
    return str(value).replace("{", "{{").replace("}", "}}")


EMPTY = _wrong("Value error, Input cannot contain empty strings or empty lists")

INPUT_TYPE = Argument("input_type", one_of("query", "document"))
TRUNCATION = Argument("truncation", flag, default=True)
OUTPUT_DIMENSION = Argument("output_dimension", whole)
OUTPUT_DTYPE = Argument(
    "output_dtype", one_of("float", "int8", "uint8", "binary", "ubinary"), default="float"
)
ENCODING_FORMAT = Argument("encoding_format", one_of("base64"))


# What a model may be asked. These need the model's limits, so they come after the key.


def authenticate(authorization: str | None, keys: Collection[str] | None) -> str:
    """Return the key of an Authorization header.

    Args:
        authorization: The header, None where there is none.
        keys: The keys accepted; None for any without the word `invalid` in it.

    Raises:
        Refusal: 401. Seen.
    """
    scheme, _, key = (authorization or "").partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not key:
        raise Refusal(401, "Unauthorized")
    if key not in keys if keys is not None else "invalid" in key:
        raise Refusal(401, "Provided API key is invalid.")
    return key


def find_model(name: str, models: Mapping[str, Limits], named: Sequence[str]) -> Limits:
    """Return a model's limits, or refuse and name the `named` models instead. Seen."""
    if name not in models:
        raise Refusal(400, f"Model {name} is not supported. Supported models are {list(named)!r}.")
    return models[name]


def check_batch_size(model: str, size: int, limit: int) -> None:
    """Refuse more than `limit` inputs. Seen."""
    if size > limit:
        refuse(model, f"The batch size limit is {limit}. Your batch size is {size}.")


def check_batch_tokens(model: str, tokens: int, limit: int) -> None:
    """Refuse more than `limit` tokens, with the one error code known. Seen."""
    if tokens > limit:
        refuse(
            model,
            f"The max allowed tokens per submitted batch is {limit}. Your batch has {tokens} "
            "tokens after truncation. Please lower the number of tokens in the batch.",
            code="TOO_MANY_TOKENS_IN_BATCH",
        )


TRUNCATION_HINT = "Please lower the number of tokens in the listed example(s) or use truncation."


def refuse_length(model: str, index: int, context: int, hint: str = TRUNCATION_HINT) -> NoReturn:
    """Refuse an input above the model's context. Seen."""
    refuse(
        model,
        f"The example at index {index} in your batch has too many tokens and does not fit into "
        f"the model's context window of {context} tokens. {hint}",
    )


def refuse(model: str, reason: str, *, code: str | None = None) -> NoReturn:
    """Refuse what a model cannot take. Seen."""
    raise Refusal(400, f"Request to model '{model}' failed. {reason}", code=code)


def refuse_choice(model: str, argument: str, value: object, accepted: Sequence[object]) -> NoReturn:
    """Refuse a dimension or number type the model does not offer. Seen for dimensions."""
    raise Refusal(
        400,
        f"Value '{value}' supplied for argument '{argument}' is not valid -- "
        f"accepted values for '{model}' are {list(accepted)!r}.",
    )
