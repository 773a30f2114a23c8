"""Event files like those that runs leave behind: several sessions, each resumed from some step or begun anew, the best
checkpoint scored once more after the last step, heartbeats, foreign kinds, missing fields, half lines.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

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
    {"kind": "heartbeat", "scoring": {"split": "val", "final": False, "tokens_scored": 3, "tokens_total": 7}},
    {"kind": "checkpoint", "path": "step-1"},
    {"kind": "warning", "what": "nan", "message": "Not finite."},
    {"kind": "dream", "of": "sheep"},
    {"kind": "eval", "split": "train", "loss": 1.0},
]
RUBBISH = ["no json", "[1]", '{"kind": "train", "loss": 3', '{"kind": "eval", "split": "val", "best": true}', "{}", ""]
