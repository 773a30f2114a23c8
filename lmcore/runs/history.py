"""A run's past as training left it: events in order, rewound where the run was resumed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmcore.runs.lines import CHUNK_BYTES, parse_line

if TYPE_CHECKING:
    import numpy as np

Event = dict[str, Any]
# Events of steps after the one that a run was resumed from: they happen again.
REWOUND = ("train", "eval", "sample", "checkpoint")


class History:
    """Everything that happened in a run. Events may be added while it goes on.

    With `max_train`, no more than that many train events are held in memory: of longer runs every second, fourth, ...
    one, evenly, and the newest.
    """

    def __init__(self, events: Iterable[Event] = (), *, max_train: int | None = None) -> None:
        self.start: list[Event] = []
        self.eval: list[Event] = []
        self.samples: list[Event] = []
        self.warnings: list[Event] = []
        self.checkpoints: list[Event] = []
        self.control: list[Event] = []
        self.finish: list[Event] = []
        self.heartbeat: Event | None = None
        self._train = _Thinned(max_train)
        self._lists = {
            "start": self.start,
            "eval": self.eval,
            "sample": self.samples,
            "warning": self.warnings,
            "checkpoint": self.checkpoints,
            "control": self.control,
            "finish": self.finish,
        }
        for event in events:
            self.add(event)

    @classmethod
    def load(cls, path: Path, *, max_train: int | None = None) -> History:
        """Read an event file; empty when there is none. Train events that `max_train` leaves out are not even parsed."""
        history = cls(max_train=max_train)
        left_out = b""
        for line in _lines(path):
            # The prefix that our writer gives to train events; a foreign writer's lines are all parsed.
            is_train = line.startswith(b'{"kind": "train"')
            if is_train and history._train.passes_over():
                left_out = line
                continue
            event = parse_line(line)
            if event is None:
                continue
            if is_train:
                history._train.append(event)
            else:
                history.add(event)
            if is_train or event.get("kind") == "start":
                left_out = b""
        newest = parse_line(left_out)
        if newest is not None:
            history._train.newest = newest
        return history

    @property
    def train(self) -> list[Event]:
        """The train events."""
        return self._train.items()

    def add(self, event: Event) -> None:
        """Append an event; a `start` takes back what happened after the step that it resumed from. Unknown kinds are
        passed over.
        """
        kind = event.get("kind")
        if kind == "train":
            self._train.add(event)
        elif kind == "heartbeat":
            self.heartbeat = event
        elif isinstance(kind, str) and kind in self._lists:
            if kind == "start":
                self._rewind(event.get("resumed_from"))
            self._lists[kind].append(event)

    def evaluations(self, split: str) -> list[Event]:
        """Evaluations of a split as a curve: by step, one a step.

        After the last step the best checkpoint may be scored once more, on all tokens, which is a figure of its own and
        no point of the curve.
        """
        curve: list[Event] = []
        for event in self.eval:
            if event.get("split") == split and (not curve or event.get("step", 0) > curve[-1].get("step", 0)):
                curve.append(event)
        return curve

    def best(self) -> Event | None:
        """The val evaluation that was marked best last: that of the best checkpoint, on all tokens if it was scored so."""
        return next(
            (event for event in reversed(self.eval) if event.get("split") == "val" and event.get("best") is True), None
        )

    def columns(self, kind: str, fields: Iterable[str]) -> dict[str, np.ndarray]:
        """Fields of all events of a kind (`train`, `eval`, ...) as float64 arrays [N]; what is missing or null is NaN."""
        import numpy as np

        events = self.train if kind == "train" else self._lists[kind]
        return {field: np.array([_number(event.get(field)) for event in events], dtype=np.float64) for field in fields}

    def _rewind(self, resumed_from: int | None) -> None:
        # A start that resumes nothing begins anew.
        last = -1 if resumed_from is None else resumed_from
        self._train.keep_until(last)
        for kind in REWOUND[1:]:
            self._lists[kind][:] = [event for event in self._lists[kind] if event.get("step", 0) <= last]


def load_curve(path: Path, kind: str, fields: Iterable[str], max_points: int = 20_000) -> dict[str, np.ndarray]:
    """Columns of an event file of any length: at most `max_points` train events, evenly spaced; every event of the
    other kinds.
    """
    return History.load(path, max_train=max_points).columns(kind, fields)


class _Thinned:
    """A list that never grows over a limit: when it is full, every second item goes, and from then on only every n-th
    comes in.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = max(2, limit) if limit is not None else None
        self._kept: list[Event] = []
        self._stride = 1
        self._seen = 0
        self.newest: Event | None = None

    def add(self, event: Event) -> None:
        if self.passes_over():
            self.newest = event
        else:
            self.append(event)

    def passes_over(self) -> bool:
        """Count an item; whether it is one of those left out."""
        self._seen += 1
        return (self._seen - 1) % self._stride != 0

    def append(self, event: Event) -> None:
        """Take in an item that is counted already."""
        self.newest = None
        self._kept.append(event)
        if self._limit is not None and len(self._kept) > self._limit:
            self.newest = event if len(self._kept) % 2 == 0 else None
            del self._kept[1::2]
            self._stride *= 2

    def items(self) -> list[Event]:
        return [*self._kept, self.newest] if self.newest is not None else self._kept

    def keep_until(self, step: int) -> None:
        self._kept = [event for event in self.items() if event.get("step", 0) <= step]
        self.newest = None
        # The next one comes in, so that no gap is wider than the stride.
        self._seen = len(self._kept) * self._stride


def _lines(path: Path) -> Iterator[bytes]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        rest = b""
        while chunk := file.read(CHUNK_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
