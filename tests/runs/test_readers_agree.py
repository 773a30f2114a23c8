"""Every reader of an event file tells the same: the list's summary, the whole history, the screen's curves.

The files are like those that runs leave behind: several sessions, each resumed from some step or begun anew, the best
checkpoint scored once more after the last step, heartbeats, foreign kinds, missing fields, half lines.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmcore.runs import History, summary
from lmcore.runs.fold import Latest
from lmcore.runs.summary import figures, latest_events
from tui.run_data import RunData

Event = dict[str, Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]


def text_of(lines: list[str | Event]) -> str:
    return "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)


@st.composite
def event_files(draw: Draw) -> str:
    """The text of an event file."""
    lines: list[str | Event] = []
    clock, reached = 1000.0, 0
    marks_final = draw(st.booleans())  # files of older versions do not
    for session in range(draw(st.integers(1, 4))):
        resumed = draw(st.none() | st.integers(0, reached)) if session else None
        start_at = len(text_of(lines))
        step = resumed or 0
        events: list[str | Event] = [{"kind": "start", "resumed_from": resumed, "total_steps": 100}]
        best_step: int | None = None
        for _ in range(draw(st.integers(0, 12))):
            step += draw(st.integers(1, 3))
            loss = draw(st.none() | st.floats(0, 12))
            kind = draw(st.sampled_from(["train", "train", "train", "eval", "eval", "other", "rubbish"]))
            if kind == "train":
                events.append({"kind": "train", "step": step, "loss": loss, "seconds": step / 2})
            elif kind == "eval":
                best = draw(st.booleans())
                best_step = step if best else best_step
                events.append({"kind": "eval", "step": step, "split": "val", "loss": loss, "best": best})
                events.append(
                    {"kind": "sample", "step": step, "text": 'says "kind": "eval"' * draw(st.integers(0, 40))}
                )
            elif kind == "other":
                events.append(draw(st.sampled_from(OTHERS)) | {"step": step})
            else:
                events.append(draw(st.sampled_from(RUBBISH)))
        reached = step
        if draw(st.booleans()):
            if best_step is not None:
                final = {"final": True} if marks_final else {}
                if draw(st.booleans()):
                    events.append(
                        {"kind": "eval", "step": best_step, "split": "val", "loss": 2.5, "best": True} | final
                    )
                if draw(st.booleans()):
                    events.append(
                        {"kind": "eval", "step": best_step, "split": "test", "loss": 2.25, "best": False} | final
                    )
            events.append({"kind": "finish", "step": step, "why": "done", "summary": {"tokens": 7}})
            events += draw(st.lists(st.just({"kind": "heartbeat", "paused": False}), max_size=1))
        for event in events:
            clock += 1
            if isinstance(event, dict):
                kind = event["kind"]
                named = kind in ("heartbeat", "finish") and draw(st.booleans())
                event = {"kind": kind, "time": clock} | event | ({"start_at": start_at} if named else {})
                if draw(st.integers(0, 9)) == 0:
                    event.pop(draw(st.sampled_from(sorted(event.keys() - ({"kind"} if kind == "start" else set())))))
                if draw(st.integers(0, 19)) == 0:
                    event["step"] = None
            lines.append(event)
    half_a_line: str = draw(
        st.sampled_from(["", '{"kind": "train", "step": 99', '{"kind": "start", "resumed_from": nu'])
    )
    return text_of(lines) + half_a_line


OTHERS: list[Event] = [
    {"kind": "heartbeat", "paused": True},
    {"kind": "checkpoint", "path": "step-1"},
    {"kind": "warning", "what": "nan", "message": "Not finite."},
    {"kind": "dream", "of": "sheep"},
    {"kind": "eval", "split": "train", "loss": 1.0},
]
RUBBISH = ["no json", "[1]", '{"kind": "train", "loss": 3', '{"kind": "eval", "split": "val", "best": true}', "{}", ""]


def by_the_definition(text: str) -> tuple[list[Event], list[Event], Latest]:
    """Train events, validation curve and latest events, spelled out anew for this test: a list of all events, replayed
    without any of the readers' shortcuts.
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
    return train, [e for e, point in kept if point and e["kind"] == "eval" and e.get("split") == "val"], latest


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
    train, val, latest = by_the_definition(text)

    history = History.load(path)
    assert history.train == train
    assert history.evaluations("val") == val
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
    assert data.paused == bool(latest.finish is None and (latest.heartbeat or {}).get("paused"))
