"""What happened in a run: `events.jsonl`, one JSON object a line (docs/design.md, "Events")."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any, TypeGuard

from lmcore.runs.lines import CHUNK_BYTES, LineTail, LineWriter, parse_line

EVENTS_FILE = "events.jsonl"
Event = dict[str, Any]
# Kinds that say what happened at a step, and are nothing without it.
STEPPED = ("train", "eval", "sample", "checkpoint")


def parse_event(line: bytes) -> Event | None:
    """The event on a line, as every reader of a run takes it in; None if the line is no event.

    An event is a JSON object whose `kind` is a string; those that happen at a step have a finite `step`. Other fields
    may be missing or of any type.
    """
    value = parse_line(line)
    return value if value is not None and is_event(value) else None


def is_event(value: dict[str, Any]) -> bool:
    """Whether an object is an event: what `parse_event` checks."""
    kind = value.get("kind")
    return isinstance(kind, str) and (kind not in STEPPED or is_number(value.get("step")))


def is_number(value: object) -> TypeGuard[float]:
    """Whether a field is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def number(value: object) -> float:
    """A field as a float; NaN for what is missing or no number."""
    return float(value) if is_number(value) else math.nan


class EventWriter:
    """Appends events; threads may share one. Each event is a single `write` call, so that readers see whole lines."""

    def __init__(self, path: Path) -> None:
        self._lines = LineWriter(path)
        self._start_at: int | None = None

    def write(self, kind: str, **fields: Any) -> Event:
        """Append an event and return it; its `time` is now, in Unix seconds.

        Numbers that are not finite are written as null. To a heartbeat and a finish, `start_at` is added: where in the
        file their `start` stands, so that a reader finds it without reading what lies between.

        Raises:
            LmError: the event could not be written, for example because the disk is full.
        """
        event = {"kind": kind, "time": round(time.time(), 3), **fields}
        if kind in ("heartbeat", "finish") and self._start_at is not None:
            event["start_at"] = self._start_at
        at = self._lines.append(event)
        if kind == "start":
            self._start_at = at
        return event

    def close(self) -> None:
        """Close the file; the next `write` opens it again."""
        self._lines.close()


class EventTail:
    """Reads events as they are appended, from the byte `offset` on, where a line begins."""

    def __init__(self, path: Path, *, offset: int = 0) -> None:
        self._lines = LineTail(path, offset=offset)
        self._others = 0

    @property
    def skipped(self) -> int:
        """Lines so far that were not an event (see `parse_event`)."""
        return self._lines.skipped + self._others

    @property
    def resets(self) -> int:
        """How often the file was truncated or replaced: after that, the events come again from the first one."""
        return self._lines.resets

    def poll(self, max_bytes: int = 8 * CHUNK_BYTES) -> list[Event]:
        """Events appended since the last call, in order, at most `max_bytes` of text; unknown kinds included."""
        values = self._lines.poll(max_bytes)
        events = [value for value in values if is_event(value)]
        self._others += len(values) - len(events)
        return events
