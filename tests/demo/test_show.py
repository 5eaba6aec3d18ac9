"""How a run looks."""

import shlex
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from voyage_rag.demo.corpus import Passage
from voyage_rag.demo.questions import Question
from voyage_rag.demo.report import DemoReport, Hit, QuestionResults, SearchResult
from voyage_rag.demo.show import show_heading, show_plan, show_report, show_results

MakeReport = Callable[..., DemoReport]


def shown(report: DemoReport, width: int = 100, *, terminal: bool = False) -> str:
    out = StringIO()
    console = Console(file=out, width=width, force_terminal=terminal, highlight=False)
    show_plan(console, report.plan)
    show_heading(console, report.plan)
    for number, results in enumerate(report.questions, start=1):
        show_results(console, number, results)
    show_report(console, report)
    return out.getvalue()


def unwrapped(text: str) -> str:
    return " ".join(text.split())


def test_the_emulator_says_what_it_is(make_report: MakeReport) -> None:
    """No user takes its vectors for Voyage's, or believes that they cost money."""
    text = unwrapped(shown(make_report()))

    assert text.startswith("These are not Voyage's vectors.")
    assert "nothing is billed" in text
    assert "It would cost $0.0300 at list price, based on the token counts of the emulator." in text


def test_the_live_service_says_what_it_will_use(make_report: MakeReport) -> None:
    """Address, tokens and price stand there before the first request."""
    text = unwrapped(shown(make_report(emulated=False)))

    assert text.startswith("Using the live service at https://api.voyageai.com/v1 with your key.")
    assert "about 1,000,000 tokens, $0.0200 at list price" in text
    assert "It cost $0.0300 at list price" in text
    assert "emulator" not in text


def test_an_unknown_price_is_shown_as_unknown(make_report: MakeReport) -> None:
    """For a model that is not in the catalogue."""
    text = unwrapped(shown(make_report(model="voyage-9")))

    assert "It would cost an unknown price" in text
    assert "passages voyage-9 3 1,000,000 not known" in text


def test_both_frameworks_share_a_table(make_report: MakeReport) -> None:
    """A passage stands once, with the score of each framework and a mark where it is right."""
    lines = shown(make_report()).splitlines()
    heading = next(number for number, line in enumerate(lines) if "LlamaIndex" in line)
    table = [" ".join(line.split()) for line in lines[heading : heading + 6]]

    assert table[:5] == [
        "LangChain LlamaIndex passage (✓ answers the question)",
        "",
        "1 How do I read [rows]?",
        "✓ 0.875 0.625 csv.reader Read rows [of a :file:].",
        "0.500 – sorted Return a new list.",
    ]
    assert table[5].startswith("– 0.750 a.a.")


def test_the_columns_are_as_wide_for_every_line(make_report: MakeReport) -> None:
    """A long name loses its middle and a long text its end, and no line is wrapped."""
    for width in (80, 100, 120):
        lines = shown(make_report(), width).splitlines()
        table = [line for line in lines if "0.500" in line or "0.750" in line or "0.875" in line]
        starts = {
            line.index(gist) for line, gist in zip(table, ("Read", "Return", "many"), strict=True)
        }

        assert len(starts) == 1
        assert all(len(line) <= width for line in lines)
        assert table[2].endswith("…")
        assert "zz  many" in table[2]


@pytest.mark.parametrize("width", [30, 40, 60, 80])
def test_a_narrow_terminal_wraps_only_paragraphs(make_report: MakeReport, width: int) -> None:
    """No row of a table continues on the next line, and no name loses its end."""
    text = shown(make_report(), width)
    lines = text.partition("\nAsk your own question:")[0].splitlines()

    assert max(map(len, lines)) <= width
    assert [line for line in lines if line.startswith("voyage")] == []
    assert "total 7 1,500,010 $0.0300" in unwrapped(text) or (
        "total requests: 7, tokens: 1,500,010, price: $0.0300" in unwrapped(text)
    )
    for name, score in (("reader", "0.875"), ("sorted", "0.500"), ("zz", "0.750")):
        (row,) = [line for line in lines if score in line]
        assert name in row or width < 40


def test_the_next_steps_can_be_run_where_they_are_shown(
    make_report: MakeReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text to search exists, with or without a README, and the question suits it."""
    monkeypatch.chdir(tmp_path)
    for searched, question in (("json", "numbers"), ("README.md", "install")):
        if searched == "README.md":
            Path(searched).touch()
        (step,) = [line for line in shown(make_report(), 200).splitlines() if "--files" in line]
        *_, asked, option, path = shlex.split(step)
        assert option == "--files"
        assert Path(path).exists()
        assert Path(path).name == searched
        assert question in asked


def test_a_heading_is_shown_with_what_stands_below_it(make_report: MakeReport) -> None:
    """A file's passage often begins with one, which says little."""
    text = "march.md\n# Meeting\n\nMarch\n\nWe launch\non Monday.\n\nAnna signs."
    answers = (SearchResult((Hit(Passage("march.md:1", text, "march.md", 1), 0.5),), 0.1),) * 2
    report = replace(make_report(), questions=(QuestionResults(Question("When?"), answers),))

    assert "  Meeting · March · We launch on Monday.\n" in shown(report, width=140)


def test_text_cannot_send_escape_sequences_to_the_terminal(make_report: MakeReport) -> None:
    """An escape sequence in a searched file is replaced."""
    passage = Passage("a\x1b[2J.md:1", "a.md\nred \x1b[31malert", "a.md", 1)
    answers = (SearchResult((Hit(passage, 0.5),), 0.1),) * 2
    report = replace(make_report(), questions=(QuestionResults(Question("What?"), answers),))

    assert "\x1b" not in shown(report)
    assert "a·[2J.md:1" in shown(report)
    assert "red ·[31malert" in shown(report)


def test_first_hits_are_counted_for_each_framework(make_report: MakeReport) -> None:
    """The promise is printed framework by framework."""
    text = shown(make_report())

    assert "LangChain   correct first hit for 1 of 1 built-in questions, after reranking" in text
    assert "LlamaIndex  correct first hit for 0 of 1 built-in questions, after reranking" in text


def test_questions_of_ones_own_are_not_judged(make_report: MakeReport) -> None:
    """Without known answers there are no marks and no count."""
    text = shown(make_report(modules=()))

    assert "✓" not in text
    assert "correct first hit" not in text


def test_cost_and_durations_are_shown(make_report: MakeReport) -> None:
    """Requests, tokens and dollars by purpose; seconds by stage and question."""
    lines = [line.split() for line in shown(make_report()).splitlines()]

    assert ["passages", "voyage-4-lite", "3", "1,000,000", "$0.0200"] in lines
    assert ["questions", "voyage-4-lite", "2", "10", "<$0.0001"] in lines
    assert ["reranking", "rerank-3-lite", "2", "500,000", "$0.0100"] in lines
    assert ["total", "7", "1,500,010", "$0.0300"] in lines
    assert (
        "Took 4.0 s: reading 1.0 s, embedding 2.0 s (per question LangChain 100 ms, "
        "LlamaIndex 300 ms)."
    ) in unwrapped(shown(make_report()))


def test_a_pipe_gets_plain_text(make_report: MakeReport) -> None:
    """No escape sequence and no trailing blank reaches a file; a terminal gets colour."""
    plain = shown(make_report(), 90)

    assert "\x1b" not in plain
    assert all(line == line.rstrip() for line in plain.splitlines())
    assert "\x1b[" in shown(make_report(), 200, terminal=True)


@pytest.mark.parametrize("emulated", [True, False])
def test_the_key_is_never_shown(make_report: MakeReport, emulated: bool) -> None:
    """Neither the screen nor the JSON nor a repr holds it."""
    report = make_report(emulated=emulated)

    assert "secret" not in shown(report) + str(report.as_json()) + repr(report)


def test_the_json_tells_the_same(make_report: MakeReport) -> None:
    """Hits, counts, tokens and dollars are there for programs to read."""
    data = make_report().as_json()

    assert data["first_hit_right"] == {"LangChain": 1, "LlamaIndex": 0}
    assert data["total_tokens"] == 1_500_010
    assert data["dollars"] == pytest.approx(0.0300002)
    (question,) = data["questions"]
    assert question["right_modules"] == ["csv"]
    assert question["answers"]["LlamaIndex"]["hits"][1] == {
        "name": "csv.reader",
        "score": 0.625,
        "source": "csv (built in)",
        "line": 0,
        "text": "Read rows [of a :file:].\n\nMore.",
    }
    assert make_report(modules=()).as_json()["first_hit_right"] is None
