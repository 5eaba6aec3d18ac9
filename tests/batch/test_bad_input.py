"""Invalid jobs are rejected by name, and nothing is uploaded, billed or left behind."""

from __future__ import annotations

import json
from typing import Any

import pytest

from batch.conftest import OPTIONS, World
from fakes import KEY, FakeService, voyage_over
from voyage_rag import InvalidInputError, Voyage
from voyage_rag.batch import BatchJob, BatchLimits

CHUNKS = {"model": "voyage-context-4"}
PAIRS = {"model": "rerank-3", "input_type": None, "output_dimension": None}

BAD_INPUTS: list[tuple[dict[str, Any], Any, str]] = [
    ({}, [], "there are no inputs"),
    ({}, "one string", "not one string"),
    ({}, None, "inputs must be"),
    ({}, ["a", ""], r"inputs\[1\] is empty"),
    ({}, ["a", None], r"inputs\[1\] must be a string, not NoneType"),
    ({}, ["a", 7], r"inputs\[1\] must be a string, not int"),
    ({}, ["a", ["b"]], r"inputs\[1\] must be a string, not list"),
    ({}, ["a", "\ud800"], r"inputs\[1\] contains a lone surrogate"),
    ({}, ["a", "x" * 2**23], r"inputs\[1\] is a line of 8,388,\d+ bytes, more than the 8,388,608"),
    (CHUNKS, [["a"], []], r"the chunks of inputs\[1\] must be a list of strings, not an empty"),
    (CHUNKS, [["a"], ["b", ""]], r"chunks\[1\] of inputs\[1\] is empty"),
    (CHUNKS, [["a"], 7], r"the chunks of inputs\[1\] must be a list of strings, not int"),
    (CHUNKS, [["a"] * 16_001], r"inputs\[0\] has 16001 chunks"),
    (PAIRS, ["ab"], r"inputs\[0\] must be a pair of a query and its documents, not str"),
    (PAIRS, [("q", ["d"]), ("q",)], r"inputs\[1\] must be a pair"),
    (PAIRS, [("", ["d"])], r"the query of inputs\[0\] is empty"),
    (PAIRS, [("q", [])], r"the documents of inputs\[0\] must be a list of strings, not an empty"),
    (PAIRS, [("q", "d")], r"the documents of inputs\[0\] must be a list of strings, not str"),
    (PAIRS, [("q", ["d", ""])], r"documents\[1\] of inputs\[0\] is empty"),
    (PAIRS, [("q", ["d"] * 1_001)], r"inputs\[0\] has 1001 documents"),
    (
        {"custom_ids": ["x", "y", "x"]},
        ["a", "b", "c"],
        r"custom_ids\[0\] and custom_ids\[2\] are both 'x'",
    ),
    ({"custom_ids": ["x"]}, ["a", "b"], r"inputs\[1\] has no custom_id"),
    ({"custom_ids": ["x", "y", "z"]}, ["a", "b"], "more custom_ids than inputs"),
    ({"custom_ids": ["x", ""]}, ["a", "b"], r"custom_ids\[1\] must have 1 to 512 characters"),
    ({"custom_ids": ["x", 7]}, ["a", "b"], r"custom_ids\[1\] must be a string"),
    ({"custom_ids": ["x" * 513]}, ["a"], r"custom_ids\[0\] must have"),
    ({"model": ""}, ["a"], "model must be"),
    ({"model": None}, ["a"], "model must be"),
    ({"output_dimension": 3}, ["a"], "output_dimension=3"),
    ({"output_dtype": "int4"}, ["a"], "output_dtype must be"),
    ({"input_type": "passage"}, ["a"], "input_type must be"),
    ({"truncation": None}, ["a"], "truncation must be"),
    ({"top_k": 3}, ["a"], "'voyage-4' does not support top_k"),
    (CHUNKS | {"truncation": False}, [["a"]], "does not truncate"),
    (PAIRS | {"input_type": "query"}, [("q", ["d"])], "'rerank-3' does not support input_type"),
    (PAIRS | {"top_k": 0}, [("q", ["d"])], "top_k must be"),
    ({"limits": BatchLimits(inputs=0)}, ["a"], r"limits\.inputs must be"),
]


@pytest.mark.parametrize(("options", "inputs", "named"), BAD_INPUTS)
def test_a_bad_input_is_refused_before_anything_is_sent(
    world: World, options: dict[str, Any], inputs: Any, named: str
) -> None:
    """The error names its position. Nothing was sent or written."""
    service = FakeService()
    world.voyage = voyage_over(service)

    async def program() -> None:
        with pytest.raises(InvalidInputError, match=named):
            await world.submit(inputs, **options)

    world.runner.run(program)
    assert service.attempts == []
    assert world.left() == []


def test_the_position_is_in_the_error(begun: World) -> None:
    """As an attribute, for programs."""

    async def program() -> None:
        with pytest.raises(InvalidInputError) as caught:
            await begun.submit(["a", "b", ""])
        assert caught.value.indices == (2,)

    begun.runner.run(program)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"inputs": ["a", "c"]}, "was submitted with other inputs"),
        ({"inputs": ["a", "b", "c"]}, "was submitted with other inputs"),
        ({"model": "voyage-4-lite"}, "params model='voyage-4', not 'voyage-4-lite'"),
        ({"input_type": "query"}, "params input_type='document', not 'query'"),
        ({"output_dtype": "int8"}, "params output_dtype=None, not 'int8'"),
        ({"model": "voyage-context-4", "inputs": [["a"]]}, "with endpoint '/v1/embeddings'"),
        ({"limits": BatchLimits(inputs=1)}, "limits inputs=100000, not 1"),
    ],
)
def test_a_file_of_another_job_is_left_alone(
    begun: World, changed: dict[str, Any], named: str
) -> None:
    """The error names the difference, and the job continues."""

    async def program() -> None:
        await begun.submit(["a", "b"])
        before, asked = begun.path.read_bytes(), len(begun.emulator.requests)
        options = OPTIONS | changed
        with pytest.raises(InvalidInputError, match=named):
            await begun.submit(options.pop("inputs", ["a", "b"]), **options)
        assert begun.path.read_bytes() == before
        assert len(begun.emulator.requests) == asked
        assert begun.left() == ["corpus.job"]
        assert (await begun.ask(begun.opened(), "wait")).completed == 2

    begun.runner.run(program)


def test_a_job_is_at_its_host(begun: World) -> None:
    """Another host does not know its batches."""

    async def program() -> None:
        await begun.submit(["a"])
        elsewhere = Voyage(KEY)
        with pytest.raises(
            InvalidInputError, match=r"was submitted to 127.0.0.1, not to api.voyageai.com"
        ):
            BatchJob.open(elsewhere, begun.path)

    begun.runner.run(program)


def test_a_file_that_is_no_job_is_left_alone(begun: World) -> None:
    """Nothing is overwritten."""

    async def program(content: str, named: str) -> None:
        begun.path.write_text(content)
        with pytest.raises(InvalidInputError, match=named):
            await begun.submit(["a"])
        with pytest.raises(InvalidInputError, match=named):
            begun.opened()
        assert begun.path.read_text() == content

    job = {"format": "voyage-rag batch job", "version": 1}
    for content, named in (
        ("my thesis", "is not the state file of a job"),
        ("[]", "is not the state file of a job"),
        ('{"format": "something"}', "is not the state file of a job"),
        (
            json.dumps(job | {"version": 2}),
            "has format version 2, but this release of voyage-rag reads version 1",
        ),
        (json.dumps(job), "is damaged at"),
    ):
        begun.runner.run(lambda content=content, named=named: program(content, named))
    assert begun.emulator.requests == []


def test_a_job_that_is_not_there(begun: World) -> None:
    """The file does not exist, or cannot be created."""
    with pytest.raises(InvalidInputError, match="cannot read the job"):
        begun.opened()

    async def program() -> None:
        begun.path = begun.path.parent / "no" / "such" / "folder"
        with pytest.raises(InvalidInputError, match="does not exist: create it"):
            await begun.submit(["a"])

    begun.runner.run(program)
    assert begun.emulator.requests == []


def test_two_processes_do_not_work_on_one_job(begun: World) -> None:
    """The second one is rejected. Reading the state is allowed."""

    async def program() -> None:
        job = await begun.submit(["a"])
        with job._file.locked():
            for verb in ("wait", "cancel", "resubmit"):
                with pytest.raises(
                    InvalidInputError, match="another process is working on the job"
                ):
                    await begun.ask(begun.opened(), verb)
            with pytest.raises(InvalidInputError, match="another process is working on the job"):
                await begun.submit(["a"])
            assert (await begun.ask(begun.opened(), "status")).state == "running"
        assert (await begun.ask(begun.opened(), "wait")).state == "ended"
        assert begun.left() == ["corpus.job"]

    begun.runner.run(program)
