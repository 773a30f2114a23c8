"""What an event file says about its run now, from its first line and its end: cheap for files of any length."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmcore.runs.lines import parse_line

Event = dict[str, Any]
TAIL_BYTES = 1 << 16
SEARCH_BYTES = 1 << 20


@dataclass
class Glance:
    """The events that decide a run's state and its line in a table; each is the last of its kind, and None when there
    is none.
    """

    start: Event | None = None
    train: Event | None = None
    val: Event | None = None
    best: Event | None = None
    test: Event | None = None
    heartbeat: Event | None = None
    finish: Event | None = None
    last_time: float | None = None


def glance(path: Path) -> Glance:
    """Look at an event file.

    `finish` and `heartbeat` are those after the last `start`; what the last `start` rewound does not count. `best` is
    the last val evaluation marked best, and is not looked for far back if the summary of `finish` tells its figures;
    `val` and `test` are only looked for at the end of the file.
    """
    try:
        file = path.open("rb", buffering=0)
    except FileNotFoundError:
        return Glance()
    with file:
        size = os.fstat(file.fileno()).st_size
        begin = max(0, size - TAIL_BYTES)
        tail = os.pread(file.fileno(), size - begin, begin)
        cut = tail.find(b"\n") + 1 if begin > 0 else 0
        found = Glance()
        _read_tail(tail[cut:].split(b"\n")[:-1], found)
        if begin > 0:
            _search_rest(_Search(file.fileno(), begin + cut), found)
    return found


def _read_tail(lines: list[bytes], found: Glance) -> None:
    """Fill in from the newest line to the oldest."""
    for line in reversed(lines):
        # Most lines are train events, of which only the newest matters: the others need no parsing.
        if found.train is not None and line.startswith(b'{"kind": "train"'):
            continue
        event = parse_line(line)
        if event is None or not isinstance(event.get("kind"), str):
            continue
        kind = event["kind"]
        if found.last_time is None and isinstance(event.get("time"), int | float):
            found.last_time = float(event["time"])
        if kind in ("heartbeat", "finish"):
            if found.start is None and getattr(found, kind) is None:
                setattr(found, kind, event)
        elif kind == "start":
            found.start = found.start or event
        elif kind == "train" and found.train is None and _counts(event, found.start):
            found.train = event
        elif kind == "eval" and _counts(event, found.start):
            _take_eval(event, found)


def _take_eval(event: Event, found: Glance) -> None:
    split = event.get("split")
    if split in ("val", "test") and getattr(found, split) is None:
        setattr(found, split, event)
    if split == "val" and event.get("best") is True and found.best is None:
        found.best = event


def _search_rest(search: _Search, found: Glance) -> None:
    """What the tail did not show."""
    if found.start is None:
        found.start = (
            search.start_of(found.heartbeat)
            or search.start_of(found.finish)
            or search.last("start", lambda event: True)
        )
    start = found.start
    if found.train is None:
        found.train = search.last("train", lambda event: _counts(event, start))
    if found.best is None and "val_loss" not in ((found.finish or {}).get("summary") or {}):
        found.best = search.last(
            "eval", lambda event: event.get("split") == "val" and event.get("best") is True and _counts(event, start)
        )


def _counts(event: Event, start: Event | None) -> bool:
    """Whether a train or eval event still counts after the last `start` went back to an earlier step."""
    if start is None or event.get("time", 0) >= start.get("time", 0):
        return True
    resumed_from = start.get("resumed_from")
    return resumed_from is not None and event.get("step", 0) <= resumed_from


class _Search:
    """Looks for events before byte `end` of an open file, where a line begins, without parsing what lies between."""

    def __init__(self, fd: int, end: int) -> None:
        self._fd = fd
        self._end = end

    def start_of(self, event: Event | None) -> Event | None:
        """The `start` that an event's `start_at` names."""
        at = (event or {}).get("start_at")
        if not isinstance(at, int) or not 0 <= at < self._end:
            return None
        start = parse_line(os.pread(self._fd, TAIL_BYTES, at).partition(b"\n")[0])
        return start if start and start.get("kind") == "start" else None

    def last(self, kind: str, wanted: Callable[[Event], bool]) -> Event | None:
        """The last event of that kind that is wanted."""
        needle = f'"{kind}"'.encode()
        end = self._end
        while end > 0:
            begin = max(0, end - SEARCH_BYTES)
            text = os.pread(self._fd, end - begin, begin)
            # The line that `begin` cuts is left to the next round; one longer than a whole round is passed over.
            cut = text.find(b"\n", 0, -1) + 1 if begin > 0 else 0
            at = len(text)
            while (at := text.rfind(needle, cut, at)) >= 0:
                line_begin = text.rfind(b"\n", 0, at) + 1
                line_end = text.find(b"\n", at)
                event = parse_line(text[line_begin : line_end if line_end >= 0 else None])
                if event and event.get("kind") == kind and wanted(event):
                    return event
                at = line_begin
            end = begin + cut
        return None
