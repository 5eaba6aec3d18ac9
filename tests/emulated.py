"""An account of the emulator, with plain HTTP requests for files and batches."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

    from emulator.conftest import Asking

GOOD_LINES = [
    {"custom_id": f"line {number}", "body": {"input": [f"text number {number}"]}}
    for number in range(10)
]
PARAMS = {"model": "voyage-4", "input_type": "document", "output_dimension": 256}


def lines_of(lines: Iterable[object]) -> bytes:
    """An input file."""
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


class Account:
    """A client with a key."""

    def __init__(self, asking: Asking, key: str = "pa-of-nobody") -> None:
        self.asking = asking
        self._headers = {"authorization": f"Bearer {key}"}

    def ask_for(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send any request."""
        url = f"{self.asking.emulator.url}/{path}"
        return self.asking.client.request(method, url, headers=self._headers, **options)

    def get(self, path: str, **query: Any) -> Any:
        """Return the response to a request."""
        answer = self.ask_for("GET", path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: object = None) -> Any:
        """Return the body of a successful response."""
        answer = self.ask_for("POST", path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def upload(self, content: bytes, name: str = "input.jsonl") -> Any:
        """Upload a new file."""
        form = {"data": {"purpose": "batch"}, "files": {"file": (name, content)}}
        answer = self.ask_for("POST", "files", **form)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def order(self, lines: Iterable[object] = GOOD_LINES, **changed: Any) -> dict[str, Any]:
        """The request that creates a batch of these lines."""
        return {
            "endpoint": "/v1/embeddings",
            "input_file_id": self.upload(lines_of(lines))["id"],
            "completion_window": "12h",
            "request_params": PARAMS,
        } | changed

    def create(self, lines: Iterable[object] = GOOD_LINES, **changed: Any) -> Any:
        """Create a new batch."""
        return self.post("batches", self.order(lines, **changed))

    def lines(self, file_id: str) -> list[Any]:
        """Download the lines of a file."""
        content = self.ask_for("GET", f"files/{file_id}/content")
        return [json.loads(line) for line in content.iter_lines()]
