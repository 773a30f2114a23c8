"""Reading the runs directory for the screen: cheap rows for all runs, whole curves for the chosen ones only."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmcore.errors import LmError
from lmcore.runs import Run, Scoring, list_runs, runs_root

if TYPE_CHECKING:
    from tui.run_data import RunData

ACTIVE = ("running", "paused", "stale")
SEVERITY = {"finished": "information", "stopped": "information", "crashed": "error", "stale": "warning"}
ENDED_TEXT = {
    "finished": "finished",
    "stopped": "stopped",
    "crashed": "ended with an error or its process died",
    "stale": "has not reported for a minute",
}
ALARMS = {"nan": "warning", "divergence": "error", "plateau": "warning", "overfit": "warning", "disk": "error"}
"""Warnings that are worth a toast, and how loud."""
MAX_FOLLOWED = 8
"""How many active runs are followed for their toasts although they are not on the chart."""


@dataclass(frozen=True)
class RunRow:
    """One line of the run list: everything in it is cheap to read."""

    name: str
    state: str
    architecture: str
    optimizer: str = ""
    dataset: str = ""
    step: int = 0
    total_steps: int = 0
    val_perplexity: float | None = None
    modified: float = 0.0
    mark: str = ""
    pid: int | None = None
    scoring: Scoring | None = None
    summary: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def progress(self) -> float | None:
        """Share of the steps done; None when nobody knows how many there are."""
        return min(self.step / self.total_steps, 1.0) if self.total_steps else None


@dataclass(frozen=True)
class Notice:
    """Something that a person wants to know: `what` is a state or a warning's kind."""

    run: str
    what: str
    text: str
    severity: str


@dataclass
class Update:
    """What one round of reading found."""

    rows: list[RunRow] | None = None
    changed: frozenset[str] = frozenset()
    notices: list[Notice] = field(default_factory=list)


class Watcher:
    """Reads runs; knows nothing of the screen. One thread calls `poll`; others call `follow` and read `data`."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = runs_root() if root is None else root
        self.data: dict[str, RunData] = {}
        self._runs: dict[str, Run] = {}
        self._rows: dict[str, tuple[tuple[int, int], RunRow]] = {}
        self._marks: dict[str, str] = {}
        self._wanted: frozenset[str] = frozenset()
        self._root_seen: int | None = None
        self._last_rows: list[RunRow] | None = None
        self._opened = time.time()
        self._lock = threading.Lock()

    def run(self, name: str) -> Run:
        """The run of that name."""
        return self._runs.get(name) or Run(self.root / name)

    def follow(self, names: frozenset[str]) -> None:
        """From now on read the curves of these runs; those of others are forgotten."""
        with self._lock:
            self._wanted = names

    def poll_rows(self) -> Update:
        """Look at all runs; rows only if one of them is new."""
        self._list_runs()
        rows = [self._row(run) for run in self._runs.values()]
        if rows == self._last_rows:
            return Update()
        notices = self._state_notices(rows)
        self._last_rows = rows
        return Update(rows=rows, notices=notices)

    def poll_curves(self) -> Update:
        """Read on in the followed runs, some megabytes each at most."""
        changed, notices = set(), []
        for name in self._followed():
            data = self.data.get(name)
            if data is None:
                data = self._open(name)
                changed.add(name)  # also when it has no events: then that is to be shown
            events = data.poll()
            if events:
                changed.add(name)
                notices += self._alarms(name, events)
        return Update(changed=frozenset(changed), notices=notices)

    def _list_runs(self) -> None:
        # The folder's own time changes when a run comes, goes or is renamed: no need to look into 500 of them each
        # second.
        try:
            seen = self.root.stat().st_mtime_ns
        except OSError:
            seen = None
        if seen is not None and seen == self._root_seen and time.time_ns() - seen > 2_000_000_000:
            return
        self._root_seen = seen
        known = self._runs
        self._runs = {run.name: known.get(run.name, run) for run in list_runs(self.root)}
        for gone in known.keys() - self._runs.keys():
            self._rows.pop(gone, None)
            self.data.pop(gone, None)

    def _row(self, run: Run) -> RunRow:
        """The run's row, made anew only if its events changed, or while it is active and time may change its state."""
        try:
            status = os.stat(run.events_path)
            key = (status.st_size, status.st_mtime_ns)
        except OSError:
            key = (0, 0)
        known = self._rows.get(run.name)
        if (
            known
            and known[0] == key
            and known[1].mark == self._marks.get(run.name, "")
            and (known[1].state not in ACTIVE or known[1].state == run.state())
        ):
            return known[1]
        row = _make_row(run, self._marks.get(run.name, ""))
        self._rows[run.name] = (key, row)
        return row

    def _followed(self) -> list[str]:
        active = [row.name for row in self._last_rows or [] if row.state in ACTIVE][:MAX_FOLLOWED]
        with self._lock:
            wanted = self._wanted
        names = [name for name in self._runs if name in wanted or name in active]
        for name in self.data.keys() - set(names):
            self.data.pop(name, None)
        return names

    def _open(self, name: str) -> RunData:
        # numpy comes with it, after the first paint.
        from tui.run_data import RunData

        run = self._runs[name]
        self.data[name] = RunData(run.events_path, run.known_config())
        return self.data[name]

    def _state_notices(self, rows: list[RunRow]) -> list[Notice]:
        before = {row.name: row.state for row in self._last_rows or []}
        notices = []
        for row in rows:
            if row.state in SEVERITY and before.get(row.name) in ("running", "paused"):
                self._marks[row.name] = row.state
                notices.append(Notice(row.name, row.state, f"{row.name} {ENDED_TEXT[row.state]}.", SEVERITY[row.state]))
        return notices

    def _alarms(self, name: str, events: list[dict[str, Any]]) -> list[Notice]:
        notices = []
        for event in events:
            what = str(event.get("what"))
            if event["kind"] == "warning" and what in ALARMS:
                self._marks[name] = what
                if float(event.get("time") or 0.0) >= self._opened:
                    notices.append(Notice(name, what, str(event.get("message") or what), ALARMS[what]))
            elif event["kind"] == "start":
                self._marks.pop(name, None)
        return notices


def _make_row(run: Run, mark: str) -> RunRow:
    try:
        summary = run.summary()
    except (LmError, OSError):
        # Deleted in this moment, or not readable: the list goes on, the next look decides.
        return RunRow(run.name, "created", "", mark=mark)
    layers = summary.get("n_layer")
    latest = run.latest()
    pid = (latest.start or {}).get("pid")
    architecture = str(summary.get("architecture") or "")
    return RunRow(
        name=run.name,
        state=str(summary["state"]),
        architecture=f"{architecture}×{layers}" if architecture and layers else architecture,
        optimizer=str(summary.get("optimizer") or ""),
        dataset=Path(str(summary.get("dataset") or "")).name,  # of a path, the part that tells texts apart
        step=int(summary.get("step") or 0),
        total_steps=int(summary.get("total_steps") or 0),
        val_perplexity=summary.get("val_perplexity"),
        modified=float(summary.get("when") or 0.0),
        mark=mark,
        pid=pid if isinstance(pid, int) else None,
        scoring=latest.scoring,
        summary=summary,
    )
