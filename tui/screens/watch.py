"""Watch: the runs, their curves, the facts of one of them, and how its text improved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.widgets import DataTable

from tui.panel import Panel
from tui.screens.base import BaseScreen

if TYPE_CHECKING:
    from tui.watcher import RunRow


class RunsPanel(Panel):
    """The list of runs."""

    TITLE = "Runs"

    def compose_panel(self) -> ComposeResult:
        yield DataTable(cursor_type="row", cell_padding=1)


class WatchScreen(BaseScreen):
    """The first screen."""

    MODE = "watch"
    AUTO_FOCUS = "#runs DataTable"

    def compose_panels(self) -> ComposeResult:
        yield RunsPanel(id="runs")

    def refresh_rows(self, rows: list[RunRow]) -> None:
        """Show the list of runs."""
