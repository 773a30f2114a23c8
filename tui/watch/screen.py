"""Watch: the runs, their curves, the facts of one of them, and how its text improved."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.message import Message
from textual.widgets import Input

from tui.messages import CursorMoved, CurvesChanged, RequestsChanged
from tui.panel import Panel
from tui.theme import MARKERS, series_colours
from tui.watch.run_list import SORTS, RunList, arrange
from tui.widgets.base_screen import BaseScreen

if TYPE_CHECKING:
    from tui.watch.facts import FactsPanel
    from tui.watch.samples import SamplesPanel
    from tui.watcher import RunRow
    from tui.widgets.chart_panel import ChartPanel


class RunsPanel(Panel):
    """The list of runs, with a line to filter it."""

    TITLE = "Runs"

    def compose_panel(self) -> ComposeResult:
        yield Input(placeholder="filter: name, state, model …", id="filter", compact=True)
        yield RunList()


class Placeholder(Panel):
    """An empty panel, for the first moment."""

    def __init__(self, title: str) -> None:
        self.TITLE = title
        super().__init__()


class WatchScreen(BaseScreen):
    """The first screen."""

    MODE = "watch"
    AUTO_FOCUS = "RunList"
    ready = False
    """Whether the panels beside the list are there."""

    def compose_panels(self) -> ComposeResult:
        yield RunsPanel(id="runs")
        for title in ("Curves", "Rates", "Facts", "Samples"):
            yield Placeholder(title)

    def on_mount(self) -> None:
        self.call_after_refresh(self._mount_curves)

    async def _mount_curves(self) -> None:
        """Put the panels in their places; they bring numpy with them, which the first paint does not wait for."""
        from tui.watch.facts import FactsPanel
        from tui.watch.rates import RatesPanel
        from tui.watch.samples import SamplesPanel
        from tui.widgets.chart_panel import ChartPanel

        body = self.query_one("#body")
        async with self.batch():
            await body.remove_children(Placeholder)
            await body.mount(ChartPanel(self.lm.settings, id="curves"))
            await body.mount(RatesPanel(id="rates"), FactsPanel(id="facts-panel"), SamplesPanel(id="samples-panel"))
            self.show_panel(self.front, focus=False)
        self.ready = True
        self.refresh_chart()

    @property
    def list(self) -> RunList:
        """The list of runs."""
        return self.query_one(RunList)

    @property
    def chart(self) -> ChartPanel:
        """The chart."""
        from tui.widgets.chart_panel import ChartPanel

        return self.query_one(ChartPanel)

    def slots(self) -> dict[str, int]:
        """The runs on the chart and their series numbers: the one under the cursor first, then the chosen ones in their
        order.
        """
        chosen = [name for name in self.lm.settings.overlay if any(row.name == name for row in self.lm.rows)]
        slots = {name: number % len(MARKERS) for number, name in enumerate(chosen)}
        here = self.lm.selected
        if here is None:
            return slots
        free = next(number for number in range(len(slots) + 1) if number not in slots.values())
        return {here: slots.get(here, free), **slots}

    # The list.

    def refresh_rows(self, rows: list[RunRow]) -> None:
        settings = self.lm.settings
        wanted = self.query_one("#filter", Input).value
        runs = self.list
        runs.sort, runs.reverse = settings.sort, settings.sort_reverse
        runs.colours = series_colours(self.lm.theme)
        runs.requested = self.lm.requested()
        shown = arrange(rows, wanted, settings.sort, settings.sort_reverse)
        panel = self.query_one(RunsPanel)
        with panel.guard():
            panel.border_subtitle = f"{len(shown)} of {len(rows)}" if wanted else ""
            runs.show(shown, self.lm.selected)
        if rows and (self.lm.selected is None or runs.current != self.lm.selected):
            self.lm.selected = runs.current
        self.refresh_chart()

    def refresh_chart(self) -> None:
        """Follow the runs that are to be shown, and show what has been read of them."""
        slots = self.slots()
        self.list.overlay = slots
        self.list.refresh()
        self.lm.follow(frozenset(slots))
        if not self.ready:
            return
        self.chart.show(slots, self.lm.data)
        self.refresh_facts()

    def refresh_facts(self) -> None:
        """Show the facts, the samples and the rates of the run under the cursor."""
        from tui.watch.facts import FactsPanel
        from tui.watch.rates import RatesPanel
        from tui.watch.samples import SamplesPanel

        name = self.lm.selected
        row = next((row for row in self.lm.rows if row.name == name), None)
        data = self.lm.data.get(name or "")
        facts: FactsPanel = self.query_one(FactsPanel)
        facts.show(row, data, self.lm.request_texts(name))
        samples: SamplesPanel = self.query_one(SamplesPanel)
        samples.show(data, self.chart.cursor_step)
        rates: RatesPanel = self.query_one(RatesPanel)
        rates.show(data, self.chart.slots.get(name or "", 0), self.chart.x_kind, self.chart.viewport)

    def receive(self, message: Message) -> None:
        if not self.ready:
            return
        if isinstance(message, CurvesChanged) and message.names & self.chart.slots.keys():
            self.chart.redraw()
            if self.lm.selected in message.names:
                self.refresh_facts()
        elif isinstance(message, RequestsChanged):
            self.list.requested = self.lm.requested()
            self.list.refresh()
            self.refresh_facts()

    def on_run_list_moved(self, message: RunList.Moved) -> None:
        self.lm.selected = message.name
        if self.ready:
            self.chart.cursor_step = None
        self.refresh_chart()

    def on_run_list_toggled(self, message: RunList.Toggled) -> None:
        self.action_toggle_overlay()

    def on_run_list_sorted(self, message: RunList.Sorted) -> None:
        settings = self.lm.settings
        settings.sort_reverse = not settings.sort_reverse if settings.sort == message.column else False
        settings.sort = message.column
        self.refresh_rows(self.lm.rows)

    def on_cursor_moved(self, message: CursorMoved) -> None:
        self.refresh_facts()

    def on_input_changed(self, event: Input.Changed) -> None:
        self.refresh_rows(self.lm.rows)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.set_focus(self.list)

    # Actions.

    def action_filter_runs(self) -> None:
        """Show the filter line."""
        self.show_panel(0, focus=False)
        self.query_one(RunsPanel).add_class("-filtering")
        self.query_one("#filter", Input).focus()

    def action_leave(self) -> None:
        """Clear the filter, or hide the cursor."""
        field = self.query_one("#filter", Input)
        if self.query_one(RunsPanel).has_class("-filtering"):
            field.value = ""
            self.query_one(RunsPanel).remove_class("-filtering")
        elif self.ready and self.chart.cursor_step is not None:
            self.chart.set_cursor(None)
        self.set_focus(self.list)

    def action_move(self, by: int) -> None:
        """Move the cursor of the list."""
        self.list.move(by)

    def action_move_to(self, index: int) -> None:
        """Jump to the first or the last run."""
        self.list.move_to(index)

    def action_open_run(self) -> None:
        """Show this run alone; folded, bring the chart to the front."""
        self.lm.settings.overlay.clear()
        self.refresh_chart()
        if self.folded:
            self.show_panel(1)

    def action_toggle_overlay(self) -> None:
        """Add the run to the chart, or take it away."""
        name, overlay = self.lm.selected, self.lm.settings.overlay
        if name is None:
            return
        if name in overlay:
            overlay.remove(name)
        elif len(overlay) < len(MARKERS):
            overlay.append(name)
        else:
            self.notify(f"{len(MARKERS)} runs are on the chart: take one away first.", severity="warning")
        self.refresh_chart()

    def action_cycle_sort(self) -> None:
        """Sort by the next column."""
        settings = self.lm.settings
        here = SORTS.index(settings.sort) if settings.sort in SORTS else -1
        settings.sort, settings.sort_reverse = SORTS[(here + 1) % len(SORTS)], False
        self.refresh_rows(self.lm.rows)

    def action_reverse_sort(self) -> None:
        """Turn the order round."""
        self.lm.settings.sort_reverse = not self.lm.settings.sort_reverse
        self.refresh_rows(self.lm.rows)

    def _steer(self, act: Callable[[ChartPanel], None]) -> None:
        """Do something to the chart, once it is there; the small curves follow."""
        if self.ready:
            act(self.chart)
            self.refresh_facts()

    def action_chart(self, what: str) -> None:
        """Next metric, x-axis, y-scale or smoothing."""
        self._steer(lambda chart: chart.cycle(what))

    def action_zoom(self, factor: float) -> None:
        """Zoom around the cursor."""
        self._steer(lambda chart: chart.zoom(factor))

    def action_zoom_reset(self) -> None:
        """Show the whole curve."""
        self._steer(lambda chart: chart.zoom_reset())

    def action_pan(self, share: float) -> None:
        """Move the view."""
        self._steer(lambda chart: chart.pan(share))

    def action_cursor(self, by: int) -> None:
        """Move the reading cursor."""
        self._steer(lambda chart: chart.move_cursor(by))
