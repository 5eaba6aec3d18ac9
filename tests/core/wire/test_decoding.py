"""Embeddings of all number types, as base64 and as lists, valid and invalid."""

from __future__ import annotations

import base64
import math
import struct
import sys
from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import base64_of
from voyage_rag.core.wire import responses
from voyage_rag.core.wire.responses import decode
from voyage_rag.errors import UnexpectedAnswerError
from voyage_rag.models import ALL_DTYPES, OutputDtype
from voyage_rag.types import TYPECODES

INTEGERS: dict[OutputDtype, tuple[str, int, int]] = {
    "int8": ("b", -128, 127),
    "uint8": ("B", 0, 255),
    "binary": ("b", -128, 127),
    "ubinary": ("B", 0, 255),
}

float32s = st.floats(-(2.0**64), 2.0**64, width=32)


@given(st.lists(float32s))
def test_floats_come_back_as_they_were_sent(numbers: list[float]) -> None:
    """base64 of little-endian float32 is read exactly, and a list likewise."""
    assert numbers == decode(base64_of(numbers), "float").tolist()
    assert numbers == decode(numbers, "float").tolist()


@pytest.mark.parametrize("dtype", INTEGERS)
@given(data=st.data())
def test_integers_come_back_as_they_were_sent(dtype: OutputDtype, data: st.DataObject) -> None:
    """Every value of the type is read exactly, from base64 and from a list."""
    code, least, most = INTEGERS[dtype]
    numbers = data.draw(st.lists(st.integers(least, most)))

    assert numbers == decode(base64_of(numbers, code), dtype).tolist()
    assert numbers == decode(numbers, dtype).tolist()


def test_binary_is_offset_by_128() -> None:
    """The bits 0100 1101 are 77 as ubinary and −51 as binary (docs: "Quantization")."""
    bits = 0b0100_1101

    assert decode(base64.b64encode(bytes([bits])).decode(), "ubinary").tolist() == [77]
    assert decode(base64_of([bits - 128], "b"), "binary").tolist() == [-51]


@pytest.mark.parametrize("dtype", ALL_DTYPES)
def test_a_vector_takes_no_more_memory_than_its_numbers(dtype: OutputDtype) -> None:
    """`array` reserves 6 % for growth if it reads bytes."""
    code = TYPECODES[dtype]
    numbers = array(code, [1]) * 1_024

    assert sys.getsizeof(decode(base64_of(numbers.tolist(), code), dtype)) == sys.getsizeof(numbers)


def test_a_float_list_may_hold_whole_numbers() -> None:
    """JSON writes 1.0 as 1 now and then."""
    assert decode([1, 0.5], "float").tolist() == [1.0, 0.5]


@pytest.mark.parametrize(
    "number", [math.nan, math.inf, -math.inf, 3.4e38, -3.4e38, 1.8e38], ids=str
)
@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_number_that_is_not_finite_is_refused(number: float, position: int) -> None:
    """NaN, infinities and what is as large as a broken float wherever they stand."""
    numbers = [0.5, -0.5, 0.25]
    numbers[position] = number

    for embedding in (numbers, base64_of(numbers)):
        with pytest.raises(UnexpectedAnswerError, match="not finite"):
            decode(embedding, "float")


def test_every_kind_of_nan_is_refused() -> None:
    """Signalling and negative NaNs too."""
    for bits in (0x7F800001, 0x7FC00000, 0xFF800001, 0xFFFFFFFF):
        sent = base64.b64encode(struct.pack("<I", bits)).decode()
        with pytest.raises(UnexpectedAnswerError):
            decode(sent, "float")


UNSOUND: list[tuple[OutputDtype, Any]] = [
    ("float", None),
    ("float", 7),
    ("float", {"0": 1.0}),
    ("float", b"AAAA"),
    ("float", True),
    ("float", "not base64!"),
    ("float", "AAAA\nAAAA"),
    ("float", "AAA"),
    ("float", "===="),
    ("float", "é"),
    ("float", base64.b64encode(b"\0" * 5).decode()),
    ("float", [None]),
    ("float", ["0.5"]),
    ("float", [[0.5]]),
    ("float", [10**400]),
    ("int8", [128]),
    ("int8", [-129]),
    ("int8", [0.5]),
    ("int8", ["1"]),
    ("uint8", [256]),
    ("uint8", [-1]),
    ("binary", [200]),
    ("ubinary", [-51]),
    ("ubinary", [10**30]),
]


@pytest.mark.parametrize(("dtype", "embedding"), UNSOUND, ids=repr)
def test_what_is_no_embedding_of_the_type_is_refused(dtype: OutputDtype, embedding: Any) -> None:
    """Another type, broken base64, half a float, a number out of range."""
    with pytest.raises(UnexpectedAnswerError):
        decode(embedding, dtype)


@pytest.mark.parametrize("dtype", ALL_DTYPES)
@given(embedding=st.text() | st.lists(st.integers() | st.floats() | st.none() | st.text()))
def test_any_response_is_a_valid_vector_or_refused(dtype: OutputDtype, embedding: Any) -> None:
    """No other error occurs."""
    try:
        vector = decode(embedding, dtype)
    except UnexpectedAnswerError:
        return
    assert all(math.isfinite(number) for number in vector)


def test_a_big_endian_machine_reads_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """There the bytes of the wire are swapped."""
    monkeypatch.setattr(responses, "BIG_ENDIAN", True)
    foreign = ">" if sys.byteorder == "little" else "<"
    swapped = base64.b64encode(struct.pack(f"{foreign}2f", 1.0, -0.5)).decode()

    assert decode(swapped, "float").tolist() == [1.0, -0.5]
