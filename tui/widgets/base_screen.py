"""What all screens share: header, body of panels, footer, folding into tabs, and actions on a run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget
from textual.worker import Worker, WorkerState

from lmcore.errors import LmError
from tui.actions.table import bindings_for
from tui.widgets.action_bar import ActionBar
from tui.widgets.fold_bar import FoldBar
from tui.widgets.header import Header
from tui.widgets.panel import Panel

if TYPE_CHECKING:
    from tui.session import Session
    from tui.watcher import RunRow

log = logging.getLogger("lm.tui")

FOLD_WIDTH = 100
FOLD_HEIGHT = 28
TALL_HEIGHT = 38


class BaseScreen(Screen[None]):
    """A screen of panels. Subclasses set `MODE` and yield their panels, side by side in one grid, from
    `compose_panels`.

    Below 100x28 cells, or in the layout "one", the panels fold: one is in front, a line of tabs names them all.
    """

    MODE: ClassVar[str] = ""
    AUTO_FOCUS = ""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session

    def __init_subclass__(cls, **kwargs: Any) -> None:
        cls.BINDINGS = list(bindings_for(cls.MODE))
        super().__init_subclass__(**kwargs)

    def compose(self) -> ComposeResult:
        yield Header(self.MODE)
        yield FoldBar()
        with Container(id="body", classes=f"{self.MODE}-body"):
            yield from self.compose_panels()
        yield ActionBar(self.MODE, self.session.settings.keys)

    def compose_panels(self) -> ComposeResult:
        """The panels of this screen, in the order of their tabs."""
        yield from ()

    @property
    def panels(self) -> list[Panel]:
        """The panels, in the order of their tabs."""
        return [child for child in self.query_one("#body").children if isinstance(child, Panel)]

    @property
    def folded(self) -> bool:
        """Whether only one panel is shown at a time."""
        return self.has_class("-fold")

    def on_mount(self) -> None:
        self.show_panel(0, focus=False)

    def on_resize(self, event: events.Resize) -> None:
        self.apply_layout(event.size.width, event.size.height)

    def on_screen_resume(self) -> None:
        self.apply_layout(self.size.width, self.size.height)
        self.refresh_rows(self.session.rows)
        self.refresh_footer()

    def apply_layout(self, width: int, height: int) -> None:
        """Fold or unfold, by size and by the chosen layout."""
        layout = self.session.settings.layout
        self.set_class(layout == "one" or width < FOLD_WIDTH or height < FOLD_HEIGHT, "-fold")
        self.set_class(layout == "wide" and not self.folded, "-wide")
        self.set_class(height >= TALL_HEIGHT and not self.folded, "-tall")

    def show_panel(self, index: int, focus: bool = True) -> None:
        """Bring one panel to the front; unfolded, move the focus to it."""
        panels = self.panels
        if not panels:
            return
        index %= len(panels)
        for number, panel in enumerate(panels):
            panel.set_class(number == index, "-front")
        self.query_one(FoldBar).show([panel.TITLE for panel in panels], index)
        if focus:
            self.set_focus(next((w for w in panels[index].query("*").results(Widget) if w.focusable), None))

    @property
    def front(self) -> int:
        """Index of the panel in front."""
        return next((number for number, panel in enumerate(self.panels) if panel.has_class("-front")), 0)

    def action_next_panel(self, by: int) -> None:
        """Show the next (or previous) panel."""
        self.show_panel(self.front + by)

    def action_leave(self) -> None:
        """One step back: out of the field that has the focus, so that keys are actions again."""
        self.set_focus(None)

    def on_fold_bar_chosen(self, message: FoldBar.Chosen) -> None:
        self.show_panel(message.index)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR:
            error = event.worker.error
            log.error("%s failed", event.worker.name, exc_info=error)
            text = str(error) if isinstance(error, LmError) else f"Unexpected error: {type(error).__name__}: {error}"
            self.notify(text, severity="error")

    def refresh_footer(self) -> None:
        """Show the keys that do something with the selected run."""
        row = self.session.row(self.target_run())
        self.query_one(ActionBar).show_state(row.state if row else None)

    # What the app passes on. Screens override what concerns them.

    def refresh_rows(self, rows: list[RunRow]) -> None:
        """The list of runs changed, or the screen was opened."""

    def receive(self, message: Message) -> None:
        """A message from a worker, passed on by the app."""

    # Actions on a run, for the screens that have one.

    def target_run(self) -> str | None:
        """The run that p, c, s and the rest act on."""
        return self.session.selected

    def action_run_request(self, what: str) -> None:
        """Ask the run to pause, resume, save a checkpoint or stop."""
        name = self.target_run()
        if name is None:
            self.notify("No run is selected.", severity="warning")
        else:
            self.session.ask(name, what)

    def action_rename_run(self) -> None:
        """Ask for a new name, then rename."""
        name = self.target_run()
        if name is None:
            return
        from tui.widgets.dialogs import AskName, name_problem

        def rename(new: str | None) -> None:
            if new and new != name:
                self._try(lambda: self.session.rename(name, new))

        self.app.push_screen(AskName(f"New name for {name}:", name, name_problem), rename)

    def action_delete_run(self) -> None:
        """Ask, then delete."""
        name = self.target_run()
        if name is None:
            return
        from tui.widgets.dialogs import Confirm

        run = self.session.run(name)
        if run.is_active():
            self.notify(f"{name} is still training. Stop it first (s).", severity="warning")
            return

        def delete(yes: bool | None) -> None:
            if yes and self._try(lambda: self.session.delete(name)):
                self.notify(f"Deleted {name}.")

        count = len(run.checkpoints())
        checkpoints = "1 checkpoint" if count == 1 else f"{count} checkpoints"
        self.app.push_screen(Confirm(f"Delete {name} and its {checkpoints}? This cannot be undone.", "Delete"), delete)

    def action_generate_with_run(self) -> None:
        """Open Generate with this run's best checkpoint."""
        name = self.target_run()
        if name is not None:
            self.session.selected = name
            self.session.settings.sources = [f"{name}:best"]
            self.session.open_screen("generate")

    def _try(self, act: Callable[[], object]) -> bool:
        """Do it; an error that the user can correct becomes a toast."""
        try:
            act()
        except LmError as error:
            self.notify(str(error), severity="error")
            return False
        return True
