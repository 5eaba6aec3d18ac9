"""Built-in questions about Python's standard library.

They are worded as a person would ask them, and were chosen before anything was measured. Each names
the modules that answer it; a hit is correct if it documents one of them. The demo uses ten;
`labelled_questions` has a hundred more, for notebooks that measure.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and the modules known to answer it.

    Attributes:
        text: The question.
        modules: Modules that answer it; empty for a question of the user's own.
    """

    text: str
    modules: tuple[str, ...] = ()

    def is_answered_by(self, name: str) -> bool:
        """Return whether the object of this dotted name belongs to a right module."""
        return any(name == module or name.startswith(f"{module}.") for module in self.modules)


BUILT_IN_QUESTIONS = (
    Question("How do I parse command line arguments?", ("argparse", "optparse", "getopt")),
    Question("How can I run another program and capture its output?", ("subprocess", "asyncio")),
    Question("How do I create a temporary file that is deleted afterwards?", ("tempfile",)),
    Question("How do I read a CSV file with a header row?", ("csv",)),
    Question("How can I extract all the files from a zip archive?", ("zipfile", "shutil")),
    Question("How do I find the median of a list of numbers?", ("statistics",)),
    Question("How do I turn a Python object into JSON?", ("json",)),
    Question("How do I copy a whole folder with everything in it?", ("shutil",)),
    Question("How do I download a web page?", ("urllib", "http.client")),
    Question("How do I keep a log file from growing forever?", ("logging",)),
)
"""The demo's questions, for at least eight of which the first hit must be right."""


def labelled_questions() -> tuple[Question, ...]:
    """Return more than a hundred questions about the standard library, including those of the demo.

    The others are in `questions.csv`. All were written before any was tried. Two of them, and two
    modules of others, were removed because the demo's text has no docstring for them.
    """
    table = resources.files(__package__).joinpath("questions.csv").read_text("utf-8")
    rows = csv.DictReader(table.splitlines())
    return BUILT_IN_QUESTIONS + tuple(
        Question(row["question"], tuple(row["modules"].split())) for row in rows
    )
