"""The app: five screens, the state they share, and the worker that reads the runs."""

from __future__ import annotations

import logging
import logging.handlers
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App, SystemCommand
from textual.screen import Screen

from tui.actions import MODES, actions_for
from tui.messages import CurvesChanged, RequestsChanged, RunNotice, RunsChanged, TelemetryChanged
from tui.screens.base import BaseScreen
from tui.settings import checked_keys, load_settings, state_dir
from tui.theme import DARK, LIGHT, ascii_only

if TYPE_CHECKING:
    from tui.watcher import RunRow

log = logging.getLogger("lm.tui")

LAYOUTS = ("panels", "wide", "one")


def _watch() -> BaseScreen:
    from tui.screens.watch import WatchScreen

    return WatchScreen()


def _presets() -> BaseScreen:
    from tui.screens.presets import PresetsScreen

    return PresetsScreen()


def _write() -> BaseScreen:
    from tui.screens.write import WriteScreen

    return WriteScreen()


def _compare() -> BaseScreen:
    from tui.screens.compare import CompareScreen

    return CompareScreen()


def _gpu() -> BaseScreen:
    from tui.screens.gpu import GpuScreen

    return GpuScreen()


class LmApp(App[None]):
    """`lm tui`."""

    CSS_PATH = "lm.tcss"
    TITLE = "lm"
    ENABLE_COMMAND_PALETTE = True
    # Screens are imported when they are first opened: the first paint needs only one of them.
    MODES: ClassVar[dict[str, Any]] = {"watch": _watch, "presets": _presets, "write": _write, "compare": _compare, "gpu": _gpu}
    BINDINGS: ClassVar[list[Any]] = []

    def __init__(self, root: Path | None = None, run: str | None = None) -> None:
        super().__init__()
        self.settings = load_settings()
        self.root = root
        self.rows: list[RunRow] = []
        self.selected: str | None = run or self.settings.run or None
        if run:
            self.settings.mode = "watch"
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = self.settings.theme if self.settings.theme in (DARK.name, LIGHT.name) else DARK.name
        self.set_keymap(checked_keys(self.settings.keys))

    def on_load(self) -> None:
        self._log_to_file()

    def on_mount(self) -> None:
        self.set_class(ascii_only(), "-ascii")
        self.switch_mode(self.settings.mode if self.settings.mode in MODES else "watch")

    def on_unmount(self) -> None:
        self.settings.run = self.selected or ""
        self.settings.save()

    def _log_to_file(self) -> None:
        folder = state_dir()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handler = logging.handlers.RotatingFileHandler(folder / "tui.log", maxBytes=1_000_000, backupCount=1, encoding="utf-8", delay=True)
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
        self.switch_mode(mode)

    def action_toggle_theme(self) -> None:
        """Switch between light and dark, and remember it."""
        self.theme = self.settings.theme = LIGHT.name if self.theme == DARK.name else DARK.name

    def action_cycle_layout(self) -> None:
        """Next layout of the panels, remembered."""
        here = LAYOUTS.index(self.settings.layout) if self.settings.layout in LAYOUTS else 0
        self.settings.layout = LAYOUTS[(here + 1) % len(LAYOUTS)]
        if isinstance(self.screen, BaseScreen):
            self.screen.apply_layout(*self.screen.size)

    def action_help(self) -> None:
        """Open the list of keys."""
        from tui.screens.help import HelpScreen

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
        from lmcore.errors import LmError

        try:
            return await super().run_action(*args, **kwargs)
        except LmError as error:
            self.notify(str(error), severity="error")
        except Exception as error:
            log.error("action %s failed", args[0] if args else "", exc_info=error)
            self.notify(f"That failed: {type(error).__name__}: {error}", severity="error")
        return True

    # What workers say, passed to the open screen.

    def on_runs_changed(self, message: RunsChanged) -> None:
        self.rows = message.rows
        for screen in self._open_screens():
            screen.refresh_rows(message.rows)

    def on_curves_changed(self, message: CurvesChanged) -> None:
        self._pass_on(message)

    def on_requests_changed(self, message: RequestsChanged) -> None:
        self._pass_on(message)

    def on_telemetry_changed(self, message: TelemetryChanged) -> None:
        self._pass_on(message)

    def on_run_notice(self, message: RunNotice) -> None:
        self.notify(message.text, title=message.name, severity=message.severity)  # type: ignore[arg-type]

    def _open_screens(self) -> list[BaseScreen]:
        return [screen for screen in self.screen_stack if isinstance(screen, BaseScreen)]

    def _pass_on(self, message: Any) -> None:
        for screen in self._open_screens():
            screen.receive(message)

    # Actions on a run, for every screen that has one.

    def request_run(self, name: str | None, what: str) -> None:
        """Write a request into the run's control file."""

    def rename_run(self, name: str | None) -> None:
        """Ask for a new name, then rename."""

    def delete_run(self, name: str | None) -> None:
        """Ask, then delete."""

    def write_with(self, name: str | None) -> None:
        """Open Write on a run's best checkpoint."""
        self.selected = name
        self.action_open("write")
