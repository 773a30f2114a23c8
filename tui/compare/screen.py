"""Compare: one table of the chosen runs, the settings in which they differ, and their curves."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from textual import work
from textual.app import ComposeResult
from textual.message import Message
from textual.widgets import DataTable

from lmcore.lab.compare import Comparison, compare
from tui.compare.panels import DifferencesPanel, TablePanel
from tui.session.messages import CurvesChanged
from tui.widgets.base_screen import BaseScreen
from tui.widgets.chart_panel import MAX_SERIES, ChartPanel
from tui.widgets.choose import Choice, Choose

if TYPE_CHECKING:
    from tui.session import Session
    from tui.watcher import RunRow


AGAIN_SECONDS = 10.0


class Compared(Message):
    """The runs were compared."""

    def __init__(self, names: list[str], comparison: Comparison) -> None:
        super().__init__()
        self.names, self.comparison = names, comparison


class CompareScreen(BaseScreen):
    """The chosen runs: those on Watch's chart, else the newest ones."""

    MODE = "compare"
    AUTO_FOCUS = "#runs-table"
    CSS = """
    CompareScreen #body { layout: grid; grid-size: 2 2; grid-columns: 2fr 3fr; grid-rows: 2fr 3fr; }
    CompareScreen.-fold #body { layout: vertical; }
    CompareScreen #table { column-span: 2; }
    CompareScreen DataTable > .datatable--fixed { background: $background; }
    CompareScreen DataTable:focus { background-tint: $background 0%; }
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._compared: list[str] = []
        self._compared_at = 0.0

    def compose_panels(self) -> ComposeResult:
        yield TablePanel(id="table")
        yield DifferencesPanel(id="differ")
        yield ChartPanel(self.session.settings, id="compare-curves")

    @property
    def chosen(self) -> list[str]:
        """Names of the runs that are compared, in the order of their hues."""
        known = {row.name for row in self.session.rows}
        overlay = [name for name in self.session.overlay if name in known]
        newest = sorted(self.session.rows, key=lambda row: -row.modified)[:MAX_SERIES]
        return overlay or [row.name for row in newest]

    @property
    def slots(self) -> dict[str, int]:
        """Which hue and marker each run has."""
        return {name: number for number, name in enumerate(self.chosen)}

    def refresh_rows(self, rows: list[RunRow]) -> None:
        names = self.chosen
        self.session.follow(frozenset(names))
        self._draw_curves()
        # Each comparison reads whole histories: while a run trains, now and then is enough.
        if names and (names != self._compared or time.monotonic() - self._compared_at > AGAIN_SECONDS):
            self._compared, self._compared_at = names, time.monotonic()
            self.compare_runs(names)
        elif not names:
            self._compared = []
            self.query_one(TablePanel).show_nothing()
            self.query_one(DifferencesPanel).show({}, [])

    @work(thread=True, exclusive=True, group="compare", exit_on_error=False)
    def compare_runs(self, names: list[str]) -> None:
        """Read and compare off the UI thread."""
        self.post_message(Compared(names, compare([self.session.run(name) for name in names])))

    def on_compared(self, message: Compared) -> None:
        if message.names != self.chosen:
            return  # Other runs were chosen since; their comparison is on its way.
        table, differ = self.query_one(TablePanel), self.query_one(DifferencesPanel)
        with table.guard():
            table.show(message.comparison, self.slots, self.session.selected)
        with differ.guard():
            differ.show(message.comparison.differences, [row["name"] for row in message.comparison.rows])

    def receive(self, message: Message) -> None:
        if isinstance(message, CurvesChanged) and message.names & set(self.chosen):
            self._draw_curves()

    def _draw_curves(self) -> None:
        self.query_one(ChartPanel).show(self.slots, self.session.data)

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        if event.data_table.id == "runs-table" and event.row_key is not None and event.row_key.value is not None:
            self.session.selected = event.row_key.value
            self.refresh_footer()

    def action_chart(self, what: str) -> None:
        """Next metric, x-axis, y-scale or smoothing."""
        self.query_one(ChartPanel).cycle(what)

    def action_toggle_overlay(self) -> None:
        """Remove the run at the cursor from the comparison."""
        self._use([name for name in self.chosen if name != self.session.selected])

    def action_choose_runs(self) -> None:
        """Ask which runs to compare."""
        choices = [
            Choice(row.name, row.name, f"{row.architecture} {row.optimizer} · {row.state}") for row in self.session.rows
        ]
        if choices:
            self.app.push_screen(
                Choose("Choose the runs to compare.", choices, chosen=self.chosen, most=MAX_SERIES), self._take
            )
        else:
            self.notify("No runs yet. Start one in Presets (2).", severity="warning")

    def _take(self, answer: list[str] | None) -> None:
        if answer:
            self._use(answer)

    def _use(self, names: list[str]) -> None:
        if names:
            self.session.overlay[:] = names
            self.refresh_rows(self.session.rows)
        else:
            self.notify("At least one run must remain. Press a to choose other runs.", severity="warning")
