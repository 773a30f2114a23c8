"""What all screens share: header, body of panels, footer, folding into tabs, and requests to runs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget
from textual.worker import Worker, WorkerState

from tui.actions import bindings_for
from tui.panel import Panel
from tui.widgets.action_bar import ActionBar
from tui.widgets.fold_bar import FoldBar
from tui.widgets.header import Header

if TYPE_CHECKING:
    from tui.app import LmApp
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

    def __init_subclass__(cls, **kwargs: object) -> None:
        cls.BINDINGS = list(bindings_for(cls.MODE))
        super().__init_subclass__(**kwargs)

    def compose(self) -> ComposeResult:
        yield Header(self.MODE)
        yield FoldBar()
        with Container(id="body", classes=f"{self.MODE}-body"):
            yield from self.compose_panels()
        yield ActionBar(self.MODE, self.lm.settings.keys)

    def compose_panels(self) -> ComposeResult:
        """The panels of this screen, in the order of their tabs."""
        yield from ()

    @property
    def lm(self) -> LmApp:
        """The app, by its own type."""
        return cast("LmApp", self.app)

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
        self.refresh_rows(self.lm.rows)

    def apply_layout(self, width: int, height: int) -> None:
        """Fold or unfold, by size and by the chosen layout."""
        layout = self.lm.settings.layout
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
            log.error("%s failed", event.worker.name, exc_info=event.worker.error)
            self.notify(f"That failed: {event.worker.error}", severity="error")

    # What the app passes on. Screens override what concerns them.

    def refresh_rows(self, rows: list[RunRow]) -> None:
        """The list of runs changed, or the screen was opened."""

    def receive(self, message: Message) -> None:
        """A message from a worker, passed on by the app."""

    # Actions on a run.

    def target_run(self) -> str | None:
        """The run that p, c, s and the rest act on."""
        return self.lm.selected

    def action_run_request(self, what: str) -> None:
        """Ask the run to pause, resume, checkpoint or stop."""
        self.lm.request_run(self.target_run(), what)

    def action_rename_run(self) -> None:
        """Ask for another name."""
        self.lm.rename_run(self.target_run())

    def action_delete_run(self) -> None:
        """Delete after a question."""
        self.lm.delete_run(self.target_run())

    def action_write_with_run(self) -> None:
        """Open Write on this run's best checkpoint."""
        self.lm.write_with(self.target_run())
