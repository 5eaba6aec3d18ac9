"""Vectors from words."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voyage_rag.emulator import vectors, words

TEXTS = (
    "argparse.ArgumentParser\nObject for parsing command line strings into Python objects.",
    "zipfile.ZipFile.extract\nExtract a member from the archive to the current directory.",
    "random.choice\nChoose a random element from a non-empty sequence.",
    "sqlite3.connect\nOpens a connection to the SQLite database file.",
)
QUESTION = "how do I parse command line arguments?"


def embed(
    *texts: str, family: str = "voyage-4", dimension: int = 1024, input_type: str | None = None
) -> vectors.Floats:
    return vectors.shape(vectors.sketch(texts), texts, family, dimension, input_type)


@given(st.lists(st.text(min_size=1), min_size=1, max_size=3), st.sampled_from([256, 1536, 2048]))
def test_any_text_has_a_unit_vector(texts: list[str], dimension: int) -> None:
    """Symbols, other scripts and lone surrogates included."""
    lengths = np.linalg.norm(embed(*texts, dimension=dimension), axis=1)
    assert lengths == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("dimension", [256, 512, 1024, 2048])
def test_a_question_is_nearest_to_the_text_that_shares_its_words(dimension: int) -> None:
    """At each dimension offered, a prefix of the widest."""
    documents = embed(*TEXTS, dimension=dimension, input_type="document")
    query = embed(QUESTION, dimension=dimension, input_type="query")[0]
    assert np.argmax(documents @ query) == 0


def test_prefixes_keep_angles() -> None:
    """Similarities in 256 dimensions are close to those in 2,048."""
    wide, narrow = embed(*TEXTS, dimension=2048), embed(*TEXTS, dimension=256)
    assert wide @ wide.T == pytest.approx(narrow @ narrow.T, abs=0.2)


def test_other_texts_of_the_request_change_nothing() -> None:
    """A text has one vector."""
    assert np.allclose(embed(*TEXTS)[2], embed(TEXTS[2])[0], atol=1e-6)


@pytest.mark.parametrize("dimension", [256, 512, 1024, 2048])
def test_a_text_as_query_and_as_document_has_a_cosine_of_a_half(dimension: int) -> None:
    """Live it is 0.504; without a type the text is nearer to both than they are to each other."""
    plain, query, document = (
        embed(QUESTION, dimension=dimension, input_type=kind)[0]
        for kind in (None, "query", "document")
    )
    assert query @ document == pytest.approx(0.5, abs=0.06)
    assert 0.6 < plain @ query < 0.8
    assert 0.6 < plain @ document < 0.8


def test_families_share_no_space() -> None:
    """The same text under two model families is as near as two unrelated texts."""
    (one,), (two,) = embed(QUESTION, family="voyage-4"), embed(QUESTION, family="voyage-3.5")
    assert abs(one @ two) < 0.15


def test_another_process_gives_the_same_numbers() -> None:
    """Nothing depends on the seed of Python's own hashes."""
    program = (
        "from voyage_rag.emulator import vectors;"
        f"print(vectors.sketch([{QUESTION!r}])[0, :8].tolist())"
    )
    run = [sys.executable, "-c", program]
    printed = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == str(vectors.sketch([QUESTION])[0, :8].tolist())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("argparse.ArgumentParser", ["argparse", "argument", "parser"]),
        ("max_workers", ["max", "workers"]),
        ("HTTPServer v2", ["http", "server", "v", "2"]),
        ("Straße 中文", ["straße", "中", "文"]),
    ],
)
def test_identifiers_are_split(text: str, expected: list[str]) -> None:
    """At dots, underscores, capitals and digits."""
    assert [word.text for word in words.split_words(text)] == expected


@pytest.mark.parametrize(
    "forms",
    [
        ("parse", "parser", "parsed", "parsing", "parses"),
        ("connect", "connection", "connected", "connections"),
        ("compress", "compressed", "compression"),
        ("serialize", "serialized", "serialization"),
        ("query", "queries"),
        ("run", "running", "runs"),
    ],
)
def test_forms_of_a_word_share_a_stem(forms: tuple[str, ...]) -> None:
    """English endings are taken off."""
    assert len({words.stem(form) for form in forms}) == 1


def test_function_words_have_little_weight() -> None:
    """Function words count least, everyday words less than rare ones."""
    the, number, argparse = words.split_words("the number argparse")
    assert the.weight < number.weight < argparse.weight
