"""What the emulator's tests share: an emulator to ask, and ways to start others."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from voyage_rag.emulator import Emulator

KEY = "pa-of-nobody"


@dataclass
class Asking:
    """An emulator and a client that talks to it."""

    emulator: Emulator
    client: httpx.Client

    def __call__(
        self, path: str, body: object, key: str | None = KEY, **options: Any
    ) -> httpx.Response:
        """Post a body; `key` None sends none."""
        headers = {"authorization": f"Bearer {key}"} if key is not None else {}
        url = f"{self.emulator.url}/{path}"
        if isinstance(body, bytes):
            return self.client.post(url, content=body, headers=headers, **options)
        return self.client.post(url, json=body, headers=headers, **options)

    def detail(self, path: str, body: object, key: str | None = KEY, status: int = 400) -> str:
        """Post a body that must be refused, and return why it was."""
        answer = self(path, body, key)
        assert answer.status_code == status, answer.text[:300]
        return str(answer.json()["detail"])


def _start(exits: ExitStack, **options: Any) -> Asking:
    emulator = Emulator(**options)
    exits.enter_context(emulator)
    # No proxy of the environment stands between; no certificates are loaded for plain HTTP.
    client = exits.enter_context(httpx.Client(trust_env=False, verify=False, timeout=30))
    return Asking(emulator, client)


# Of the module, not of the session: other tests fork, and should find no thread running.
@pytest.fixture(scope="module")
def ask() -> Iterator[Asking]:
    with ExitStack() as exits:
        yield _start(exits)


@pytest.fixture
def emulate() -> Iterator[Callable[..., Asking]]:
    with ExitStack() as exits:
        yield lambda **options: _start(exits, **options)
