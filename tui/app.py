"""The app: it opens the five screens, runs the workers that read, and passes on what they post."""

from __future__ import annotations

import gc
import logging
import logging.handlers
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual.app import App, SystemCommand
from textual.filter import LineFilter
from textual.screen import Screen

from lmcore.errors import LmError
from tui.actions.table import MODES, actions_for
from tui.ascii import AsciiOnly
from tui.session import Session
from tui.session.messages import (
    CurvesChanged,
    OpenScreen,
    RequestsChanged,
    RunNotice,
    RunsChanged,
    TelemetryChanged,
)
from tui.session.pending import DONE
from tui.settings import checked_keys, state_dir
from tui.theme import DARK, LIGHT, ascii_only, theme_for
from tui.widgets.base_screen import BaseScreen
from tui.widgets.header import Header

if TYPE_CHECKING:
    from textual.message import Message

log = logging.getLogger("lm.tui")

LAYOUTS = ("panels", "wide", "one")
GARBAGE_SECONDS = 2.0


def collect_garbage() -> None:
    """Collect garbage from now on (`run_app` turned it off), but do not look again through what the start has made: it
    stays.
    """
    gc.freeze()
    gc.enable()


# Screens are imported when they are first opened: the first paint needs only one of them.


def _watch(session: Session) -> BaseScreen:
    from tui.watch.screen import WatchScreen

    return WatchScreen(session)


def _presets(session: Session) -> BaseScreen:
    from tui.presets.screen import PresetsScreen

    return PresetsScreen(session)


def _generate(session: Session) -> BaseScreen:
    from tui.generate.screen import GenerateScreen

    return GenerateScreen(session)


def _compare(session: Session) -> BaseScreen:
    from tui.compare.screen import CompareScreen

    return CompareScreen(session)


def _machine(session: Session) -> BaseScreen:
    from tui.machine.screen import MachineScreen

    return MachineScreen(session)


SCREENS: dict[str, Callable[[Session], BaseScreen]] = {
    "watch": _watch,
    "presets": _presets,
    "generate": _generate,
    "compare": _compare,
    "machine": _machine,
}


class LmApp(App[None]):
    """`lm tui`."""

    CSS_PATH = Path(__file__).with_name("lm.tcss")
    TITLE = "lm"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[Any]] = []

    def __init__(self, root: Path | None = None, run: str | None = None) -> None:
        super().__init__()
        self._ascii = [AsciiOnly()] if ascii_only() else []
        self.session = Session(self.post_message, root, run)
        for mode, make in SCREENS.items():
            self.add_mode(mode, partial(make, self.session))
        self.use_theme(self.session.settings.theme)
        self.set_keymap(checked_keys(self.session.settings.keys))

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Textual's own, and one for terminals that draw ASCII alone."""
        return [*super().get_line_filters(), *self._ascii]

    def on_load(self) -> None:
        self._log_to_file()

    def on_mount(self) -> None:
        self.set_class(ascii_only(), "-ascii")
        mode = self.session.settings.mode
        self.switch_mode(mode if mode in MODES else "watch")
        self.call_after_refresh(self.watch_runs)
        self.call_after_refresh(self.watch_machine)
        self.set_interval(10.0, self.show_status)
        self.set_timer(GARBAGE_SECONDS, collect_garbage)

    def on_unmount(self) -> None:
        self.session.close()
        for handler in log.handlers:
            log.removeHandler(handler)
            handler.close()

    def _log_to_file(self) -> None:
        folder = state_dir()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handler = logging.handlers.RotatingFileHandler(
                folder / "tui.log", maxBytes=1_000_000, backupCount=1, encoding="utf-8", delay=True
            )
        except OSError:
            return  # A home directory that cannot be written to is no reason not to open.
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.handlers = [handler]
        log.propagate = False

    @work(thread=True, exclusive=True, group="watcher", exit_on_error=False)
    def watch_runs(self) -> None:
        """Read the runs until the app ends."""
        self.session.read_runs()

    @work(thread=True, exclusive=True, group="telemetry", exit_on_error=False)
    def watch_machine(self) -> None:
        """Read GPUs and CPU until the app ends."""
        self.session.read_machine()

    # Actions that every screen has.

    def action_open(self, mode: str) -> None:
        """Open one of the five screens."""
        if len(self.screen_stack) > 1:
            return  # A dialog is open: it needs an answer first.
        self.session.settings.mode = mode
        self.session.remember()
        self.switch_mode(mode)

    def use_theme(self, name: str) -> None:
        """Use a theme, in the colours that the terminal has."""
        theme = theme_for(name, sixteen_colours=self.console.color_system in ("standard", "windows"))
        self.register_theme(theme)
        self.theme = theme.name

    def action_toggle_theme(self) -> None:
        """Switch between light and dark, and remember it."""
        settings = self.session.settings
        settings.theme = LIGHT.name if settings.theme != LIGHT.name else DARK.name
        self.use_theme(settings.theme)
        for screen in self._open_screens():
            screen.refresh_rows(self.session.rows)

    def action_cycle_layout(self) -> None:
        """Next layout of the panels, remembered."""
        settings = self.session.settings
        here = LAYOUTS.index(settings.layout) if settings.layout in LAYOUTS else 0
        settings.layout = LAYOUTS[(here + 1) % len(LAYOUTS)]
        if isinstance(self.screen, BaseScreen):
            self.screen.apply_layout(*self.screen.size)

    def action_help(self) -> None:
        """Open the list of keys."""
        from tui.widgets.help import HelpScreen

        if isinstance(self.screen, BaseScreen):
            self.push_screen(HelpScreen(self.screen.MODE, self.session.settings.keys))

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
            self.notify(f"Unexpected error: {type(error).__name__}: {error}", severity="error")
        return True

    # What the session and the workers post, passed to the open screen.

    def show_status(self) -> None:
        """The right end of the top line: runs, how many of them are active, the machine, the time of day."""
        rows, machine = self.session.rows, self.session.machine
        states = [row.state for row in rows]
        parts = [f"{len(rows)} run{'s' if len(rows) != 1 else ''}"]
        for state, word in (("running", "training"), ("paused", "paused")):
            parts += [f"{states.count(state)} {word}"] if state in states else []
        parts += [machine.headline] if machine and machine.headline else []
        parts.append(time.strftime("%H:%M"))
        for screen in self._open_screens():
            screen.query_one(Header).show_status(parts)

    def on_open_screen(self, message: OpenScreen) -> None:
        self.action_open(message.mode)

    def on_runs_changed(self, message: RunsChanged) -> None:
        self.session.rows = message.rows
        self.show_status()
        for screen in self._open_screens():
            screen.refresh_rows(message.rows)
            screen.refresh_footer()

    def on_curves_changed(self, message: CurvesChanged) -> None:
        control = {name: data.control for name, data in list(self.session.data.items())}
        for answer in self.session.pending.answered(control):
            if answer.state in DONE:
                refused = answer.state == "refused"
                self.notify(answer.text, title=answer.run, severity="warning" if refused else "information")
            self.post_message(RequestsChanged(answer.run))
        self._pass_on(message)

    def on_requests_changed(self, message: RequestsChanged) -> None:
        self._pass_on(message)

    def on_telemetry_changed(self, message: TelemetryChanged) -> None:
        self.session.machine = message.snapshot
        self.show_status()
        self._pass_on(message)

    def on_run_notice(self, message: RunNotice) -> None:
        self.notify(message.text, title=message.name, severity=message.severity)

    def _open_screens(self) -> list[BaseScreen]:
        # One that is opening has no widgets yet; it asks for what it needs itself.
        return [screen for screen in self.screen_stack if isinstance(screen, BaseScreen) and screen.is_mounted]

    def _pass_on(self, message: Message) -> None:
        for screen in self._open_screens():
            screen.receive(message)
