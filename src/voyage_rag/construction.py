"""Wrap constructors: hide the key and check parameter names before anything can fail.

Tools such as Sentry and rich show the local variables of every frame in a traceback, so no frame
may hold a key as plain text.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from functools import wraps
from inspect import Parameter, Signature, get_annotations, signature
from itertools import takewhile
from types import SimpleNamespace
from typing import Any, ParamSpec, TypeVar, cast, get_type_hints

from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from voyage_rag.errors import ConfigurationError, VoyageError
from voyage_rag.secret import APIKey, as_key, hidden
from voyage_rag.suggestions import unknown_parameter

KEY_NAMES = ("voyage_api_key", "api_key")

P = ParamSpec("P")
T = TypeVar("T")


class UnknownParameterError(TypeError):
    """A parameter that a constructor does not have."""


def constructor(init: Callable[P, T]) -> Callable[P, T]:
    """Decorate an `__init__` that accepts a key.

    The `__init__` receives the key as an `APIKey`. An unknown parameter raises an error that
    suggests the closest name: a `ValidationError` for a pydantic model, otherwise a `TypeError`.
    A subclass of a pydantic model can declare other defaults for its fields. Errors that
    this package raises have no cause, and their traceback ends at the constructor.
    """
    parameters = list(signature(init).parameters.values())
    key_positions = [at for at, p in enumerate(parameters) if p.name in KEY_NAMES]
    takes_others = any(p.kind is Parameter.VAR_KEYWORD for p in parameters)
    named = [p for p in parameters[1:] if p.kind is not Parameter.VAR_KEYWORD]

    @wraps(init)
    def construct(*args: Any, **kwargs: Any) -> Any:
        owner, values = type(args[0]), list(args)
        try:
            _hide_keys(values, kwargs, [at for at in key_positions if at < len(values)])
            args = ()  # it contains the key as plain text
            is_model = issubclass(owner, BaseModel)
            if is_model or not takes_others:
                _check_names(owner, kwargs, [*(p.name for p in named), *_field_names(owner)])
            if is_model:
                by_position = {p.name for p in named[: len(values) - 1]}
                left = [p for p in named if p.name not in by_position | kwargs.keys()]
                kwargs |= _redeclared(owner, construct, [p.name for p in left])
                _check_present(owner, left, kwargs)
            return init(*values, **kwargs)
        except (VoyageError, ValidationError, UnknownParameterError) as error:
            problem = error.with_traceback(None)
            problem.__cause__ = problem.__context__ = None
        args, kwargs, values = (), {}, []  # they may contain a malformed key
        raise problem

    return cast("Callable[P, T]", construct)


def _hide_keys(values: list[Any], kwargs: dict[str, Any], positions: Sequence[int]) -> None:
    """Replace the keys among the arguments by `APIKey` objects, and check them."""
    names = [name for name in KEY_NAMES if name in kwargs]
    _hide(values, positions)
    _hide(kwargs, names)
    _check_same([values[at] for at in positions] + [kwargs[name] for name in names])


def _hide(values: Any, places: Iterable[Any]) -> None:
    for place in places:
        values[place] = hidden(values[place])
        if values[place] is not None:
            as_key(values[place])


def _check_same(keys: Iterable[APIKey | None]) -> None:
    """Refuse two keys of which one would be ignored."""
    if len({key.fingerprint for key in keys if key is not None}) > 1:
        raise ConfigurationError(f"{' and '.join(KEY_NAMES)} are different keys: pass one of them")


def _check_names(owner: type, given: Iterable[str], known: list[str]) -> None:
    for name in given:
        if name in known:
            continue
        message = unknown_parameter(name, dict.fromkeys(known))
        if not issubclass(owner, BaseModel):
            raise UnknownParameterError(f"{owner.__name__}: {message}")
        error = PydanticCustomError("unknown_parameter", "{message}", {"message": message})
        raise ValidationError.from_exception_data(
            owner.__name__, [{"type": error, "loc": (name,), "input": None}], hide_input=True
        )


def without_validators(shown: Signature) -> Signature:
    """Return a signature for `help` and notebooks, whose types do not contain validators."""
    parameters = [
        parameter
        if isinstance(parameter.annotation, str)
        else parameter.replace(
            annotation=get_type_hints(
                SimpleNamespace(__annotations__={"type": parameter.annotation})
            )["type"]
        )
        for parameter in shown.parameters.values()
    ]
    return shown.replace(parameters=parameters)


def _redeclared(
    owner: type[BaseModel], init: Callable[..., Any], names: Iterable[str]
) -> dict[str, Any]:
    """Return the defaults of fields that subclasses of the class with this `__init__` declare."""
    subclasses = takewhile(lambda one: vars(one).get("__init__") is not init, owner.__mro__)
    declared = {name for one in subclasses for name in get_annotations(one)}.intersection(names)
    return {
        name: field.get_default(call_default_factory=True, validated_data={})
        for name, field in owner.model_fields.items()
        if name in declared and not field.is_required()
    }


def _check_present(owner: type, parameters: Iterable[Parameter], given: Container[str]) -> None:
    """Raise an error for a missing parameter, as pydantic does."""
    for parameter in parameters:
        if parameter.default is Parameter.empty and parameter.name not in given:
            raise ValidationError.from_exception_data(
                owner.__name__,
                [{"type": "missing", "loc": (parameter.name,), "input": None}],
                hide_input=True,
            )


def _field_names(owner: type) -> Iterable[str]:
    """Return the names that a pydantic model accepts for its fields."""
    if not issubclass(owner, BaseModel):
        return
    for name, field in owner.model_fields.items():
        yield name
        alias = field.validation_alias or field.alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
        yield from (choice for choice in choices if isinstance(choice, str))
