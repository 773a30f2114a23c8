"""One run's events as columns, kept up while the file grows, and the curves made of them."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lmcore.runs import EventTail
from tui.charts.decimate import Pyramid
from tui.charts.growing import Floats, Growing
from tui.charts.smoothing import Ema

X_FIELDS = {"step": "step", "epoch": "epoch", "tokens": "tokens", "time": "seconds"}
"""What the x-axis can show, and the event field for it."""

MAX_TRAIN = 1_000_000
"""Of longer runs, every second train event is dropped again and again, so that memory stays bounded."""


@dataclass(frozen=True)
class Metric:
    """A curve that can be shown: the field in train and in eval events, and whether it is exp of that field."""

    name: str
    title: str
    train: str | None
    val: str | None
    exponential: bool = False


METRICS = {
    metric.name: metric
    for metric in (
        Metric("perplexity", "Perplexity", "loss", "loss", exponential=True),
        Metric("loss", "Loss", "loss", "loss"),
        Metric("lr", "Learning rate", "lr", None),
        Metric("grad_norm", "Gradient norm", "grad_norm", None),
        Metric("tokens_per_second", "Tokens per second", "tokens_per_second", None),
        Metric("accuracy", "Next-token accuracy", None, "accuracy"),
    )
}

TRAIN_FIELDS = ("step", "epoch", "tokens", "seconds", "loss", "lr", "grad_norm", "tokens_per_second")
VAL_FIELDS = ("step", "epoch", "tokens", "seconds", "loss", "perplexity", "accuracy")


class Columns:
    """Events of one kind as float64 columns. Positions never go back: one that is missing repeats the last."""

    def __init__(self, fields: tuple[str, ...], limit: int | None = None) -> None:
        self._columns = {field: Growing() for field in fields}
        self._limit = limit
        self._stride = 1
        self._seen = 0
        self.generation = 0

    def __len__(self) -> int:
        return len(self._columns["step"])

    def __getitem__(self, field: str) -> Floats:
        return self._columns[field].values

    def extend(self, events: list[dict[str, Any]]) -> None:
        """Append events; over the limit, keep every second one from then on."""
        kept = (
            events
            if self._stride == 1
            else [e for number, e in enumerate(events, self._seen) if number % self._stride == 0]
        )
        self._seen += len(events)
        for field, column in self._columns.items():
            values = np.array([number(event.get(field)) for event in kept], dtype=np.float64)
            if field in X_FIELDS.values():
                values = _ascending(values, float(column.values[-1]) if len(column) else 0.0)
            column.extend(values)
        while self._limit is not None and len(self) > self._limit:
            for column in self._columns.values():
                column.halve()
            self._stride *= 2
            self.generation += 1

    def rewind(self, step: float) -> None:
        """Drop what happened after `step`."""
        size = int(np.searchsorted(self["step"], step, side="right"))
        if size < len(self):
            self.generation += 1
            for column in self._columns.values():
                column.cut(size)


class RunData:
    """The events of one run. A worker calls `poll`; whoever reads holds `lock`, so that all columns end at the same
    event.
    """

    def __init__(self, path: Path) -> None:
        self.lock = threading.RLock()
        self.version = 0
        self._tail = EventTail(path)
        self._resets = 0
        self._clear()

    def _clear(self) -> None:
        self.train = Columns(TRAIN_FIELDS, MAX_TRAIN)
        self.val = Columns(VAL_FIELDS)
        self.last_train: dict[str, Any] = {}
        self.last_val: dict[str, Any] = {}
        self.best: dict[str, Any] = {}
        self.start: dict[str, Any] = {}
        self.finish: dict[str, Any] = {}
        self.samples: list[dict[str, Any]] = []
        self.warnings: list[dict[str, Any]] = []
        self.evals: list[dict[str, Any]] = []
        self.control: dict[str, dict[str, Any]] = {}
        self.paused = False
        self._curves: dict[tuple[str, float], _Curve] = {}

    def poll(self) -> list[dict[str, Any]]:
        """Read what was appended (some megabytes at most: call again while it returns events) and return it."""
        events = self._tail.poll()
        with self.lock:
            if self._tail.resets != self._resets:
                self._resets = self._tail.resets
                self._clear()
            self._add(events)
            self.version += bool(events)
        return events

    def _add(self, events: list[dict[str, Any]]) -> None:
        train: list[dict[str, Any]] = []
        for event in events:
            if event["kind"] == "train":
                train.append(event)
            else:
                # In order: a start may take back train events before it.
                self._add_train(train)
                train = []
                self._add_other(event)
        self._add_train(train)

    def _add_train(self, events: list[dict[str, Any]]) -> None:
        if events:
            self.train.extend(events)
            self.last_train = events[-1]

    def _add_other(self, event: dict[str, Any]) -> None:
        kind = event["kind"]
        if kind == "start":
            self._rewind(event)
        elif kind == "eval" and event.get("split", "val") == "val":
            self.evals.append(event)
            self.val.extend([event])
            self.last_val = event
            if event.get("best"):
                self.best = event
        elif kind == "sample":
            self.samples.append(event)
        elif kind == "warning":
            self.warnings.append(event)
        elif kind == "control" and isinstance(event.get("id"), str):
            self.control[event["id"]] = event
        elif kind == "heartbeat":
            self.paused = bool(event.get("paused"))
        elif kind == "finish":
            self.finish = event
            self.paused = False

    def _rewind(self, start: dict[str, Any]) -> None:
        last = number(start.get("resumed_from"))
        last = -1.0 if math.isnan(last) else last
        self.start, self.finish, self.paused = start, {}, False
        self.train.rewind(last)
        self.val.rewind(last)
        self.evals = [event for event in self.evals if number(event.get("step")) <= last]
        self.samples = [event for event in self.samples if number(event.get("step")) <= last]
        self.last_val = self.evals[-1] if self.evals else {}
        self.best = next((event for event in reversed(self.evals) if event.get("best")), {})
        if number(self.last_train.get("step")) > last:
            self.last_train = {}

    def curve(self, metric: str, split: str, smoothing: float = 0.0) -> Pyramid | None:
        """A metric's values over all events of a split (`train` or `val`), reduced as charts need it; None where it has
        none.
        """
        chosen = METRICS[metric]
        field = chosen.train if split == "train" else chosen.val
        if field is None:
            return None
        columns = self.train if split == "train" else self.val
        key = (f"{split}.{metric}", smoothing)
        if key not in self._curves or self._curves[key].generation != columns.generation:
            self._curves[key] = _Curve(smoothing, columns.generation)
        curve = self._curves[key]
        fresh = columns[field][len(curve.pyramid) :]
        if len(fresh):
            values = np.exp(np.minimum(fresh, 700.0)) if chosen.exponential else fresh
            curve.pyramid.extend(curve.ema.push(values))
        return curve.pyramid

    def x(self, split: str, x_kind: str) -> Floats:
        """Positions of the events of a split on an x-axis."""
        return (self.train if split == "train" else self.val)[X_FIELDS[x_kind]]

    def x_of_step(self, step: float, x_kind: str) -> float | None:
        """Where a step lies on an x-axis; None before the first event."""
        for columns in (self.train, self.val):
            if len(columns):
                return float(np.interp(step, columns["step"], columns[X_FIELDS[x_kind]]))
        return None

    def step_at(self, x: float, x_kind: str) -> int | None:
        """The step at a place on an x-axis; None before the first event."""
        for columns in (self.train, self.val):
            if len(columns):
                return round(float(np.interp(x, columns[X_FIELDS[x_kind]], columns["step"])))
        return None


class _Curve:
    """A reduced curve, the average behind it, and the state of the columns that it was made from."""

    def __init__(self, smoothing: float, generation: int) -> None:
        self.pyramid = Pyramid()
        self.ema = Ema(smoothing)
        self.generation = generation


def number(value: object) -> float:
    """A number of an event as a float; NaN for what is missing or no number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def lr_changes(steps: Floats, lr: Floats) -> list[float]:
    """Steps at which a learning rate that was level fell by a twentieth or more; a smooth schedule has none."""
    if len(lr) < 3:
        return []
    level = np.isclose(lr[1:-1], lr[:-2], rtol=1e-3, atol=0.0)
    fell = lr[2:] < 0.95 * lr[1:-1]
    return [float(step) for step in steps[2:][level & fell]]


def _ascending(values: Floats, before: float) -> Floats:
    values = np.where(np.isfinite(values), values, -np.inf)
    return np.maximum.accumulate(np.concatenate(([before], values)))[1:]
