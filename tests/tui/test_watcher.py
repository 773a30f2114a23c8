"""Reading runs for the screen: rows, columns, notices, requests."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import numpy as np
import pytest

from lmcore.runs import Run, identity, remove_run, rename_run
from tests.tui.recorded import evaluation, finish, record, record_all, sample, start, train, training
from tui.run_data import MAX_TRAIN, Columns, RunData, lr_changes
from tui.session.pending import PendingRequests
from tui.watcher import Watcher


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def append(run: Run, *events: dict[str, object]) -> None:
    with run.events_path.open("a") as file:
        file.writelines(json.dumps(event) + "\n" for event in events)


def read(run: Run) -> RunData:
    data = RunData(run.events_path)
    while data.poll():
        pass
    return data


def test_every_kind_of_run_has_its_row_and_state(root: Path) -> None:
    record_all(root)
    rows = {row.name: row for row in Watcher(root).poll_rows().rows or []}
    assert {name: row.state for name, row in rows.items()} == {
        "whole": "finished", "killed": "crashed", "nan": "crashed", "torn": "stopped",
        "later-version": "finished", "empty": "created", "alive": "running",
    }  # fmt: skip
    assert rows["whole"].val_perplexity == pytest.approx(math.exp(4.3 + 4.0 * math.exp(-4)))
    assert rows["alive"].progress == 0.3
    assert rows["empty"].progress is None


def test_rows_are_reported_only_when_one_is_new(root: Path) -> None:
    run = record(root, "a", [start(**identity()), train(10)])
    watcher = Watcher(root)
    assert watcher.poll_rows().rows
    assert watcher.poll_rows().rows is None
    append(run, train(20))
    assert [row.step for row in watcher.poll_rows().rows or []] == [20]


def test_new_renamed_and_deleted_runs_are_noticed(root: Path) -> None:
    watcher = Watcher(root)
    assert watcher.poll_rows().rows == []
    run = record(root, "a", training(100))
    assert [row.name for row in watcher.poll_rows().rows or []] == ["a"]
    run = rename_run(run, "b")
    assert [row.name for row in watcher.poll_rows().rows or []] == ["b"]
    remove_run(run)
    assert watcher.poll_rows().rows == []


def test_only_followed_and_active_runs_are_read(root: Path) -> None:
    record_all(root)
    watcher = Watcher(root)
    watcher.poll_rows()
    watcher.follow(frozenset({"whole"}))
    assert watcher.poll_curves().changed == {"whole", "alive"}
    assert watcher.poll_curves().changed == frozenset()
    watcher.follow(frozenset())
    watcher.poll_curves()
    assert set(watcher.data) == {"alive"}


def test_the_end_of_a_run_is_told_once(root: Path) -> None:
    run = record(
        root,
        "a",
        [start(**identity()), train(10), {"kind": "heartbeat", "time": time.time(), "step": 10, "paused": False}],
    )
    watcher = Watcher(root)
    assert watcher.poll_rows().notices == []
    append(run, finish(10, "diverged"))
    (notice,) = watcher.poll_rows().notices
    assert (notice.run, notice.what, notice.severity) == ("a", "crashed", "error")
    assert watcher.poll_rows().notices == []


@pytest.mark.parametrize("what", ["nan", "divergence", "plateau", "overfit"])
def test_alarms_are_told_when_they_happen_and_marked_for_good(root: Path, what: str) -> None:
    old = {"kind": "warning", "time": 1.0, "step": 5, "what": what, "message": "before the screen was opened"}
    run = record(
        root,
        "a",
        [start(**identity()), train(10), old, {"kind": "heartbeat", "time": time.time(), "step": 10, "paused": False}],
    )
    watcher = Watcher(root)
    watcher.poll_rows()
    assert watcher.poll_curves().notices == []
    append(run, {"kind": "warning", "time": time.time(), "step": 12, "what": what, "message": "It happened."})
    (notice,) = watcher.poll_curves().notices
    assert (notice.what, notice.text) == (what, "It happened.")
    assert [row.mark for row in watcher.poll_rows().rows or []] == [what]


def test_columns_hold_what_the_events_say(root: Path) -> None:
    data = read(record(root, "a", [*training(), finish(1000)]))
    assert data.train["step"].tolist() == list(range(10, 1001, 10))
    assert data.best["step"] == 600
    assert len(data.samples) == 10
    curve = data.curve("perplexity", "train")
    assert curve is not None
    np.testing.assert_allclose(np.log(curve.values.values), data.train["loss"])


def test_appended_events_extend_curves_as_if_read_at_once(root: Path) -> None:
    events = training(1000)
    run = record(root, "a", events[:40])
    data = read(run)
    data.curve("loss", "train", 0.9)
    for event in events[40:]:
        append(run, event)
        data.poll()
        data.curve("loss", "train", 0.9)
    grown, fresh = data.curve("loss", "train", 0.9), read(run).curve("loss", "train", 0.9)
    assert grown is not None
    assert fresh is not None
    np.testing.assert_allclose(grown.values.values, fresh.values.values)


def test_half_a_line_is_not_yet_an_event(root: Path) -> None:
    run = record(root, "a", [start(), train(10)], tail=json.dumps(train(20)).encode()[:-9])
    data = RunData(run.events_path)
    data.poll()
    assert data.train["step"].tolist() == [10]
    with run.events_path.open("ab") as file:
        file.write(json.dumps(train(20)).encode()[-9:] + b"\n")
    data.poll()
    assert data.train["step"].tolist() == [10, 20]


def test_a_resumed_run_forgets_what_it_does_again(root: Path) -> None:
    run = record(root, "a", training(400))
    data = read(run)
    before = data.curve("loss", "train")
    assert before is not None
    assert len(before) == 40
    append(run, start(resumed_from=200), train(210, loss=9.0))
    data.poll()
    assert data.train["step"].tolist() == [*range(10, 201, 10), 210]
    assert data.val["step"].tolist() == [100, 200]
    assert [s["step"] for s in data.samples] == [100, 200]
    assert data.best["step"] == 200
    after = data.curve("loss", "train")
    assert after is not None
    assert after.values.values[-1] == 9.0
    assert len(after) == 21


def test_a_file_that_began_anew_is_read_anew(root: Path) -> None:
    run = record(root, "a", training(400))
    data = read(run)
    run.events_path.write_text(json.dumps(start()) + "\n" + json.dumps(train(10)) + "\n")
    data.poll()
    assert data.train["step"].tolist() == [10]
    assert len(data.val) == 0


def test_missing_and_odd_values_become_gaps_and_positions_never_go_back() -> None:
    columns = Columns(("step", "epoch", "loss"))
    columns.extend(
        [
            {"step": 1, "epoch": 0.1, "loss": 3.0},
            {"step": 2, "loss": None},
            {"step": 3, "epoch": "x", "loss": "much"},
            {"loss": True},
        ]
    )
    assert columns["step"].tolist() == [1, 2, 3, 3]
    assert columns["epoch"].tolist() == [0.1, 0.1, 0.1, 0.1]
    assert np.isnan(columns["loss"][1:]).all()


def test_memory_stays_bounded_by_keeping_every_second_event() -> None:
    columns = Columns(("step", "loss"), limit=100)
    for first in range(0, 1000, 30):
        columns.extend([{"step": s, "loss": 1.0} for s in range(first, min(first + 30, 1000))])
    assert len(columns) <= 100
    assert set(np.diff(columns["step"]).tolist()) == {16.0}
    assert MAX_TRAIN == 1_000_000


def test_positions_translate_between_steps_and_other_axes(root: Path) -> None:
    data = read(record(root, "a", training(1000)))
    assert data.x_of_step(500, "time") == 50.0
    assert data.step_at(50.0, "time") == 500
    assert data.step_at(2.5, "epoch") == 250
    assert read(record(root, "none", [])).x_of_step(5, "step") is None


def test_falls_of_a_level_learning_rate_are_found_and_smooth_schedules_have_none() -> None:
    steps = np.arange(100.0)
    assert lr_changes(steps, np.where(steps < 50, 1e-3, 5e-4)) == [50.0]
    assert lr_changes(steps, 1e-3 * (1 + np.cos(np.pi * steps / 100))) == []
    assert lr_changes(steps[:1], np.ones(1)) == []


def test_a_request_is_requested_then_acknowledged_then_done() -> None:
    requests = PendingRequests()
    requests.add("a", "pause", "id1")
    requests.add("a", "checkpoint", "id2")
    assert requests.waiting() == {"a": "checkpoint"}
    assert requests.texts("a") == ["pause: requested", "checkpoint: requested"]
    assert [r.state for r in requests.answered({"a": {"id1": {"state": "acknowledged"}}})] == ["acknowledged"]
    assert requests.answered({"a": {"id1": {"state": "acknowledged"}}}) == []
    requests.answered({"a": {"id1": {"state": "done"}, "id2": {"state": "refused", "note": "no room"}}})
    assert requests.waiting() == {}
    assert requests.texts("a") == ["checkpoint: refused (no room)"]
    assert requests.names() == set()


def test_samples_and_evaluations_of_other_splits_stay_apart(root: Path) -> None:
    data = read(
        record(root, "a", [start(), evaluation(10, 5.0), evaluation(20, 4.0) | {"split": "test"}, sample(10, " x")])
    )
    assert data.val["step"].tolist() == [10]
