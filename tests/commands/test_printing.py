"""What is printed with: colour where it is wanted, widths in columns, finite points, names and completion."""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.names import expand_ranges
from commands.output import tables
from commands.output.console import cell_width, is_colourful, pad, put_json, wrap
from commands.output.curves import Curve, finite_points, put_figure
from commands.output.progress import Progress, describe_eval
from commands.output.tables import Cell, Column, put_table
from lmcore.errors import UsageError
from tests.commands.conftest import Answer, run_lm


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


@given(st.text(alphabet="ab 字\u0301é", max_size=60), st.integers(2, 20))
def test_wrapped_lines_fit_and_lose_no_letter(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert all(cell_width(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_wide_characters_take_two_columns() -> None:
    assert cell_width("字a") == 3
    assert pad("字", 4) == "字  "
    assert pad("字", 4, right=True) == "  字"


def test_the_best_is_marked_without_colour_and_bold_with_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [["a", Cell("10.00")], ["b", Cell("9.00", best=True)]]
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
def test_a_table_too_wide_for_the_terminal(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    width: int,
    dispensable: tuple[str, ...],
    expected: list[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(tables, "is_terminal", lambda stream: True)
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
    monkeypatch.setattr(tables, "is_terminal", lambda stream: True)
    put_table(
        [Column("run"), Column("test ppl", number=True), Column("steps", number=True)],
        [["first", "12.5", "100"], ["b", "9.5", "20"]],
    )
    assert capsys.readouterr().out.splitlines() == [
        "run       first    b",
        "test ppl   12.5  9.5",
        "steps       100   20",
    ]


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
    ],
)
def test_the_shell_completes_names(runs: Path, words: str, expected: set[str]) -> None:
    env = {"_LM_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    code = "import sys; sys.argv[0] = 'lm'; import cli; cli.main()"
    answer = run_lm(env={**env, "LM_RUNS": os.environ["LM_RUNS"]}, code=code)
    assert set(answer.out.split()) == expected


def test_help_fits_a_page_and_names_every_command(lm: Callable[..., Answer]) -> None:
    out = lm("--help").out
    for command in (
        "train",
        "generate",
        "eval",
        "compare",
        "control",
        "watch",
        "tui",
        "lr-find",
        "presets",
        "runs",
        "data",
    ):
        assert f"\n  {command} " in out
    assert "..." not in out.partition("Commands:")[2]
