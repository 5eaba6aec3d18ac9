"""The documentation's pages, and their blocks of code and command lines."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pictures import png

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
GUIDES = sorted((ROOT / "docs").glob("*.md"))

TEXTS = {
    "texts/soup.txt": "Peel the onions. Fry them in butter. Add water and salt",
    "texts/lease.txt": "The tenant pays rent monthly. The landlord repairs the roof",
    "notes/meeting.md": "We decided to sign on Monday.\n\nAnna signed the contract.",
    "answers.txt": "Send an email.\nRead a CSV file.\n",
    "passages.jsonl": '{"id": "a", "text": "Refunds are possible within 30 days."}\n',
    "docs/guide.md": "Install the package.\n\nSet the key.",
    "README.md": "Install the package.\n\nSet the key.",
    "faq.jsonl": '{"question": "Are refunds possible?", "answer": "Within 30 days."}\n',
}
"""The files that the examples use."""


@dataclass(frozen=True)
class Block:
    """A fenced block of code.

    Attributes:
        page: Its file.
        line: Where it begins there.
        language: What is written after the fence.
        remark: The HTML comment on the line before it, if any: `run`, or why it is not.
        code: What is in it.
    """

    page: Path
    line: int
    language: str
    remark: str
    code: str


def blocks(page: Path, language: str) -> list[Block]:
    """The blocks of a page in that language."""
    text = page.read_text("utf-8")
    fenced = re.compile(
        r"(?:^<!-- ([^\n]+?) -->\n)?^```(\w*)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE
    )
    return [
        Block(page, text[: found.start(3)].count("\n") + 1, found[2], found[1] or "", found[3])
        for found in fenced.finditer(text)
        if found[2] == language
    ]


def command_lines(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Every `voyage-rag ...` of the shell blocks of a page, with its arguments."""
    for block in blocks(page, "sh"):
        for line in block.code.replace("\\\n", " ").splitlines():
            for part in line.split(" | "):
                words = shlex.split(part, comments=True)
                if words[:1] == ["voyage-rag"]:
                    yield line, words[1:]


def lay_out(folder: Path) -> None:
    """Write the files that the examples use."""
    for name, text in TEXTS.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    (folder / "pictures").mkdir()
    for colour in ("red", "green", "blue"):
        (folder / "pictures" / f"{colour}.png").write_bytes(png(colour))
