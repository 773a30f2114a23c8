"""The catalogue of messages: what workers tell the screen, and panels tell each other.

Workers never touch widgets. A worker posts one of these to the app; the app passes it to the screen that is open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from tui.telemetry import Snapshot
    from tui.watcher import RunRow


class RunsChanged(Message):
    """The list of runs, or the state of one of them, is not what it was."""

    def __init__(self, rows: list[RunRow]) -> None:
        super().__init__()
        self.rows = rows


class CurvesChanged(Message):
    """New events of the runs in `names` were read; their curves have new points."""

    def __init__(self, names: frozenset[str]) -> None:
        super().__init__()
        self.names = names


class RunNotice(Message):
    """Something happened to a run that a person wants to know: it ended, diverged, overfits or stalls."""

    def __init__(self, name: str, what: str, text: str, severity: str = "information") -> None:
        super().__init__()
        self.name = name
        self.what = what
        self.text = text
        self.severity = severity


class RequestsChanged(Message):
    """A request to a run was written, acknowledged, done or refused."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class TelemetryChanged(Message):
    """A new reading of the cards and the processor."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot


class CursorMoved(Message):
    """The reading cursor of the chart stands at another step; None: it is hidden."""

    def __init__(self, step: int | None) -> None:
        super().__init__()
        self.step = step
