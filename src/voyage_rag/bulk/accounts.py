"""What a job has cost, part by part: a line for each, added when the part is written."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Spent:
    """A cost.

    Attributes:
        tokens: Tokens billed.
        requests: Requests that were answered.
    """

    tokens: int = 0
    requests: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.tokens + other.tokens, self.requests + other.requests)


class Accounts:
    """The costs of parts that are written.

    Args:
        path: The file; made when the first part is written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._parts: dict[int, Spent] = {}
        self._lock = threading.Lock()
        if path.exists():
            for line in path.read_text("utf-8").splitlines():
                number, tokens, requests = json.loads(line)
                self._parts[number] = Spent(tokens, requests)

    @property
    def parts(self) -> set[int]:
        """Those that are written."""
        return set(self._parts)

    @property
    def spent(self) -> Spent:
        """Of all parts."""
        return sum(self._parts.values(), Spent())

    def add(self, number: int, spent: Spent) -> None:
        """A part is written; once more changes nothing."""
        with self._lock:
            if number in self._parts:
                return
            self._parts[number] = spent
            line = json.dumps([number, spent.tokens, spent.requests]) + "\n"
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(file, line.encode())
            finally:
                os.close(file)
