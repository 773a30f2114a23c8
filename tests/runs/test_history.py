"""Histories: rewound where a run was resumed, thinned where it is long, and fast columns."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.runs import History, load_curve


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "time": 0.0, **fields}


def write(path: Path, events: list[dict[str, Any]], **style: Any) -> Path:
    path.write_text("".join(json.dumps(item, **style) + "\n" for item in events))
    return path


def test_a_resumed_run_takes_back_what_came_after_the_step_it_resumed_from() -> None:
    events = [event("start", resumed_from=None)]
    events += [
        event(kind, step=step, run=1)
        for step in (1, 2, 3)
        for kind in ("train", "eval", "sample", "checkpoint", "warning")
    ]
    events += [event("start", resumed_from=2)]
    events += [event(kind, step=3, run=2) for kind in ("train", "eval", "sample", "checkpoint")]
    history = History(events)
    for rewound in (history.train, history.eval, history.samples, history.checkpoints):
        assert [(item["step"], item["run"]) for item in rewound] == [(1, 1), (2, 1), (3, 2)]
    assert [item["step"] for item in history.warnings] == [1, 2], "what they warn of may not happen again"
    assert history.latest.start == event("start", resumed_from=2)


def test_a_start_that_resumes_nothing_begins_anew() -> None:
    history = History(
        [
            event("start", resumed_from=None),
            event("eval", step=0),
            event("start", resumed_from=None),
            event("train", step=1),
        ]
    )
    assert (len(history.eval), len(history.train)) == (0, 1)


@settings(deadline=None, max_examples=60)
@given(
    sessions=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 40)), min_size=1, max_size=4),
    limit=st.integers(8, 30),
    compact=st.booleans(),
)
def test_thinning_keeps_evenly_spaced_events_of_the_rewound_run(
    tmp_path_factory: Any, sessions: list[tuple[int, int]], limit: int, compact: bool
) -> None:
    """Against the plain definition: replay everything, and drop the steps after each `resumed_from`."""
    events: list[dict[str, Any]] = []
    expected: list[int] = []
    longest = 0
    for number, (resumed, length) in enumerate(sessions):
        resumed = min(resumed, expected[-1]) if expected else 0
        expected = [step for step in expected if step <= resumed] + list(range(resumed + 1, resumed + length + 1))
        longest = max(longest, len(expected))
        events.append(event("start", resumed_from=resumed if number else None))
        events += [event("train", step=step) for step in range(resumed + 1, resumed + length + 1)]
    style = {"separators": (",", ":")} if compact else {}
    path = write(tmp_path_factory.mktemp("history") / "events.jsonl", events, **style)
    assert [item["step"] for item in History.load(path).train] == expected
    for history in (History.load(path, max_train=limit), History(events, max_train=limit)):
        steps = [item["step"] for item in history.train]
        assert len(steps) <= limit + 1
        assert set(steps) <= set(expected)
        assert steps == sorted(steps)
        assert steps[-1] == expected[-1]
        # Every second one goes when more than `limit` are held. Of those, each resumed session brings two that are out
        # of step: the newest before its start, and its first.
        extra = 2 * (len(sessions) - 1)
        assert max(np.diff([0, *steps])) <= max(1, 2 * longest / (limit - extra))


def test_events_come_one_by_one_as_from_the_file(tmp_path: Path) -> None:
    events = [
        event("start", resumed_from=None),
        *(event("train", step=step) for step in range(100)),
        event("heartbeat", paused=True),
    ]
    history = History(max_train=16)
    for item in events:
        history.extend([item])
    assert history.train == History.load(write(tmp_path / "events.jsonl", events), max_train=16).train
    assert history.latest.heartbeat == events[-1]


def test_the_final_scoring_of_the_best_checkpoint_is_no_point_of_the_curve() -> None:
    val = [(1, 3.0, True), (2, 2.0, True), (3, 2.5, False), (2, 2.1, True)]
    history = History([event("eval", split="val", step=step, loss=loss, best=best) for step, loss, best in val])
    assert [item["loss"] for item in history.evaluations("val")] == [3.0, 2.0, 2.5]
    assert history.latest.best is not None
    assert history.latest.best["loss"] == 2.1
    assert history.evaluations("test") == []
    assert History().latest.best is None


def test_columns_have_nan_where_there_is_no_number() -> None:
    history = History([event("train", step=1, loss=2.0), event("train", step=2, loss=None), event("train", step=3)])
    columns = history.columns("train", ["step", "loss"])
    np.testing.assert_array_equal(columns["step"], [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(columns["loss"], [2.0, math.nan, math.nan])


def test_a_long_curve_is_loaded_with_few_points_and_every_evaluation(tmp_path: Path) -> None:
    events = [event("start", resumed_from=None)]
    for step in range(1, 5001):
        events.append(event("train", step=step, loss=10 / step))
        if step % 500 == 0:
            events.append(event("eval", step=step, split="val", loss=1.0))
    path = write(tmp_path / "events.jsonl", events)
    curve = load_curve(path, "train", ["step", "loss"], max_points=100)
    assert 50 <= len(curve["step"]) <= 101
    np.testing.assert_allclose(curve["loss"], 10 / curve["step"])
    assert curve["step"][-1] == 5000
    np.testing.assert_array_equal(load_curve(path, "val", ["step"], max_points=3)["step"], range(500, 5001, 500))


def test_no_file_no_events_and_a_half_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert History.load(path).train == []
    path.write_text('{"kind": "train", "step": 1}\n{"kind": "train", "st')
    assert [item["step"] for item in History.load(path).train] == [1]
    assert [item["step"] for item in History.load(path, max_train=2).train] == [1]


def test_a_scoring_goes_on_until_its_result_the_next_step_or_the_end() -> None:
    progress = {"split": "test", "final": True, "tokens_scored": 429, "tokens_total": 1000, "seconds_left": None}
    start, train = {"kind": "start", "time": 1.0}, {"kind": "train", "step": 5, "time": 2.0}
    beat = {"kind": "heartbeat", "time": 3.0, "step": 5, "paused": False, "scoring": progress}
    scoring = History([start, train, beat]).latest.scoring
    assert scoring is not None
    assert (scoring.split, scoring.final, scoring.percent, scoring.seconds_left) == ("test", True, "42%", None)
    for later in (
        {"kind": "eval", "step": 5, "split": "test", "loss": 1.0, "time": 4.0},
        {"kind": "train", "step": 6, "time": 4.0},
        {"kind": "finish", "step": 5, "time": 4.0},
        {"kind": "heartbeat", "step": 5, "time": 4.0, "scoring": None},
        {"kind": "heartbeat", "step": 5, "time": 4.0, "scoring": {"split": 3, "tokens_scored": "x"}},
    ):
        assert History([start, train, beat, later]).latest.scoring is None, later
