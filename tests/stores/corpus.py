"""The passages that every store receives, and the one that it has to find."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid5


@dataclass(frozen=True, slots=True)
class Passage:
    """A text with a topic to filter by."""

    text: str
    topic: str

    @property
    def id(self) -> str:
        """Return a UUID, which all stores accept as an id."""
        return str(uuid5(NAMESPACE_URL, self.text))


PASSAGES = [
    Passage("The cat sleeps on the sofa in the living room.", "home"),
    Passage("The washing machine stands in the cellar.", "home"),
    Passage("Rent is due on the first day of the month.", "home"),
    Passage("The spare key hangs behind the door.", "home"),
    Passage("The night train to Lyon leaves at ten.", "travel"),
    Passage("The cat travels in a basket under the train seat.", "travel"),
    Passage("A passport is valid for ten years.", "travel"),
    Passage("The ferry to Crete takes nine hours.", "travel"),
    Passage("Onions are fried in butter until golden.", "kitchen"),
    Passage("Bread dough rests for an hour in a warm place.", "kitchen"),
    Passage("Lentils need no soaking before cooking.", "kitchen"),
    Passage("The knife is sharpened on a wet stone.", "kitchen"),
]

QUERY = "Where does the cat sleep, on the sofa?"
BEST = PASSAGES[0]
OTHER_TOPIC = "travel"
NEXT = PASSAGES[5]
"""The best of the other topic, and of all when the best is gone."""


def numbers_in(dimension: int, dtype: str) -> int:
    """Return the length of a vector: the binary types pack eight dimensions into a number."""
    return dimension // 8 if dtype.endswith("binary") else dimension
