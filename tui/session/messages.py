"""What the session and the workers tell the app, which passes it to the open screen. Workers never touch widgets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from textual.notifications import SeverityLevel

    from tui.session.telemetry import Snapshot
    from tui.watcher import RunRow


@dataclass
class RunsChanged(Message):
    """A run was added, removed or renamed, or the state of one changed."""

    rows: list[RunRow]


@dataclass
class CurvesChanged(Message):
    """New events of the runs in `names` were read; their curves have new points."""

    names: frozenset[str]


@dataclass
class RunNotice(Message):
    """A run ended, diverged, overfits or stalls. `what` is its new state, or the kind of the warning."""

    name: str
    what: str
    text: str
    severity: SeverityLevel = "information"


@dataclass
class RequestsChanged(Message):
    """A request to the run `name` was written, acknowledged, done or refused."""

    name: str


@dataclass
class TelemetryChanged(Message):
    """A new reading of GPUs and CPU."""

    snapshot: Snapshot


@dataclass
class OpenScreen(Message):
    """Open one of the five screens."""

    mode: str
