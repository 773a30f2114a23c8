"""What is printed with: colour where it is wanted, widths in columns, finite points, names and completion."""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from commands.input.names import expand_ranges
from commands.output.console import cell_width, clip, is_colourful, pad, put_json, width_limit, wrap
from commands.output.curves import Curve, finite_points, put_figure
from commands.output.progress import Progress, describe_eval
from commands.output.tables import Cell, Column, put_facts, put_table
from lmcore.errors import UsageError
from tests.commands.conftest import Answer, all_commands, run_lm


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("variables", "terminal", "pipe"),
    [
        ({}, True, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
        ({"TERM": "dumb"}, False, False),
    ],
)
def test_colour_is_for_those_who_want_and_see_it(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], terminal: bool, pipe: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert is_colourful(Terminal()) is terminal
    assert is_colourful(io.StringIO()) is pipe


@given(st.text(alphabet="ab 字\u0301é👍🏽\u200d👩☁\ufe0f", max_size=60), st.integers(2, 20))
def test_wrapped_lines_fit_and_lose_no_letter(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert all(cell_width(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("字a", 3),
        ("ｆｕｌｌ", 8),
        ("e\u0301", 1),  # e and a combining acute accent
        ("เก้า", 3),  # a Thai vowel and tone mark sit above their consonants
        ("👍", 2),
        ("👩\u200d👩\u200d👧", 2),  # one family, joined
        ("☁\ufe0f", 2),  # a sign shown as an emoji
        ("ｱ", 1),  # half-width katakana
        ("\x07字", 2),  # control characters are made visible before they are measured
    ],
)
def test_the_width_in_columns_is_the_terminals(text: str, width: int) -> None:
    assert cell_width(text) == width
    assert pad(text, 10) == text + " " * (10 - width)
    assert pad(text, 10, right=True) == " " * (10 - width) + text


@pytest.mark.parametrize(
    ("text", "width", "clipped"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "abcd…"),
        ("字字字", 5, "字字…"),
        ("字字字", 4, "字…"),
        ("e\u0301e\u0301e\u0301", 2, "e\u0301…"),
        ("abc", None, "abc"),
    ],
)
def test_an_ellipsis_stands_for_what_is_cut(text: str, width: int | None, clipped: str) -> None:
    assert clip(text, width) == clipped


def test_wide_words_are_broken_between_letters_not_within() -> None:
    assert wrap("字字字 e\u0301e\u0301e\u0301", 2) == ["字", "字", "字", "e\u0301e\u0301", "e\u0301"]


@pytest.mark.parametrize(
    ("variable", "limit"), [(None, None), ("60", 60), ("5", 20), ("0", None), ("", None), ("wide", None)]
)
def test_a_pipe_has_a_width_only_where_columns_gives_one(
    monkeypatch: pytest.MonkeyPatch, variable: str | None, limit: int | None
) -> None:
    if variable is not None:
        monkeypatch.setenv("COLUMNS", variable)
    assert width_limit() == limit


def test_the_best_is_marked_without_colour_and_bold_with_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[list[str | Cell]] = [["a", Cell("10.00")], ["b", Cell("9.00", best=True)]]
    put_table([Column("run"), Column("ppl", number=True)], rows)
    assert capsys.readouterr().out.splitlines() == ["run    ppl", "a    10.00", "b    9.00*"]
    monkeypatch.setenv("FORCE_COLOR", "1")
    put_table([Column("run"), Column("ppl", number=True)], rows)
    assert "\x1b[1m 9.00\x1b[0m" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("width", "dispensable", "expected"),
    [
        (40, (), ["run  summary     more", "a    xxxxxxxxxx     1", "b    yyyyyyyyyy     2"]),
        (20, ("more", "run"), ["run  summary", "a    xxxxxxxxxx", "b    yyyyyyyyyy"]),
        (
            20,
            (),
            ["run      a", "summary  xxxxxxxxxx", "more     1", "", "run      b", "summary  yyyyyyyyyy", "more     2"],
        ),
    ],
)
def test_a_table_too_wide_for_the_columns_there_are(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    width: int,
    dispensable: tuple[str, ...],
    expected: list[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    put_table(
        [Column("run"), Column("summary"), Column("more", number=True)],
        [["a", "x" * 10, "1"], ["b", "y" * 10, "2"]],
        dispensable,
    )
    assert capsys.readouterr().out.splitlines() == expected


def test_a_table_of_few_rows_is_turned_when_that_fits(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    put_table(
        [Column("run"), Column("test ppl", number=True), Column("steps", number=True)],
        [["first", "12.5", "100"], ["b", "9.5", "20"]],
    )
    assert capsys.readouterr().out.splitlines() == [
        "run       first    b",
        "test ppl   12.5  9.5",
        "steps       100   20",
    ]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (None, ["a  one two three four five six seven", "b  /a/path/that/is/too/long/for/one/line"]),
        ("32", ["a  one two three four five six", "   seven", "b  /a/path/that/is/too/long/for/one/line"]),
    ],
)
def test_facts_wrap_below_themselves_and_never_within_a_path(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str | None, expected: list[str]
) -> None:
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    put_facts([("a", "one two three four five six seven"), ("b", "/a/path/that/is/too/long/for/one/line")])
    assert capsys.readouterr().out.splitlines() == expected


def test_json_has_null_for_what_is_not_finite(capsys: pytest.CaptureFixture[str]) -> None:
    put_json({"a": math.nan, "b": [math.inf, 1.5], "c": "ü"})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.5], "c": "ü"}


numbers = st.one_of(st.none(), st.floats())


@given(st.lists(st.tuples(numbers, numbers), max_size=200), st.booleans(), st.booleans())
def test_only_finite_points_are_drawn(
    points: list[tuple[float | None, float | None]], log_x: bool, log_y: bool
) -> None:
    curve = Curve("c", [x for x, _ in points], [y for _, y in points], validation=False, group=0)
    kept = finite_points(curve, log_x=log_x, log_y=log_y, limit=20)
    assert all(math.isfinite(value) for point in kept for value in point)
    assert len(kept) <= 21


def test_a_figure_names_its_axes_and_curves(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "90")
    train = Curve("exp1 train", [1, 2, 3, 4], [9.0, math.nan, 7.0, None], validation=False, group=0)
    val = Curve("exp1 val", [2, 4], [8.5, 7.5], validation=True, group=0)
    put_figure([train, val], title="Perplexity", x_label="epoch", y_label="perplexity", log_y=True)
    out = capsys.readouterr().out
    for text in ("Perplexity", "epoch", "perplexity (log scale)", "exp1 train", "exp1 val", "•"):
        assert text in out
    assert "\x1b" not in out
    assert max(len(line) for line in out.splitlines()) == 90


def test_nothing_to_draw_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    put_figure([Curve("a", [], [], validation=False, group=0)], title="Loss", x_label="step", y_label="loss")
    assert capsys.readouterr().out == "Loss: nothing to draw yet.\n"


def test_ranges_of_runs() -> None:
    assert expand_ranges(["exp9..exp11", "exp10", "novel"]) == ["exp9", "exp10", "exp11", "novel"]
    assert expand_ranges(["exp2..4"]) == ["exp2", "exp3", "exp4"]
    assert expand_ranges(["v1.2"]) == ["v1.2"]
    with pytest.raises(UsageError):
        expand_ranges(["exp4..exp2"])


def test_a_pipe_gets_the_time_left_and_now_and_then_how_far_a_scoring_is(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    progress.report({"kind": "start", "total_steps": 100})
    progress.report({"kind": "train", "step": 50, "loss": 1.0, "seconds": 10.0, "seconds_left": 1090.0})
    scoring = {"kind": "scoring", "split": "test", "final": True, "tokens_total": 200_000}
    for seconds in (0.0, 10.0, 29.0, 31.0, 45.0, 62.0):
        progress.report({**scoring, "tokens_scored": int(1000 * seconds), "seconds": seconds, "seconds_left": 200.0})
    for seconds in (0.0, 40.0):  # the next split
        progress.report({**scoring, "split": "val", "tokens_scored": 5, "seconds": seconds, "seconds_left": None})
    lines = capsys.readouterr().err.splitlines()
    assert lines[1].endswith("ETA 18m 10s")
    assert "ppl 2.72" in lines[1]
    assert lines[2:] == [
        "scoring final test  15%  31,000/200,000 tokens  ETA 3m 20s",
        "scoring final test  31%  62,000/200,000 tokens  ETA 3m 20s",
        "scoring final val  0%  5/200,000 tokens",
    ]


def test_a_final_score_says_on_how_many_tokens_it_rests() -> None:
    event = {"kind": "eval", "split": "test", "step": 40, "loss": 1.0, "perplexity": 2.718, "tokens_scored": 5000}
    assert describe_eval({**event, "final": True, "best": False}) == (
        "test at step 40: loss 1.0000  perplexity 2.72  final score on 5,000 tokens"
    )
    assert describe_eval({**event, "split": "val", "best": True}).endswith("perplexity 2.72  best so far")


@pytest.mark.parametrize("width", [48, 60, 80, 100, 140])
def test_a_narrow_terminal_keeps_step_loss_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("commands.output.progress.is_terminal", lambda stream: True)
    progress = Progress()
    progress.report({"kind": "start", "total_steps": 20000, "resumed_from": 0})
    event = {
        "kind": "train",
        "step": 10000,
        "epoch": 1.5,
        "loss": 6.5,
        "lr": 0.001,
        "tokens_per_second": 12345.6,
        "seconds": 5990.0,
        "seconds_left": 9.0,
    }
    progress.report(event)
    line = capsys.readouterr().err.rpartition("\r\x1b[2K")[2]
    assert len(line) < width
    assert "step 10,000/20,000  " in line
    assert "loss 6.5" in line
    assert line.endswith("s")
    assert line.startswith("[") is (width == 140)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("lm train --preset exp1", {"exp1", "exp10", "exp11", "exp12"}),
        ("lm eval ti", {"tiny"}),
        ("lm train --data python", {"python-docs"}),
        ("lm generate x --no-", {"--no-repeat-ngram", "--no-greedy"}),
        ("lm compare tiny --top", {"--top-k", "--top-p"}),
        ("lm generate x --top-k 3 --run ti", {"tiny"}),
    ],
)
def test_the_shell_completes_names(runs: Path, words: str, expected: set[str]) -> None:
    env = {"_LM_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    code = "import sys; sys.argv[0] = 'lm'; import cli; cli.main()"
    answer = run_lm(env={**env, "LM_RUNS": os.environ["LM_RUNS"]}, code=code)
    assert set(answer.out.split()) == expected


@pytest.mark.parametrize("group", [(), ("presets",), ("runs",), ("data",)])
def test_help_names_every_command_with_a_whole_sentence(
    lm: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch, group: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    listed = lm(*group, "--help").out.partition("Commands:\n")[2].splitlines()
    assert {line.split()[0] for line in listed} == set(all_commands()[group].commands)
    assert [line for line in listed if not line.endswith(".") or line.endswith("...")] == []


def test_every_command_option_and_argument_says_what_it_is() -> None:
    for path, command in all_commands().items():
        assert command.help, path
        for parameter in command.get_params(typer.Context(command)):
            assert getattr(parameter, "help", ""), (path, parameter.name)
