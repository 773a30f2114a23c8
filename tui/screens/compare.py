"""Compare: one table of the chosen runs, and the settings in which they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.widgets import DataTable

from tui.panel import Panel
from tui.screens.base import BaseScreen

if TYPE_CHECKING:
    from tui.watcher import RunRow


class ComparePanel(Panel):
    """The chosen runs, one row each."""

    TITLE = "Compare"

    def compose_panel(self) -> ComposeResult:
        yield DataTable(cursor_type="row")

    def on_mount(self) -> None:
        self.query_one(DataTable).add_columns("run", "architecture", "state", "val ppl")

    def show(self, rows: list[RunRow]) -> None:
        """Fill the table."""
        table = self.query_one(DataTable)
        table.clear()
        for row in rows:
            table.add_row(row.name, row.architecture, row.state, "" if row.val_perplexity is None else f"{row.val_perplexity:.2f}")


class CompareScreen(BaseScreen):
    """The table of the chosen runs."""

    MODE = "compare"

    def compose_panels(self) -> ComposeResult:
        yield ComparePanel(id="compare-table")

    def refresh_rows(self, rows: list[RunRow]) -> None:
        """Show the overlaid runs, or all when none is chosen."""
        panel = self.query_one(ComparePanel)
        with panel.guard():
            panel.show([row for row in rows if row.name in self.lm.settings.overlay] or rows)
