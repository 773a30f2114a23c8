"""What the events of a run mean. Whatever shows a run asks here which of its events count.

- A `start` discards what happened after the step that it resumed from; one that does not resume discards
  everything.
- A point of a validation curve has a higher step than the point before it. After the last step, the best checkpoint may
  be scored once more, on all tokens: such an evaluation is marked `final` (files of older versions: its step is not
  above the last point's) and is a separate result, not a point.
- The best evaluation is the val evaluation that was marked `best` last: the final one, if there is one.
- The test score is the last one since the best evaluation: a new best checkpoint has not been tested yet.
- `heartbeat` and `finish` are those of the last process; one that trains or evaluates after its `finish` has continued.
- A split is being scored if the last heartbeat says so and nothing was trained, evaluated or finished since.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from lmcore.runs.events import Event, is_number

# Kinds that happen again when a run is resumed from an earlier step.
REWOUND = ("train", "eval", "sample", "checkpoint", "warning")


@dataclass(frozen=True)
class Scoring:
    """How far the scoring of a split is; `final`: of the best checkpoint, after the last step. Seconds to its end are
    None until they are known.
    """

    split: str
    final: bool
    tokens: int
    total: int
    seconds: float
    seconds_left: float | None

    @property
    def share(self) -> float:
        """Share of the split's tokens that are scored, 0 to 1."""
        return min(self.tokens / self.total, 1.0) if self.total > 0 else 0.0

    @property
    def percent(self) -> str:
        """The share as `42%`, rounded down: 100% is said when it is done."""
        return f"{int(100 * self.share)}%"


def read_scoring(fields: object) -> Scoring | None:
    """What a heartbeat's `scoring` says; None where it is null or damaged."""
    if not isinstance(fields, dict):
        return None
    split, tokens, total = fields.get("split"), fields.get("tokens_scored"), fields.get("tokens_total")
    seconds, left = fields.get("seconds"), fields.get("seconds_left")
    if not isinstance(split, str) or not is_number(tokens) or not is_number(total):
        return None
    return Scoring(
        split,
        fields.get("final") is True,
        int(tokens),
        int(total),
        float(seconds) if is_number(seconds) else 0.0,
        float(left) if is_number(left) else None,
    )


@dataclass
class Latest:
    """The events that decide a run's state and its line in a table; None where there is none.

    `last_time` is that of the last event of any kind, in Unix seconds.
    """

    start: Event | None = None
    train: Event | None = None
    best: Event | None = None
    test: Event | None = None
    heartbeat: Event | None = None
    finish: Event | None = None
    last_time: float | None = None

    @property
    def scoring(self) -> Scoring | None:
        """The scoring that goes on; None while the run does something else."""
        if self.heartbeat is None or self.finish is not None:
            return None
        since = max((_time(event) for event in (self.train, self.best, self.test) if event is not None), default=0.0)
        return read_scoring(self.heartbeat.get("scoring")) if _time(self.heartbeat) >= since else None


def _time(event: Event) -> float:
    time = event.get("time")
    return float(time) if is_number(time) else 0.0


class CurveStore(Protocol):
    """Where a fold puts the points of a curve; a reader brings a store that suits it."""

    def extend(self, events: list[Event]) -> None:
        """Append events, the steps ascending."""

    def rewind(self, step: float) -> None:
        """Drop the events of steps after `step`."""

    def last(self) -> Event | None:
        """The last event that is left; a store that thins its events knows it as exactly as it keeps them."""


def rewound_to(start: Event) -> float:
    """The last step whose events still count after this `start`; -inf if none does."""
    step = start.get("resumed_from")
    return float(step) if is_number(step) else -math.inf


def survives(event: Event, step: float) -> bool:
    """Whether an event still counts after a rewind to `step`. One without a step happened before the first."""
    own = event.get("step")
    return (float(own) if is_number(own) else 0.0) <= step


def is_point(evaluation: Event, before: Event | None) -> bool:
    """Whether an evaluation is a point of its split's curve, `before` being the last point."""
    return evaluation.get("final") is not True and (before is None or evaluation["step"] > before["step"])


def is_best(evaluation: Event) -> bool:
    """Whether an evaluation was the best of the val split so far, or is the final score of the best checkpoint."""
    return evaluation.get("split") == "val" and evaluation.get("best") is True


def is_test(evaluation: Event) -> bool:
    """Whether an evaluation is of the test split."""
    return evaluation.get("split") == "test"


class Fold:
    """The events of a run in order, rewound where it was resumed. Events may be added while the run goes on.

    Train events and the points of the val curve go into the stores that are given: there may be millions of the
    former. The other kinds are kept as they are, without those that no longer count.
    """

    def __init__(self, train: CurveStore, val: CurveStore) -> None:
        self.train_curve = train
        self.val_curve = val
        self.latest = Latest()
        self.start: list[Event] = []
        self.eval: list[Event] = []
        self.samples: list[Event] = []
        self.warnings: list[Event] = []
        self.checkpoints: list[Event] = []
        self.control: list[Event] = []
        self.finish: list[Event] = []
        self._points: dict[object, list[Event]] = {}
        self._lists = {
            "start": self.start,
            "eval": self.eval,
            "sample": self.samples,
            "warning": self.warnings,
            "checkpoint": self.checkpoints,
            "control": self.control,
            "finish": self.finish,
        }

    def extend(self, events: Iterable[Event]) -> None:
        """Append events as `EventTail` gives them. Unknown kinds are passed over."""
        train: list[Event] = []
        for event in events:
            if is_number(time := event.get("time")):
                self.latest.last_time = float(time)
            if event["kind"] == "train":
                train.append(event)
            else:
                self._extend_train(train)
                train = []
                self._add(event)
        self._extend_train(train)

    def evaluations(self, split: str) -> list[Event]:
        """The points of a split's curve, the steps ascending."""
        return self._points.get(split, [])

    def distinct_warnings(self) -> list[Event]:
        """The warnings that count, in order, each message once; of a `nan` warning, which counts up, the last."""
        found: dict[tuple[object, str], Event] = {}
        for event in self.warnings:
            what, message = event.get("what"), str(event.get("message"))
            key = (what, re.sub(r"\d+", "", message) if what == "nan" else message)
            found.pop(key, None)
            found[key] = event
        return list(found.values())

    def _extend_train(self, events: list[Event]) -> None:
        if events:
            self.train_curve.extend(events)
            self.latest.train, self.latest.finish = events[-1], None

    def _add(self, event: Event) -> None:
        kind, latest = event["kind"], self.latest
        if kind == "start":
            latest.start, latest.finish, latest.heartbeat = event, None, None
            self._rewind(rewound_to(event))
        elif kind == "finish":
            latest.finish = event
        elif kind == "heartbeat":
            latest.heartbeat = event
        elif kind == "eval":
            latest.finish = None
            self._take_figures(event)
            self._take_point(event)
        if kind in self._lists:
            self._lists[kind].append(event)

    def _take_figures(self, evaluation: Event) -> None:
        if is_best(evaluation):
            self.latest.best, self.latest.test = evaluation, None
        elif is_test(evaluation):
            self.latest.test = evaluation

    def _take_point(self, evaluation: Event) -> None:
        split = evaluation.get("split")
        if not isinstance(split, str):
            return
        points = self._points.setdefault(split, [])
        if is_point(evaluation, points[-1] if points else None):
            points.append(evaluation)
            if split == "val":
                self.val_curve.extend([evaluation])

    def _rewind(self, step: float) -> None:
        self.train_curve.rewind(step)
        self.val_curve.rewind(step)
        for events in (*(self._lists[kind] for kind in REWOUND if kind != "train"), *self._points.values()):
            events[:] = [event for event in events if survives(event, step)]
        if self.latest.train is not None and not survives(self.latest.train, step):
            self.latest.train = self.train_curve.last()
        self.latest.best = self.latest.test = None
        for evaluation in self.eval:
            self._take_figures(evaluation)
