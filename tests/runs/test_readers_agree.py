"""Every reader of an event file tells the same: the list's summary, the whole history, the screen's curves."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmcore.runs import History, summary
from lmcore.runs.events import parse_event
from lmcore.runs.fold import Latest
from lmcore.runs.summary import figures, latest_events
from tests.runs.event_files import Event, event_files
from tui.run_data import RunData


def by_the_definition(text: str) -> tuple[list[Event], dict[str, list[Event]], Latest]:
    """Train events, the curve of each split and latest events, spelled out anew for this test: a list of all events,
    replayed without any of the readers' shortcuts.
    """
    kept: list[tuple[Event, bool]] = []  # events in order, and whether an evaluation is a point of its curve
    latest = Latest()
    for line in text.split("\n")[:-1]:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        kind = event.get("kind") if isinstance(event, dict) else None
        step = event.get("step") if isinstance(event, dict) else None
        if kind is None or (kind in ("train", "eval", "sample", "checkpoint") and step is None):
            continue
        if "time" in event:
            latest.last_time = event["time"]
        if kind == "start":
            latest.start, latest.heartbeat, latest.finish = event, None, None
            limit = event.get("resumed_from")
            kept = [item for item in kept if limit is not None and item[0]["step"] <= limit]
        elif kind in ("train", "eval"):
            before = [
                e["step"] for e, point in kept if point and e["kind"] == kind and e.get("split") == event.get("split")
            ]
            kept.append((event, not event.get("final") and (not before or step > before[-1])))
            latest.finish = None
        elif kind in ("heartbeat", "finish"):
            setattr(latest, kind, event)
    train = [event for event, _ in kept if event["kind"] == "train"]
    latest.train = train[-1] if train else None
    for event, _ in kept:
        if event.get("split") == "val" and event.get("best"):
            latest.best, latest.test = event, None
        elif event.get("split") == "test":
            latest.test = event
    points = [event for event, is_point in kept if is_point and event["kind"] == "eval"]
    curves = {split: [event for event in points if event.get("split") == split] for split in ("val", "test")}
    return train, curves, latest


def values(events: list[Event], field: str) -> list[float]:
    return [math.nan if event.get(field) is None else event[field] for event in events]


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=event_files(), cut=st.floats(0, 1), bites=st.sampled_from([(1 << 16, 1 << 20), (300, 700)]))
def test_every_reader_tells_the_same(
    text: str, cut: float, bites: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summary, "TAIL_BYTES", bites[0])
    monkeypatch.setattr(summary, "SEARCH_BYTES", bites[1])
    path = tmp_path / "events.jsonl"
    path.unlink(missing_ok=True)
    data = RunData(path)
    half = round(cut * len(text))
    path.write_text(text[:half])
    data.poll()  # the screen reads while the file is being written
    with path.open("a") as file:
        file.write(text[half:])
    data.poll()
    train, curves, latest = by_the_definition(text)
    val = curves["val"]

    history = History.load(path)
    assert history.train == train
    assert {split: history.evaluations(split) for split in curves} == curves
    assert history.latest == latest

    assert latest_events(path) == latest
    assert figures(latest_events(path)) == figures(latest)

    thinned = History.load(path, max_train=4)
    assert thinned.evaluations("val") == val
    assert (thinned.latest.best, thinned.latest.test) == (latest.best, latest.test)
    assert (thinned.latest.start, thinned.latest.finish) == (latest.start, latest.finish)
    assert [event for event in train if event in thinned.train] == thinned.train

    for field in ("step", "loss"):
        np.testing.assert_array_equal(data.train[field], values(train, field))
        np.testing.assert_array_equal(data.val[field], values(val, field))
    assert data.best == (latest.best or {})
    assert (data.start, data.finish) == (latest.start or {}, latest.finish or {})
    assert data.last_train.get("step") == (latest.train or {}).get("step")
    assert data.last_val == (val[-1] if val else {})
    assert data.warnings == history.warnings
    assert data.samples == history.samples
    assert data.scoring == latest_events(path).scoring == history.latest.scoring
    assert data.paused == bool(latest.finish is None and (latest.heartbeat or {}).get("paused"))


def test_the_summary_of_a_long_file_parses_a_few_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the best evaluation lies at its beginning, before everything that a tail would show."""
    path = tmp_path / "events.jsonl"
    parsed: list[bytes] = []
    with path.open("w") as file:
        file.write(json.dumps({"kind": "start", "time": 0.0, "resumed_from": None}) + "\n")
        for step in range(1, 100_001):
            file.write(f'{{"kind": "train", "time": {step}.0, "step": {step}, "loss": 3.0, "lr": 0.001}}\n')
            if step == 5:
                file.write('{"kind": "eval", "time": 5.5, "step": 5, "split": "val", "loss": 2.0, "best": true}\n')
        file.write('{"kind": "heartbeat", "time": 100001.0, "step": 100000, "paused": false, "start_at": 0}\n')

    def counted(line: bytes) -> Event | None:
        parsed.append(line)
        return parse_event(line)

    monkeypatch.setattr(summary, "parse_event", counted)
    latest = latest_events(path)
    assert latest.start is not None
    assert latest.best is not None
    assert latest.train is not None
    assert (latest.best["step"], latest.train["step"], latest.last_time) == (5, 100_000, 100_001.0)
    assert len(parsed) < 10
