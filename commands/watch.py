"""`lm watch`: how a run stands, and what happens in it, as plain text."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from commands.output.console import put
from commands.output.progress import (
    ScoringLines,
    describe_eval,
    describe_sample,
    describe_scoring,
    describe_start,
    describe_train,
    describe_warning,
)
from lmcore.text import harmless

if TYPE_CHECKING:
    from lmcore.runs import History
    from lmcore.runs.events import Event

POLL_SECONDS = 0.2
# States in which more may come.
WAITING = ("created", "running", "paused")


def follow_run(name: str, *, once: bool) -> None:
    """Print how the run stands, then what happens in it until it ends."""
    from lmcore.runs import EventTail, History, find_run, read_scoring

    run = find_run(name)
    state = run.state()
    put(f"{run.name} is {state}")
    history = History.load(run.events_path, max_train=2)
    total = _total_steps(history.latest.start)
    for event in _standing(history):
        _put_event(event, total)
    if history.latest.scoring is not None:
        put(describe_scoring(history.latest.scoring))
    if once or state not in WAITING:
        return
    tail, scoring_lines = EventTail(run.events_path, offset=history.offset), ScoringLines()
    while state in WAITING:
        time.sleep(POLL_SECONDS)
        state = run.state()  # asked before reading on, so that an end which it knows of is among the events
        finished = False
        while events := tail.poll():
            for event in events:
                total = _total_steps(event) if event["kind"] == "start" else total
                finished |= event["kind"] == "finish"
                _put_event(event, total)
                scoring = read_scoring(event.get("scoring")) if event["kind"] == "heartbeat" else None
                if scoring is not None and scoring_lines.due(scoring):
                    put(describe_scoring(scoring))
        if finished:
            return
    put(f"{run.name} is {state}")


def _standing(history: History) -> Iterator[Event]:
    """The start, the warnings, the last report, the last evaluation, the final scores and the end."""
    latest, points = history.latest, history.evaluations("val")
    last_point = points[-1] if points else None
    final = latest.best if latest.best is not None and latest.best not in points else None
    yield from (latest.start,) if latest.start else ()
    yield from history.distinct_warnings()
    yield from (event for event in (latest.train, last_point, final, latest.test, latest.finish) if event is not None)


def _total_steps(start: Event | None) -> int:
    return (start or {}).get("total_steps") or 0


def _put_event(event: Event, total: int) -> None:
    if text := _describe(event, total):
        put(text)


def _describe(event: Event, total: int) -> str:
    kind = event["kind"]
    if kind == "start":
        return describe_start(event)
    if kind == "train":
        return describe_train(event, total)
    if kind == "eval":
        return describe_eval(event)
    if kind == "sample":
        return describe_sample(event)
    if kind == "warning":
        return describe_warning(event)
    if kind == "control":
        return harmless(f"{event.get('action')} {event.get('state')}", keep_newlines=False)
    if kind == "checkpoint":
        return f"checkpoint at step {event['step']:,} ({harmless(str(event.get('reason')), keep_newlines=False)})"
    if kind == "finish":
        message = harmless(str(event.get("message") or ""), keep_newlines=False)
        why = harmless(str(event.get("why")), keep_newlines=False)
        return f"finished at step {event.get('step') or 0:,}: {why}" + (f" ({message})" if message else "")
    return ""
