"""What happened in a run: `events.jsonl`, one JSON object a line (docs/design.md, "Events")."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from lmcore.runs.lines import CHUNK_BYTES, LineTail, LineWriter

EVENTS_FILE = "events.jsonl"


class EventWriter:
    """Appends events; threads may share one. Each event is a single `write` call, so that readers see whole lines."""

    def __init__(self, path: Path) -> None:
        self._lines = LineWriter(path)
        self._start_at: int | None = None

    def write(self, kind: str, **fields: Any) -> dict[str, Any]:
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
    """Reads events as they are appended. `skipped` counts lines that are no events, `resets` how often the file began
    anew.
    """

    def __init__(self, path: Path) -> None:
        self._lines = LineTail(path)
        self._nameless = 0

    @property
    def skipped(self) -> int:
        """Lines so far that were not an event: no JSON object, or one without a `kind`."""
        return self._lines.skipped + self._nameless

    @property
    def resets(self) -> int:
        """How often the file was truncated or replaced: after that, the events come again from the first one."""
        return self._lines.resets

    def poll(self, max_bytes: int = 8 * CHUNK_BYTES) -> list[dict[str, Any]]:
        """Events appended since the last call, in order, at most `max_bytes` of text; unknown kinds included."""
        values = self._lines.poll(max_bytes)
        events = [value for value in values if isinstance(value.get("kind"), str)]
        self._nameless += len(values) - len(events)
        return events
