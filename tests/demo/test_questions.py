"""The built-in questions, and those for measuring."""

import sys

from voyage_rag.demo.questions import BUILT_IN_QUESTIONS, Question, labelled_questions


def test_there_are_ten_different_questions() -> None:
    """The promise is about ten questions, each with modules that answer it."""
    assert len({question.text for question in BUILT_IN_QUESTIONS}) == 10
    for question in BUILT_IN_QUESTIONS:
        assert question.text.endswith("?")
        assert question.modules
        assert all(name.split(".")[0] in sys.stdlib_module_names for name in question.modules)


def test_a_module_answers_with_all_that_is_in_it() -> None:
    """A hit counts for the module itself and whatever it holds, not for a longer name."""
    question = Question("How?", ("http.client", "csv"))

    assert question.is_answered_by("csv")
    assert question.is_answered_by("csv.DictReader.fieldnames")
    assert question.is_answered_by("http.client.HTTPConnection")
    assert not question.is_answered_by("http.server")
    assert not question.is_answered_by("csvtools")


def test_a_question_of_ones_own_has_no_right_answer() -> None:
    """Results are not judged without labels."""
    assert not Question("What?").is_answered_by("csv")


def test_the_labelled_questions_are_more_than_a_hundred_and_begin_with_the_demos() -> None:
    """Enough that one question more or less is under one percent."""
    labelled = labelled_questions()

    assert len(labelled) > 100
    assert labelled[:10] == BUILT_IN_QUESTIONS
    assert len({question.text for question in labelled}) == len(labelled)
    assert all(question.text.endswith("?") and question.modules for question in labelled)
