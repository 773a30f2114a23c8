"""What the screens share: the runs and what has been read of them, the selection, the settings, and open requests."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from lmcore.runs import Run, remove_run, rename_run
from tui.session.messages import (
    CurvesChanged,
    OpenScreen,
    RequestsChanged,
    RunNotice,
    RunsChanged,
    TelemetryChanged,
)
from tui.session.pace import Pace
from tui.session.pending import PendingRequests
from tui.settings import load_settings
from tui.watcher import ACTIVE, RunRow, Update, Watcher

if TYPE_CHECKING:
    from textual.message import Message
    from textual.notifications import SeverityLevel

    from tui.run_data import RunData
    from tui.session.telemetry import Snapshot

log = logging.getLogger("lm.tui")

ROWS_SECONDS = 1.0
TELEMETRY_SECONDS = 1.0
TELEMETRY_SECONDS_IN_BACKGROUND = 5.0


class Session:
    """The state of one `lm tui`. Every screen is given it; no screen knows the app.

    Args:
        post: Sends a message to the app, which passes it on to the open screen. Called from any thread.
        root: The runs directory; None: the default one.
        run: The run to open on, instead of the one that was selected last.

    Attributes:
        rows: The list of runs, as of the last `RunsChanged`.
        selected: Name of the run that the keys act on.
        machine: The newest reading of GPUs and CPU.
    """

    def __init__(self, post: Callable[[Message], object], root: Path | None = None, run: str | None = None) -> None:
        self.settings = load_settings()
        self.watcher = Watcher(root)
        self.pending = PendingRequests()
        self.rows: list[RunRow] = []
        self.machine: Snapshot | None = None
        self.selected: str | None = run or self.settings.run or None
        if run:
            self.settings.mode = "watch"
        self._post = post
        self._wake = threading.Event()
        self._closed = threading.Event()

    def close(self) -> None:
        """End `read_runs` and `read_machine`, and save the settings."""
        self._closed.set()
        self._wake.set()
        self.remember()

    def remember(self) -> None:
        """Save the settings; also while the app runs, because a terminal that is killed gives no notice."""
        self.settings.run = self.selected or ""
        self.settings.save()

    def open_screen(self, mode: str) -> None:
        """Ask the app to open another screen."""
        self._post(OpenScreen(mode))

    # The runs.

    @property
    def root(self) -> Path:
        """The runs directory."""
        return self.watcher.root

    @property
    def data(self) -> Mapping[str, RunData]:
        """What has been read of the runs that are followed, by name."""
        return self.watcher.data

    @property
    def overlay(self) -> list[str]:
        """Names of the runs that are drawn together, in the order in which they were chosen."""
        return self.settings.overlay

    @property
    def active(self) -> list[str]:
        """Names of the runs whose process is running."""
        return [row.name for row in self.rows if row.state in ACTIVE]

    @property
    def training(self) -> bool:
        """Whether a run is training on this machine, or is paused."""
        return any(row.state in ("running", "paused") for row in self.rows)

    def run(self, name: str) -> Run:
        """The run of that name."""
        return self.watcher.run(name)

    def row(self, name: str | None) -> RunRow | None:
        """The row of that run; None when it is not in the list."""
        return next((row for row in self.rows if row.name == name), None)

    def follow(self, names: frozenset[str]) -> None:
        """Read the curves of these runs from now on, and those of runs that have not answered a request yet."""
        self.watcher.follow(names | frozenset(self.pending.names()))
        self._wake.set()

    def rescan(self) -> None:
        """Read the list of runs now instead of within a second."""
        self._report(self.watcher.poll_rows())

    # Actions on a run.

    def ask(self, name: str, action: str) -> None:
        """Write a request (pause, resume, checkpoint, stop) into the run's control file.

        Raises:
            LmError: the run is not training.
        """
        self.pending.add(name, action, self.run(name).request(action))
        self._wake.set()
        self._post(RequestsChanged(name))

    def rename(self, name: str, new: str) -> None:
        """Rename a run; selection and overlay keep it.

        Raises:
            LmError: the run is training, or there is a run of that name.
        """
        rename_run(self.run(name), new)
        self.overlay[:] = [new if other == name else other for other in self.overlay]
        self.selected = new
        self.rescan()

    def delete(self, name: str) -> None:
        """Delete a run.

        Raises:
            LmError: the run is training.
        """
        remove_run(self.run(name))
        self.overlay[:] = [other for other in self.overlay if other != name]
        self.selected = None
        self.rescan()

    # What worker threads do until `close`.

    def read_runs(self) -> None:
        """Read the runs and post what changed."""
        pace, looked = Pace(), 0.0
        while not self._closed.is_set():
            try:
                if time.monotonic() - looked >= ROWS_SECONDS:
                    self._report(self.watcher.poll_rows())
                    looked = time.monotonic()
                self._report(self.watcher.poll_curves())
            except Exception as error:
                # The disk may come back: log it, and look again more slowly.
                log.error("reading the runs failed", exc_info=error)
                self._wake.wait(ROWS_SECONDS)
            self._wake.wait(pace.pause(hurried=not self.active or bool(self.pending.waiting())))
            self._wake.clear()

    def read_machine(self) -> None:
        """Read GPUs and CPU and post each reading: every second while the Machine screen is open, else less often."""
        from tui.session.telemetry import read

        read_at = 0.0
        while not self._closed.is_set():
            pause = TELEMETRY_SECONDS if self.settings.mode == "machine" else TELEMETRY_SECONDS_IN_BACKGROUND
            if time.monotonic() - read_at >= pause:
                read_at = time.monotonic()
                pids = {row.name: row.pid for row in self.rows if row.pid is not None and row.state in ACTIVE}
                self._post(TelemetryChanged(read(time.time(), pids)))
            self._closed.wait(TELEMETRY_SECONDS)

    def _report(self, update: Update) -> None:
        if update.rows is not None:
            self._post(RunsChanged(update.rows))
        if update.changed:
            self._post(CurvesChanged(update.changed))
        for notice in update.notices:
            self._post(RunNotice(notice.run, notice.what, notice.text, cast("SeverityLevel", notice.severity)))
