"""The tree of errors is as documented, and all errors can be pickled."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from array import array

import pytest

from voyage_rag import errors
from voyage_rag.errors import Timeout, VoyageError
from voyage_rag.partial import PartialEmbeddings
from voyage_rag.usage import Usage

CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, Exception)
}
LEAF = re.compile(r"^    (?P<stem>[│ ]*)(?:[├└]── )?(?P<name>[A-Z]\w+)\b", re.MULTILINE)


def drawn() -> dict[str, str | None]:
    """The parent of each class, as the docstring of the module draws it."""
    parents: dict[str, str | None] = {}
    above: dict[int, str] = {}
    picture = (errors.__doc__ or "").split("\n\n")[1]
    for line in picture.splitlines():
        found = LEAF.match(line)
        assert found, line
        depth = 0 if "── " not in line else 1 + len(found["stem"]) // 4
        parents[found["name"]] = above.get(depth - 1)
        above[depth] = found["name"]
    return parents


def test_the_tree_is_the_one_that_is_drawn() -> None:
    """Every class is in the diagram, below its parent."""
    first_bases = {name: value.__bases__[0].__name__ for name, value in CLASSES.items()}

    assert {**first_bases, "VoyageError": None} == drawn()


def test_errors_are_also_what_python_calls_them() -> None:
    """A bad argument is a ValueError, a timeout a TimeoutError."""
    assert sorted(name for name, value in CLASSES.items() if issubclass(value, ValueError)) == [
        "ConfigurationError",
        "InvalidInputError",
    ]
    assert [Timeout] == [value for value in CLASSES.values() if issubclass(value, TimeoutError)]


@pytest.mark.parametrize("name", CLASSES)
def test_an_error_survives_pickling_and_copying(name: str) -> None:
    """With every attribute, since ingestion runs in worker processes."""
    error = CLASSES[name](
        "it broke",
        attempts=3,
        model="voyage-4",
        http_status=429,
        request_id="abc",
        indices=(4, 5),
        retry_after=7.5,
    )
    error.partial = PartialEmbeddings({0: array("f", [1.0])}, (1,), Usage(2, 1), "voyage-4")
    error.add_note("seen in worker 3")

    for copied in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(error) is type(copied)
        assert vars(error) == vars(copied)
        assert str(error) == str(copied)
        assert error.args == copied.args


@pytest.mark.parametrize("name", CLASSES)
def test_an_error_needs_no_arguments(name: str) -> None:
    """Nothing is known then, and it can be printed."""
    error = CLASSES[name]()
    known = (error.attempts, error.model, error.http_status, error.request_id, error.partial)

    assert known == (0, None, None, None, None)
    assert (str(error), error.indices, error.retry_after) == ("", (), None)


@pytest.mark.parametrize(
    ("facts", "expected_message"),
    [
        ({}, "it broke"),
        ({"model": "voyage-4"}, "it broke [model 'voyage-4']"),
        ({"indices": (4,)}, "it broke [input 4]"),
        ({"indices": (4, 5, 6)}, "it broke [inputs 4 to 6]"),
        ({"http_status": 503, "request_id": "abc"}, "it broke [HTTP 503, request abc]"),
        ({"attempts": 1}, "it broke"),
        ({"attempts": 7}, "it broke [7 attempts]"),
    ],
)
def test_an_error_has_the_details_of_the_response(facts: dict, expected_message: str) -> None:
    """After the message, which stands alone under the vendor's name."""
    error = VoyageError("it broke", **facts)

    assert expected_message == str(error)
    assert error.user_message == error.message == "it broke"


def test_every_class_says_what_it_means() -> None:
    """In a docstring of its own."""
    assert not [name for name, value in CLASSES.items() if not vars(value).get("__doc__")]
