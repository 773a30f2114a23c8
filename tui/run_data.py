"""One run's events as columns, kept up while the file grows, and the curves made of them."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lmcore.runs import EventTail, Fold, Scoring
from lmcore.runs.events import Event, number
from tui.charts.decimate import Pyramid
from tui.charts.growing import Floats, Growing
from tui.charts.smoothing import Ema

if TYPE_CHECKING:
    from lmcore.config import Config

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

    def extend(self, events: list[Event]) -> None:
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

    def last(self) -> Event | None:
        """What is left of the last event: the fields that have a column."""
        if not len(self):
            return None
        values = {field: float(column.values[-1]) for field, column in self._columns.items()}
        return {field: value for field, value in values.items() if math.isfinite(value)}


class RunData:
    """The events of one run, and its settings where they can be read. A worker calls `poll`; whoever reads holds
    `lock`, so that all columns end at the same event.
    """

    def __init__(self, path: Path, config: Config | None = None) -> None:
        self.config = config
        self.lock = threading.RLock()
        self.version = 0
        self._tail = EventTail(path)
        self._resets = 0
        self._clear()

    def _clear(self) -> None:
        self.train = Columns(TRAIN_FIELDS, MAX_TRAIN)
        self.val = Columns(VAL_FIELDS)
        self._fold = Fold(self.train, self.val)
        self._curves: dict[tuple[str, float], _Curve] = {}

    def poll(self) -> list[Event]:
        """Read what was appended (some megabytes at most: call again while it returns events) and return it."""
        events = self._tail.poll()
        with self.lock:
            if self._tail.resets != self._resets:
                self._resets = self._tail.resets
                self._clear()
            self._fold.extend(events)
            self.version += bool(events)
        return events

    @property
    def start(self) -> Event:
        """The last `start`; this and the next ones are empty while there is none."""
        return self._fold.latest.start or {}

    @property
    def finish(self) -> Event:
        """The `finish` of the last process."""
        return self._fold.latest.finish or {}

    @property
    def last_train(self) -> Event:
        """The last train event."""
        return self._fold.latest.train or {}

    @property
    def last_val(self) -> Event:
        """The last point of the validation curve."""
        points = self._fold.evaluations("val")
        return points[-1] if points else {}

    @property
    def best(self) -> Event:
        """The best evaluation."""
        return self._fold.latest.best or {}

    @property
    def samples(self) -> list[Event]:
        """The samples that count."""
        return self._fold.samples

    @property
    def warnings(self) -> list[Event]:
        """The warnings that count."""
        return self._fold.warnings

    @property
    def control(self) -> dict[str, Event]:
        """The last answer to each request, by the request's id."""
        return {event["id"]: event for event in self._fold.control if isinstance(event.get("id"), str)}

    @property
    def scoring(self) -> Scoring | None:
        """The scoring that goes on, if one does."""
        return self._fold.latest.scoring

    @property
    def paused(self) -> bool:
        """Whether the process waits to be resumed."""
        latest = self._fold.latest
        return latest.finish is None and latest.heartbeat is not None and bool(latest.heartbeat.get("paused"))

    def columns(self, kind: str, fields: Iterable[str]) -> dict[str, Floats]:
        """Fields of the `train` events or of the `val` curve's points, as `History.columns` gives them."""
        columns = {"train": self.train, "val": self.val}[kind]
        return {field: columns[field] for field in fields}

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
