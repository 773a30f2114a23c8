"""What `lm runs`, `lm watch` and `lm compare` tell of runs whose events are written here."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from commands.output import curves
from lmcore.config import Config
from lmcore.runs import Run, create_run, identity
from tests.commands.conftest import Answer

Lm = Callable[..., Answer]
SUBSTITUTION = "GPT-1's tokenizer could not be downloaded: a BPE of the same size was trained on the corpus."


def record(name: str, events: list[dict[str, Any]], settings: dict[str, Any] | None = None, begun: float = 1e9) -> Run:
    """A run of a process that has gone, one event a second."""
    run = create_run(name, Config().with_settings(settings or {}), {"corpus_hash": "c", "tokenizer_hash": "t"})
    start = {"kind": "start", "resumed_from": None, "total_steps": 30, **identity(), "pid_started": 1}
    lines = [{"time": begun + second, **event} for second, event in enumerate([start, *events])]
    run.events_path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run


def evaluation(step: int, loss: float, **fields: Any) -> dict[str, Any]:
    return {"kind": "eval", "step": step, "split": "val", "loss": loss, "best": False, **fields}


def warning(step: int, what: str, message: str) -> dict[str, Any]:
    return {"kind": "warning", "step": step, "what": what, "message": message}


SCORED_AGAIN = [
    {"kind": "train", "step": 10, "loss": 3.0},
    evaluation(10, 2.0, best=True),
    {"kind": "train", "step": 30, "loss": 2.0},
    evaluation(30, 2.5),
    evaluation(10, 2.25, best=True, tokens_scored=5000),
    evaluation(10, 2.125, split="test", tokens_scored=4000),
    {"kind": "finish", "step": 30, "why": "done", "summary": {}},
]


def test_runs_are_listed_with_the_newest_last(lm: Lm) -> None:
    for name, begun in (("a", 3e9), ("b", 1e9), ("c", 2e9)):
        record(name, [], begun=begun)
    assert [line.split()[0] for line in lm("runs").out.splitlines()] == ["run", "b", "c", "a"]
    assert [row["name"] for row in json.loads(lm("runs", "--json").out)] == ["b", "c", "a"]


@pytest.mark.parametrize("marked", [True, False], ids=["marked final", "of an older version"])
def test_the_score_of_the_best_checkpoint_is_a_figure_and_no_point_of_the_curve(
    lm: Lm, monkeypatch: pytest.MonkeyPatch, marked: bool
) -> None:
    events = [event | ({"final": True} if marked and "tokens_scored" in event else {}) for event in SCORED_AGAIN]
    record("a", events)
    drawn: list[curves.Curve] = []
    monkeypatch.setattr(curves, "put_figure", lambda found, **_: drawn.extend(found))
    out = " ".join(lm("runs", "show", "a").out.split())
    assert [list(curve.x) for curve in drawn] == [[10, 30], [10, 30]]
    assert "val perplexity 9.49 at step 10, on 5,000 tokens" in out
    assert "test perplexity 8.37, on 4,000 tokens" in out
    said = lm("watch", "a", "--once").out.splitlines()
    assert [line.split(":")[0] for line in said if " step " in line and not line.startswith("step")] == [
        "val at step 30",
        "val at step 10",
        "test at step 10",
        "finished at step 30",
    ]


def test_warnings_outlive_their_moment(lm: Lm) -> None:
    record(
        "a",
        [
            warning(0, "substitution", SUBSTITUTION),
            warning(0, "substitution", "A table of 40479 rows was drawn at random."),
            warning(0, "substitution", "A table of 256 rows was drawn at random."),
            {"kind": "train", "step": 10, "loss": 3.0},
            warning(10, "nan", "1 step so far was skipped\x1b[2J."),
            warning(20, "nan", "2 step so far was skipped\x1b[2J."),
        ],
    )
    for command in (("runs", "show", "a"), ("watch", "a", "--once")):
        out = lm(*command).out
        assert f"warning: {SUBSTITUTION}" in " ".join(out.split())
        assert out.count("rows was drawn at random") == 2
        assert "warning at step 20: 2 step so far was skipped" in out
        assert "warning at step 10" not in out, "the count goes on: only the last one is of interest"
        assert "\x1b" not in out
    warnings = json.loads(lm("runs", "show", "a", "--json").out)["warnings"]
    assert [(item["step"], item["what"]) for item in warnings] == [
        *[(0, "substitution")] * 3,
        (10, "nan"),
        (20, "nan"),
    ]
    assert warnings[0]["message"] == SUBSTITUTION


def test_compare_tells_what_stood_in_for_something_else(lm: Lm) -> None:
    record("a", [warning(0, "substitution", SUBSTITUTION)])
    record("b", [warning(0, "config", "Adam with weight decay is not AdamW.")])
    answer = lm("compare", "a", "b")
    assert f"a: {SUBSTITUTION}" in " ".join(answer.out.split())
    assert "AdamW" not in answer.out
    assert json.loads(lm("compare", "a", "b", "--json").out)["substitutions"] == {"a": [SUBSTITUTION]}


@pytest.mark.parametrize("width", [60, 100, 200])
def test_settings_that_differ_are_one_line_each_with_the_runs_across(
    lm: Lm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for number in (1, 2, 3):
        corpus = tmp_path / ("a long way to the text " * 3) / f"text-{number}.txt"
        record(f"exp{number}", [], {"optimizer.lr": number / 100, "data.corpus": str(corpus)})
    lines = lm("compare", "exp1..exp3").out.splitlines()
    headings = [line for line in lines if line.startswith("setting that differs")]
    assert " ".join(headings).split().count("exp2") == 1
    for setting, values in (
        ("optimizer.lr", ["0.01", "0.02", "0.03"]),
        ("data.corpus", ["text-1", "text-2", "text-3"]),
    ):
        found = [line for line in lines if line.startswith(setting)]
        assert len(found) == len(headings)
        assert max(map(len, found)) <= width
        text = " ".join(found)
        assert [value for value in values if value in text] == values
    if width == 200:
        assert len(headings) == 1


def test_published_figures_have_columns_where_a_run_asks_for_them(lm: Lm) -> None:
    score = {"kind": "eval", "step": 10, "tokens_scored": 279_022, "loss": math.log(158.80), "best": True}
    for name in ("exp1", "mine"):
        run = record(
            name,
            [score | {"split": "val"}, score | {"split": "test"}],
            {"training.batch_size": 16, "model.block_size": 256},
        )
    assert "publ." not in lm("compare", "exp1", "mine").out
    path = Path(os.environ["LM_RUNS"]) / "exp1" / "config.toml"
    text = path.read_text().replace("published_mean = false\n", "")
    path.write_text(text.replace("[eval]\n", "[eval]\npublished_mean = true\n"))
    lines = lm("compare", "exp1", "mine").out.splitlines()
    headings = lines[0].split("  ")
    assert "publ. test" in [heading.strip() for heading in headings]
    exp1, mine = (next(line for line in lines if line.startswith(name)) for name in ("exp1", "mine"))
    exact = exp1.split().index("158.80*")  # of the test; before it the published figure of val, behind it its own
    assert [float(exp1.split()[exact + beside]) for beside in (-1, 1)] == pytest.approx([148.87] * 2, abs=0.02)
    assert "148.8" not in mine
    assert "short last batch" in " ".join(" ".join(lines).split())
    assert run.name == "mine"
