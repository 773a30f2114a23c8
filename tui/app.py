"""The app: five screens, the state they share, and the worker that reads the runs."""

from __future__ import annotations

import gc
import logging
import logging.handlers
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual.app import App, SystemCommand
from textual.screen import Screen
from textual.worker import get_current_worker

from lmcore.errors import LmError
from tui.actions import MODES, actions_for
from tui.messages import CurvesChanged, RequestsChanged, RunNotice, RunsChanged, TelemetryChanged
from tui.pace import Pace
from tui.requests import DONE, Requests
from tui.settings import checked_keys, load_settings, state_dir
from tui.theme import DARK, LIGHT, ascii_only, theme_for
from tui.watcher import ACTIVE, RunRow, Update, Watcher
from tui.widgets.base_screen import BaseScreen
from tui.widgets.header import Header

if TYPE_CHECKING:
    from tui.run_data import RunData
    from tui.telemetry import Snapshot

log = logging.getLogger("lm.tui")

LAYOUTS = ("panels", "wide", "one")
ROWS_SECONDS = 1.0
TELEMETRY_SECONDS = 1.0
GARBAGE_SECONDS = 2.0


def collect_garbage() -> None:
    """Collect garbage from now on (`run_app` turned it off), but do not look again through what the start has made: it
    stays.
    """
    gc.freeze()
    gc.enable()


def _watch() -> BaseScreen:
    from tui.watch.screen import WatchScreen

    return WatchScreen()


def _presets() -> BaseScreen:
    from tui.presets.screen import PresetsScreen

    return PresetsScreen()


def _write() -> BaseScreen:
    from tui.generate.screen import GenerateScreen

    return GenerateScreen()


def _compare() -> BaseScreen:
    from tui.compare.screen import CompareScreen

    return CompareScreen()


def _gpu() -> BaseScreen:
    from tui.machine.screen import MachineScreen

    return MachineScreen()


class LmApp(App[None]):
    """`lm tui`."""

    CSS_PATH = Path(__file__).with_name("lm.tcss")
    TITLE = "lm"
    ENABLE_COMMAND_PALETTE = True
    # Screens are imported when they are first opened: the first paint needs only one of them.
    MODES: ClassVar[dict[str, Any]] = {
        "watch": _watch,
        "presets": _presets,
        "write": _write,
        "compare": _compare,
        "gpu": _gpu,
    }
    BINDINGS: ClassVar[list[Any]] = []

    def __init__(self, root: Path | None = None, run: str | None = None) -> None:
        super().__init__()
        self.settings = load_settings()
        self.rows: list[RunRow] = []
        self.watcher = Watcher(root)
        self.requests = Requests()
        self.machine: Snapshot | None = None
        self._wake = threading.Event()
        self._closing_down = threading.Event()
        self.selected: str | None = run or self.settings.run or None
        if run:
            self.settings.mode = "watch"
        self.use_theme(self.settings.theme)
        self.set_keymap(checked_keys(self.settings.keys))

    def on_load(self) -> None:
        self._log_to_file()

    def on_mount(self) -> None:
        self.set_class(ascii_only(), "-ascii")
        self.switch_mode(self.settings.mode if self.settings.mode in MODES else "watch")
        self.call_after_refresh(self.watch_runs)
        self.call_after_refresh(self.watch_machine)
        self.set_interval(10.0, self.show_status)
        self.set_timer(GARBAGE_SECONDS, collect_garbage)

    def on_unmount(self) -> None:
        self._closing_down.set()
        self._wake.set()
        self.remember()
        for handler in log.handlers:
            log.removeHandler(handler)
            handler.close()

    def remember(self) -> None:
        """Save the settings; also while the app goes on, since a killed terminal gives no notice."""
        self.settings.run = self.selected or ""
        self.settings.save()

    def _log_to_file(self) -> None:
        folder = state_dir()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handler = logging.handlers.RotatingFileHandler(
                folder / "tui.log", maxBytes=1_000_000, backupCount=1, encoding="utf-8", delay=True
            )
        except OSError:
            return  # A home that cannot be written to is no reason not to open.
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.handlers = [handler]
        log.propagate = False

    # Actions that every screen has.

    def action_open(self, mode: str) -> None:
        """Open one of the five screens."""
        if len(self.screen_stack) > 1:
            return  # A dialog is open: it wants its answer first.
        self.settings.mode = mode
        self.remember()
        self.switch_mode(mode)

    def use_theme(self, name: str) -> None:
        """Take on a theme, in what colours the terminal has."""
        theme = theme_for(name, sixteen_colours=self.console.color_system in ("standard", "windows"))
        self.register_theme(theme)
        self.theme = theme.name

    def action_toggle_theme(self) -> None:
        """Switch between light and dark, and remember it."""
        self.settings.theme = LIGHT.name if self.settings.theme != LIGHT.name else DARK.name
        self.use_theme(self.settings.theme)
        for screen in self._open_screens():
            screen.refresh_rows(self.rows)

    def action_cycle_layout(self) -> None:
        """Next layout of the panels, remembered."""
        here = LAYOUTS.index(self.settings.layout) if self.settings.layout in LAYOUTS else 0
        self.settings.layout = LAYOUTS[(here + 1) % len(LAYOUTS)]
        if isinstance(self.screen, BaseScreen):
            self.screen.apply_layout(*self.screen.size)

    def action_help(self) -> None:
        """Open the list of keys."""
        from tui.widgets.help import HelpScreen

        if isinstance(self.screen, BaseScreen):
            self.push_screen(HelpScreen(self.screen.MODE, self.settings.keys))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The command palette: the actions of the screen that is open."""
        if isinstance(screen, BaseScreen):
            for action in actions_for(screen.MODE):
                if action.id != "app.palette":
                    yield SystemCommand(action.title, action.help, partial(screen.run_action, action.command))

    async def run_action(self, *args: Any, **kwargs: Any) -> bool:
        """Run an action; its failure becomes a toast and a line in the log, not the end of the app."""
        try:
            return await super().run_action(*args, **kwargs)
        except LmError as error:
            self.notify(str(error), severity="error")
        except Exception as error:
            log.error("action %s failed", args[0] if args else "", exc_info=error)
            self.notify(f"That failed: {type(error).__name__}: {error}", severity="error")
        return True

    # What workers say, passed to the open screen.

    def show_status(self) -> None:
        """The right end of the top line: runs, how many train, the machine, the time of day."""
        training = sum(row.state in ("running", "paused") for row in self.rows)
        parts = [
            f"{len(self.rows)} run{'s' if len(self.rows) != 1 else ''}",
            *([f"{training} training"] if training else []),
        ]
        parts += [self.machine.headline] if self.machine and self.machine.headline else []
        text = (" | " if ascii_only() else " · ").join([*parts, time.strftime("%H:%M")])
        for screen in self._open_screens():
            screen.query_one(Header).show_status(text)

    def on_runs_changed(self, message: RunsChanged) -> None:
        self.rows = message.rows
        self.show_status()
        for screen in self._open_screens():
            screen.refresh_rows(message.rows)

    def on_curves_changed(self, message: CurvesChanged) -> None:
        for answer in self.requests.answered({name: data.control for name, data in list(self.data.items())}):
            if answer.state in DONE:
                self.notify(
                    answer.text, title=answer.run, severity="warning" if answer.state == "refused" else "information"
                )
            self.post_message(RequestsChanged(answer.run))
        self._pass_on(message)

    def on_requests_changed(self, message: RequestsChanged) -> None:
        self._pass_on(message)

    def on_telemetry_changed(self, message: TelemetryChanged) -> None:
        self.machine = message.snapshot
        self.show_status()
        self._pass_on(message)

    def on_run_notice(self, message: RunNotice) -> None:
        self.notify(message.text, title=message.name, severity=message.severity)  # type: ignore[arg-type]

    def _open_screens(self) -> list[BaseScreen]:
        # One that is opening has no widgets yet; it asks for what it needs itself.
        return [screen for screen in self.screen_stack if isinstance(screen, BaseScreen) and screen.is_mounted]

    def _pass_on(self, message: Any) -> None:
        for screen in self._open_screens():
            screen.receive(message)

    # The runs: what is followed, and what was asked of them.

    @property
    def data(self) -> Mapping[str, RunData]:
        """What has been read of the runs that are followed."""
        return self.watcher.data

    def follow(self, names: frozenset[str]) -> None:
        """Read the curves of these runs from now on."""
        self.watcher.follow(names | frozenset(self.requests.names()))
        self._wake.set()

    def requested(self) -> dict[str, str]:
        """Requests that wait for their run, by its name."""
        return self.requests.waiting()

    def request_texts(self, name: str | None) -> list[str]:
        """What was asked of a run and how far it is, newest last."""
        return self.requests.texts(name) if name else []

    @work(thread=True, exclusive=True, group="watcher", exit_on_error=False)
    def watch_runs(self) -> None:
        """Read the runs until the app ends; messages coalesce to four in a second at most."""
        worker = get_current_worker()
        pace, looked = Pace(), 0.0
        while not worker.is_cancelled:
            try:
                if time.monotonic() - looked >= ROWS_SECONDS:
                    self._report(self.watcher.poll_rows())
                    looked = time.monotonic()
                self._report(self.watcher.poll_curves())
            except Exception as error:
                # The disk may come back: say it, and look again more slowly.
                log.error("reading the runs failed", exc_info=error)
                self._wake.wait(ROWS_SECONDS)
            training = any(row.state in ACTIVE for row in self.rows)
            self._wake.wait(pace.pause(hurried=not training or bool(self.requests.waiting())))
            self._wake.clear()

    @work(thread=True, exclusive=True, group="telemetry", exit_on_error=False)
    def watch_machine(self) -> None:
        """Read the cards and the processor until the app ends: each second while the GPU screen is open, else more
        rarely.
        """
        from tui.telemetry import read

        worker = get_current_worker()
        while not worker.is_cancelled:
            pids = {row.name: row.pid for row in self.rows if row.pid is not None and row.state in ACTIVE}
            self.post_message(TelemetryChanged(read(time.time(), pids)))
            for _ in range(1 if self.settings.mode == "gpu" else 5):
                if self._closing_down.wait(TELEMETRY_SECONDS) or self.settings.mode == "gpu":
                    break

    def _report(self, update: Update) -> None:
        if update.rows is not None:
            self.post_message(RunsChanged(update.rows))
        if update.changed:
            self.post_message(CurvesChanged(update.changed))
        for notice in update.notices:
            self.post_message(RunNotice(notice.run, notice.what, notice.text, notice.severity))

    # Actions on a run, for every screen that has one.

    def request_run(self, name: str | None, what: str) -> None:
        """Write a request into the run's control file; it counts as requested until the run answers."""
        if name is None:
            self.notify("There is no run to ask.", severity="warning")
            return
        self.requests.add(name, what, self.watcher.run(name).request(what))
        self._wake.set()
        self.post_message(RequestsChanged(name))

    def rename_run(self, name: str | None) -> None:
        """Ask for a new name, then rename."""
        if name is None:
            return
        from lmcore.runs import rename_run
        from tui.widgets.dialogs import AskName

        run = self.watcher.run(name)

        def rename(new: str | None) -> None:
            if new and new != name:
                self._try(lambda: rename_run(run, new))
                self.settings.overlay = [new if other == name else other for other in self.settings.overlay]
                self.selected = new
                self.rescan()

        self.push_screen(AskName(f"A new name for {name}:", name, self._name_problem), rename)

    def _name_problem(self, new: str) -> str:
        from lmcore.runs.store import check_name

        try:
            check_name(new)
        except LmError as error:
            return str(error)
        return ""

    def delete_run(self, name: str | None) -> None:
        """Ask, then delete."""
        if name is None:
            return
        from lmcore.runs import remove_run
        from tui.widgets.dialogs import Confirm

        run = self.watcher.run(name)
        if run.is_active():
            self.notify(f"{name} is still training: stop it first.", severity="warning")
            return

        def delete(yes: bool | None) -> None:
            if yes and self._try(lambda: remove_run(run)):
                self.settings.overlay = [other for other in self.settings.overlay if other != name]
                self.selected = None
                self.notify(f"{name} is deleted.")
                self.rescan()

        self.push_screen(
            Confirm(f"Delete {name} with its {len(run.checkpoints())} checkpoints? This cannot be undone.", "Delete"),
            delete,
        )

    def _try(self, act: Callable[[], object]) -> bool:
        """Do it; what a person can mend becomes a toast."""
        try:
            act()
        except LmError as error:
            self.notify(str(error), severity="error")
            return False
        return True

    def rescan(self) -> None:
        """Look at the list of runs now, not at the next second."""
        update = self.watcher.poll_rows()
        if update.rows is not None:
            self.post_message(RunsChanged(update.rows))

    def write_with(self, name: str | None) -> None:
        """Open Write on a run's best checkpoint."""
        if name is None:
            return
        self.selected = name
        if name is not None:
            self.settings.sources = [f"{name}:best"]
        self.action_open("write")
