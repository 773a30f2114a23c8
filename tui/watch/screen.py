"""Watch: the runs, their curves, the facts of one of them, and how its text improved."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.message import Message
from textual.widgets import Input

from tui.session.messages import CurvesChanged, RequestsChanged
from tui.theme import MARKERS, series_colours
from tui.watch.run_list import SORTS, RunList, arrange
from tui.watch.view import RunPanel, RunView
from tui.widgets.base_screen import BaseScreen
from tui.widgets.panel import Panel

if TYPE_CHECKING:
    from tui.session import Session
    from tui.watcher import RunRow
    from tui.widgets.chart_panel import ChartPanel


def run_panels() -> list[RunPanel]:
    """The panels about the selected run, in the order of their tabs. A new one has its line here, and its place in the
    screen's CSS.
    """
    from tui.watch.facts import FactsPanel
    from tui.watch.rates import RatesPanel
    from tui.watch.samples import SamplesPanel

    return [
        RatesPanel(id="rates"),
        FactsPanel(id="facts-panel"),
        SamplesPanel(id="samples-panel"),
    ]


class RunsPanel(Panel):
    """The list of runs, with a line to filter it."""

    TITLE = "Runs"
    DEFAULT_CSS = """
    RunsPanel #filter { display: none; border: none; height: 1; background: $panel; }
    RunsPanel.-filtering #filter { display: block; }
    """

    def compose_panel(self) -> ComposeResult:
        yield Input(placeholder="Filter by name, state, model …", id="filter", compact=True)
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
    CSS = """
    WatchScreen #body { grid-size: 3 2; grid-columns: 1fr 1fr 1fr; grid-rows: 1fr 15; }
    WatchScreen #runs { row-span: 2; padding: 0; }
    WatchScreen #curves { column-span: 2; }
    WatchScreen.-wide #body { grid-columns: 32 1fr 1fr; grid-rows: 1fr 9; }
    WatchScreen #rates { display: none; }
    WatchScreen.-tall #runs { row-span: 1; }
    WatchScreen.-tall #rates { display: block; }
    WatchScreen.-tall.-wide #rates { display: none; }
    WatchScreen.-tall.-wide #runs { row-span: 2; }
    WatchScreen.-fold #rates.-front { display: block; }
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.ready = False
        """Whether the panels beside the list are there."""

    def compose_panels(self) -> ComposeResult:
        yield RunsPanel(id="runs")
        for title in ("Curves", "Rates", "Facts", "Samples"):
            yield Placeholder(title)

    def on_mount(self) -> None:
        self.call_after_refresh(self._mount_panels)

    async def _mount_panels(self) -> None:
        """Put the panels in their places; they bring numpy with them, which the first paint does not wait for."""
        from tui.widgets.chart_panel import ChartPanel

        body = self.query_one("#body")
        async with self.batch():
            await body.remove_children(Placeholder)
            await body.mount_all([ChartPanel(self.session.settings, id="curves"), *run_panels()])
            self.show_panel(self.front, focus=False)
        self.ready = True
        self.refresh_chart()

    @property
    def runs(self) -> RunList:
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
        chosen = [name for name in self.session.overlay if self.session.row(name) is not None]
        slots = {name: number % len(MARKERS) for number, name in enumerate(chosen)}
        here = self.session.selected
        if here is None:
            return slots
        free = next(number for number in range(len(slots) + 1) if number not in slots.values())
        return {here: slots.get(here, free), **slots}

    # The list.

    def refresh_rows(self, rows: list[RunRow]) -> None:
        settings = self.session.settings
        wanted = self.query_one("#filter", Input).value
        runs = self.runs
        runs.sort, runs.reverse = settings.sort, settings.sort_reverse
        runs.colours = series_colours(self.app.theme)
        runs.requested = self.session.pending.waiting()
        shown = arrange(rows, wanted, settings.sort, settings.sort_reverse)
        panel = self.query_one(RunsPanel)
        with panel.guard():
            panel.border_subtitle = f"{len(shown)} of {len(rows)}" if wanted else ""
            runs.show(shown, self.session.selected)
        if rows and (self.session.selected is None or runs.current != self.session.selected):
            self.session.selected = runs.current
        self.refresh_chart()

    def refresh_chart(self) -> None:
        """Follow the runs that are to be shown, and show what has been read of them."""
        slots = self.slots()
        self.runs.overlay = slots
        self.runs.refresh()
        self.session.follow(frozenset(slots))
        if not self.ready:
            return
        self.chart.show(slots, self.session.data)
        self.refresh_run()

    def refresh_run(self) -> None:
        """Show the selected run in the panels that are about one run."""
        name = self.session.selected
        view = RunView(
            row=self.session.row(name),
            data=self.session.data.get(name or ""),
            requests=tuple(self.session.pending.texts(name) if name else ()),
            cursor_step=self.chart.cursor_step,
            colour=self.chart.slots.get(name or "", 0),
            x_kind=self.chart.x_kind,
            viewport=self.chart.viewport,
        )
        for panel in self.query(RunPanel):
            with panel.guard():
                panel.show(view)

    def receive(self, message: Message) -> None:
        if not self.ready:
            return
        if isinstance(message, CurvesChanged) and message.names & self.chart.slots.keys():
            self.chart.redraw()
            if self.session.selected in message.names:
                self.refresh_run()
        elif isinstance(message, RequestsChanged):
            self.runs.requested = self.session.pending.waiting()
            self.runs.refresh()
            self.refresh_run()

    def on_run_list_moved(self, message: RunList.Moved) -> None:
        self.session.selected = message.name
        if self.ready:
            self.chart.cursor_step = None
        self.refresh_chart()
        self.refresh_footer()

    def on_run_list_toggled(self, message: RunList.Toggled) -> None:
        self.action_toggle_overlay()

    def on_run_list_sorted(self, message: RunList.Sorted) -> None:
        settings = self.session.settings
        settings.sort_reverse = not settings.sort_reverse if settings.sort == message.column else False
        settings.sort = message.column
        self.refresh_rows(self.session.rows)

    def on_chart_panel_cursor_moved(self) -> None:
        self.refresh_run()

    def on_input_changed(self, event: Input.Changed) -> None:
        self.refresh_rows(self.session.rows)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.set_focus(self.runs)

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
        self.set_focus(self.runs)

    def action_move(self, by: int) -> None:
        """Move the cursor of the list."""
        self.runs.move(by)

    def action_move_to(self, index: int) -> None:
        """Jump to the first or the last run."""
        self.runs.move_to(index)

    def action_open_run(self) -> None:
        """Show this run alone; folded, bring the chart to the front."""
        self.session.overlay.clear()
        self.refresh_chart()
        if self.folded:
            self.show_panel(1)

    def action_toggle_overlay(self) -> None:
        """Add the run to the chart, or remove it."""
        name, overlay = self.session.selected, self.session.overlay
        if name is None:
            return
        if name in overlay:
            overlay.remove(name)
        elif len(overlay) < len(MARKERS):
            overlay.append(name)
        else:
            self.notify(f"The chart shows at most {len(MARKERS)} runs. Remove one first (space).", severity="warning")
        self.refresh_chart()

    def action_cycle_sort(self) -> None:
        """Sort by the next column."""
        settings = self.session.settings
        here = SORTS.index(settings.sort) if settings.sort in SORTS else -1
        settings.sort, settings.sort_reverse = SORTS[(here + 1) % len(SORTS)], False
        self.refresh_rows(self.session.rows)

    def action_reverse_sort(self) -> None:
        """Reverse the sort order."""
        self.session.settings.sort_reverse = not self.session.settings.sort_reverse
        self.refresh_rows(self.session.rows)

    def _steer(self, act: Callable[[ChartPanel], None]) -> None:
        """Do something to the chart, once it is there; the small curves follow."""
        if self.ready:
            act(self.chart)
            self.refresh_run()

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
