"""A run's past, in memory: the fold of its events with the train events as they are, thinned where there are many."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lmcore.runs.events import Event, is_number, number, parse_event
from lmcore.runs.fold import Fold, survives
from lmcore.runs.lines import CHUNK_BYTES

if TYPE_CHECKING:
    import numpy as np

# The prefix that our writer gives to train events; a foreign writer's lines are all parsed.
TRAIN_PREFIX = b'{"kind": "train"'


class History(Fold):
    """Everything that happened in a run and still counts.

    `offset` is the byte of the file that `EventTail` goes on from.

    With `max_train`, no more than that many train events are held in memory: of longer runs every second, fourth, ...
    one, evenly, and the newest.
    """

    def __init__(self, events: Iterable[Event] = (), *, max_train: int | None = None) -> None:
        self.offset = 0
        self._train = _Thinned(max_train)
        super().__init__(self._train, _Thinned(None))
        self.extend(events)

    @classmethod
    def load(cls, path: Path, *, max_train: int | None = None) -> History:
        """Read an event file; empty when there is none. Train events left out by `max_train` are not even parsed."""
        history = cls(max_train=max_train)
        left_out: deque[bytes] = deque(maxlen=16)  # the newest; more than one, as some may be half a line
        for line in _lines(path):
            history.offset += len(line) + 1
            if line.startswith(TRAIN_PREFIX) and history._train.leaves_out_next():
                history._train.skip()
                left_out.append(line)
            elif (event := parse_event(line)) is not None:
                history._note_newest(left_out)
                history.extend([event])
        history._note_newest(left_out)
        return history

    @property
    def train(self) -> list[Event]:
        """The train events."""
        return self._train.items()

    def columns(self, kind: str, fields: Iterable[str]) -> dict[str, np.ndarray]:
        """Fields of the `train` events or of the `val` curve's points as float64 arrays [N]; what is missing is NaN."""
        import numpy as np

        events = {"train": self.train, "val": self.evaluations("val")}[kind]
        return {field: np.array([number(event.get(field)) for event in events], dtype=np.float64) for field in fields}

    def _note_newest(self, left_out: deque[bytes]) -> None:
        """Of train events that were left out, the newest is known all the same."""
        newest = next((event for line in reversed(left_out) if (event := parse_event(line)) is not None), None)
        left_out.clear()
        if newest is not None:
            self._train.newest = self.latest.train = newest
            if is_number(time := newest.get("time")):
                self.latest.last_time = float(time)


def load_curve(path: Path, kind: str, fields: Iterable[str], max_points: int = 20_000) -> dict[str, np.ndarray]:
    """`History.columns` of an event file of any length: at most `max_points` train events, evenly spaced; every point
    of the val curve.
    """
    return History.load(path, max_train=max_points).columns(kind, fields)


class _Thinned:
    """A list of events that never grows over a limit: when it is full, every second one goes, and from then on only
    every n-th comes in.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = max(2, limit) if limit is not None else None
        self._kept: list[Event] = []
        self._stride = 1
        self._seen = 0
        self.newest: Event | None = None

    def extend(self, events: list[Event]) -> None:
        for event in events:
            if self.leaves_out_next():
                self.newest = event
            else:
                self._append(event)
            self._seen += 1

    def leaves_out_next(self) -> bool:
        return self._seen % self._stride != 0

    def skip(self) -> None:
        """Count an event that is left out."""
        self._seen += 1

    def items(self) -> list[Event]:
        return [*self._kept, self.newest] if self.newest is not None else self._kept

    def last(self) -> Event | None:
        return self.newest or (self._kept[-1] if self._kept else None)

    def rewind(self, step: float) -> None:
        self._kept = [event for event in self.items() if survives(event, step)]
        self.newest = None
        # The next one comes in, so that no gap is wider than the stride.
        self._seen = len(self._kept) * self._stride

    def _append(self, event: Event) -> None:
        self.newest = None
        self._kept.append(event)
        if self._limit is not None and len(self._kept) > self._limit:
            self.newest = event if len(self._kept) % 2 == 0 else None
            del self._kept[1::2]
            self._stride *= 2


def _lines(path: Path) -> Iterator[bytes]:
    """The whole lines of a file; none if there is no file."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        rest = b""
        while chunk := file.read(CHUNK_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines
