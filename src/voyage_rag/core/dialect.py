"""What a host understands of the API, where hosts differ.

Voyage's platform and MongoDB Atlas speak the same; gateways speak less.
"""

from __future__ import annotations

from dataclasses import dataclass

from voyage_rag.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Dialect:
    """The API as one host speaks it.

    Attributes:
        name: What to call the host in messages.
        fields: Request fields it knows, None for all.
        endpoints: Endpoints it serves, None for all.
        request_inputs: Inputs one request may hold.
        longest_in_list: Characters of a text that may share a request with others, None for any;
            a longer one is sent alone, as a string.
        longest_alone: Characters of a text it takes at all, None for any.
    """

    name: str
    fields: frozenset[str] | None = None
    endpoints: frozenset[str] | None = None
    request_inputs: int = 1_000
    longest_in_list: int | None = None
    longest_alone: int | None = None

    def knows(self, field: str) -> bool:
        """Whether a request may hold this field."""
        return self.fields is None or field in self.fields

    def demand(self, endpoint: str) -> None:
        """Refuse an endpoint the host does not have.

        Raises:
            InvalidInputError: It does not.
        """
        if self.endpoints is not None and endpoint not in self.endpoints:
            raise InvalidInputError(
                f"{self.name} serves {', '.join(sorted(self.endpoints))} only, not {endpoint}: "
                "use a Voyage key and host for it"
            )


VOYAGE = Dialect("the Voyage API")

# aimlapi/api-docs, page "voyage-2": the schema knows input, model and an input_type whose only
# value, "document", is the default; usage may be null. A list may hold texts of 800 characters, a
# lone string 8,000. How long a list may be is not documented; 128 was Voyage's own limit then.
AIMLAPI = Dialect(
    "api.aimlapi.com",
    fields=frozenset({"input", "model"}),
    endpoints=frozenset({"/embeddings"}),
    request_inputs=128,
    longest_in_list=800,
    longest_alone=8_000,
)

_BY_HOST = {"api.aimlapi.com": AIMLAPI}


def dialect_of(host: str) -> Dialect:
    """The dialect of a host, by name."""
    return _BY_HOST.get(host, VOYAGE)
