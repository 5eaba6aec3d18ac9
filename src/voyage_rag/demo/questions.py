"""Built-in questions about Python's standard library.

They are worded as a person would ask them, and were chosen before any search. Each one lists the
modules that answer it; a hit is correct if it documents one of them. The demo uses ten of them;
`labelled_questions` adds a hundred for evaluations.
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
        modules: Modules that answer it; empty for a question of the user.
    """

    text: str
    modules: tuple[str, ...] = ()

    def is_answered_by(self, name: str) -> bool:
        """Return whether the object with this dotted name belongs to one of the modules."""
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
"""The questions of the demo. A test requires a correct first hit for at least eight of them."""


def labelled_questions() -> tuple[Question, ...]:
    """Return more than a hundred questions about the standard library, including those of the demo.

    The others are in `questions.csv`. They were written before any search. Two of them, and two
    modules of others, were removed because the text of the demo has no docstring for them.
    """
    table = resources.files(__package__).joinpath("questions.csv").read_text("utf-8")
    rows = csv.DictReader(table.splitlines())
    return BUILT_IN_QUESTIONS + tuple(
        Question(row["question"], tuple(row["modules"].split())) for row in rows
    )
