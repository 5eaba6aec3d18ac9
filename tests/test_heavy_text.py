"""Text of which a token has fewer characters than the client expects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes import KEY
from voyage_rag import Voyage
from voyage_rag.emulator import Emulator

if TYPE_CHECKING:
    from conftest import Runner

CLAUSE = (
    "Cláusula {n}ª – Das obrigações: o locatário não poderá ceder nem transferir o imóvel "
    "(art. 13, § 1º, da Lei nº 8.245/91), sob pena de rescisão e multa de R$ {n}.000,00. "
)
LETTER = "Орендар не має права передавати приміщення третім особам без згоди орендодавця. "


@pytest.mark.parametrize(
    ("text", "characters_per_token"), [(CLAUSE, 1.53), (LETTER + CLAUSE, 1.66)]
)
def test_text_with_many_tokens_is_embedded_completely_and_billed_once(
    text: str, characters_per_token: float, runner: Runner
) -> None:
    """Requests above the limit are split; every text has a vector, rejected ones cost nothing."""
    texts = [text.format(n=number) * 10 for number in range(300)]
    emulator = Emulator(characters_per_token=characters_per_token)
    with emulator as url:
        voyage = Voyage(KEY, base_url=url)
        found = runner.call(
            voyage, "embed", texts, model="voyage-4-large", input_type="document",
            output_dimension=256,
        )  # fmt: skip
    assert len(found.embeddings) == len(texts)
    accepted = [request for request in emulator.requests if request.status == 200]
    assert sum(len(request.body["input"]) for request in accepted) == len(texts)
    assert found.total_tokens == sum(request.tokens or 0 for request in accepted)
    assert len(emulator.requests) - len(accepted) <= len(accepted)
