"""The chart of the chosen runs: which metric, which axes, which part, and what the cursor reads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from lmcore.measures import perplexity
from lmcore.runs.events import number
from tui.charts.plot import Mark, Plot, Series, x_formatter, x_reach
from tui.charts.ticks import format_value
from tui.charts.viewport import Viewport
from tui.run_data import METRICS, X_FIELDS, RunData, lr_changes
from tui.settings import Settings
from tui.theme import MARKERS, MARKERS_ASCII, ascii_only, series_colours
from tui.widgets.chart_view import ChartView
from tui.widgets.panel import Panel

Value = TypeVar("Value")
SMOOTHINGS = (0.0, 0.6, 0.9, 0.97)
MAX_SERIES = len(MARKERS)


class ChartPanel(Panel):
    """Curves of one metric. `slots` maps run names to series numbers; the first run is the one that marks and cursor
    belong to.
    """

    TITLE = "Curves"
    DEFAULT_CSS = "ChartPanel #legend { height: 1; }"

    @dataclass
    class CursorMoved(Message):
        """The cursor is at another step; None: it is hidden."""

        step: int | None

    def __init__(self, settings: Settings, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(id=id)
        self.settings = settings
        self.viewport = Viewport()
        self.cursor_step: int | None = None
        self.slots: dict[str, int] = {}
        self._data: Mapping[str, RunData] = {}
        self._plot = Plot([])

    def compose_panel(self) -> ComposeResult:
        yield Static("", id="legend", markup=False)
        yield ChartView(id="chart")

    @property
    def metric(self) -> str:
        """Name of the metric that is shown."""
        return self.settings.metric if self.settings.metric in METRICS else "perplexity"

    @property
    def x_kind(self) -> str:
        """Which x-axis is shown."""
        return self.settings.x_axis if self.settings.x_axis in X_FIELDS else "step"

    def show(self, slots: dict[str, int], data: Mapping[str, RunData]) -> None:
        """Show these runs, as far as they have been read."""
        self.slots, self._data = slots, data
        self.redraw()

    def redraw(self) -> None:
        """Make the plot again from the data; cheap, because curves are kept reduced."""
        with self.guard():
            plot = Plot([], log_y=self.settings.log_y, x_kind=self.x_kind, viewport=self.viewport)
            shown = {name: self._data[name] for name in self.slots if name in self._data}
            if self.slots and not shown:
                plot.empty = "reading …" if not ascii_only() else "reading ..."
            # The first run, which the cursor reads, is drawn last: on top of the others.
            for name, data in reversed(shown.items()):
                with data.lock:
                    plot.series += self._series(name, data)
            if shown:
                first = next(iter(shown.values()))
                with first.lock:
                    plot.marks = self._marks(first)
                    if self.cursor_step is not None:
                        plot.cursor = first.x_of_step(self.cursor_step, self.x_kind)
            self._plot = plot
            self.query_one(ChartView).show(plot)
            self._label(shown)

    def _series(self, name: str, data: RunData) -> list[Series]:
        slot = self.slots[name] % MAX_SERIES
        marker = (MARKERS_ASCII if ascii_only() else MARKERS)[slot]
        beta = self.settings.smoothing
        series = []
        train = data.curve(self.metric, "train", beta)
        if train is not None and len(train):
            if beta:
                raw = data.curve(self.metric, "train")
                series.append(Series(name, data.x("train", self.x_kind), raw or train, slot, ghost=True))
            # One run needs no marker on its train curve: the dashes of the validation tell the two apart.
            series.append(
                Series(
                    f"{name} train", data.x("train", self.x_kind), train, slot, marker if len(self.slots) > 1 else ""
                )
            )
        val = data.curve(self.metric, "val")
        if val is not None and len(val):
            series.append(
                Series(f"{name} val", data.x("val", self.x_kind), val, slot, marker, dashed=True, mark_points=True)
            )
        return series

    def _marks(self, data: RunData) -> list[Mark]:
        marks = [self._mark("lr", data, step) for step in lr_changes(data.train["step"], data.train["lr"])[:100]]
        marks += [self._mark("warning", data, number(warning.get("step"))) for warning in data.warnings[-20:]]
        field = METRICS[self.metric].val
        if data.best and field:
            value = number(data.best.get(field))
            marks.append(
                self._mark(
                    "best",
                    data,
                    number(data.best.get("step")),
                    perplexity(value) if METRICS[self.metric].exponential else value,
                )
            )
        return [mark for mark in marks if mark is not None]

    def _mark(self, kind: str, data: RunData, step: float, y: float | None = None) -> Mark | None:
        x = data.x_of_step(step, self.x_kind) if math.isfinite(step) else None
        return None if x is None else Mark(kind, x, y)

    def _label(self, shown: Mapping[str, RunData]) -> None:
        smoothing = f"smooth {self.settings.smoothing:g}" if self.settings.smoothing else "not smoothed"
        how = " · ".join(
            [
                "log y" if self.settings.log_y else "linear y",
                f"x: {self.x_kind}",
                smoothing,
                *(["zoomed"] if self.viewport.window else []),
            ]
        )
        self.border_title = Content(
            f"{METRICS[self.metric].title} ── {how}"
            if not ascii_only()
            else f"{METRICS[self.metric].title} -- {how}".replace("·", ",")
        )
        self.border_subtitle = Content(self._reading(shown))
        self.query_one("#legend", Static).update(self._legend())

    def _legend(self) -> Text:
        colours = series_colours(self.app.theme)
        markers = MARKERS_ASCII if ascii_only() else MARKERS
        legend = Text(no_wrap=True, overflow="ellipsis")
        for name, slot in self.slots.items():
            legend.append(f"{markers[slot % MAX_SERIES]} {name}  ", style=colours[slot % MAX_SERIES])
        train, valid, best, warned, lr = ("...", "-o-", "*", "!", "v") if ascii_only() else ("──", "╌●╌", "★", "⚠", "▾")
        said = [f"{train} train", f"{valid} val"] if METRICS[self.metric].train and METRICS[self.metric].val else []
        kinds = {mark.kind for mark in self._plot.marks}
        said += [
            text
            for kind, text in (("best", f"{best} best"), ("warning", f"{warned} warning"), ("lr", f"{lr} lr lowered"))
            if kind in kinds
        ]
        legend.append("  ".join(said), style="dim")
        return legend

    def _reading(self, shown: Mapping[str, RunData]) -> str:
        """What the curves are worth at the cursor, else at their end."""
        reach = x_reach(self._plot.series)
        if reach is None:
            return ""
        x = reach[1] if self._plot.cursor is None else self._plot.cursor
        parts = [f"{self.x_kind} {f'{x:,.0f}' if self.x_kind == 'step' else x_formatter(self.x_kind)(x)}"]
        markers = MARKERS_ASCII if ascii_only() else MARKERS
        for name, data in shown.items():
            with data.lock:
                read = [
                    f"{split} {format_value(value)}"
                    for split in ("train", "val")
                    if (value := self._value_at(data, split, x)) is not None
                ]
            if read:
                parts.append(" ".join([*([markers[self.slots[name] % MAX_SERIES]] if len(shown) > 1 else []), *read]))
        return "   ".join(parts)

    def _value_at(self, data: RunData, split: str, x: float) -> float | None:
        """The last value at or before `x`."""
        curve = data.curve(self.metric, split, self.settings.smoothing if split == "train" else 0.0)
        if curve is None or not len(curve):
            return None
        index = int(data.x(split, self.x_kind).searchsorted(x * (1 + 1e-12), side="right")) - 1
        return float(curve.values.values[index]) if index >= 0 else None

    # What keys and the mouse do.

    def cycle(self, what: str) -> None:
        """Next metric, x-axis, y-scale or smoothing."""
        s = self.settings
        if what == "metric":
            s.metric = _next(list(METRICS), self.metric)
            s.log_y = s.metric in ("perplexity", "grad_norm")
        elif what == "x":
            s.x_axis = _next(list(X_FIELDS), self.x_kind)
            self.viewport = Viewport()
        elif what == "smooth":
            s.smoothing = _next(list(SMOOTHINGS), s.smoothing)
        else:
            s.log_y = not s.log_y
        self.redraw()

    def zoom(self, factor: float, centre: float | None = None) -> None:
        """Show `factor` times as much, around `centre`, else the cursor, else the newest point."""
        reach = x_reach(self._plot.series)
        if reach is not None:
            at = centre if centre is not None else self._plot.cursor if self._plot.cursor is not None else reach[1]
            self.viewport = self.viewport.zoom(factor, at, *reach)
            self.redraw()

    def zoom_reset(self) -> None:
        """Show everything."""
        self.viewport = Viewport()
        self.redraw()

    def pan(self, share: float) -> None:
        """Move the view by a share of its width."""
        reach = x_reach(self._plot.series)
        if reach is not None:
            self.viewport = self.viewport.pan(share, *reach)
            self.redraw()

    def move_cursor(self, by: int) -> None:
        """Move the cursor by columns; it starts at the right end."""
        drawing = self.query_one(ChartView).drawing
        if drawing is None or not self._plot.series:
            return
        width = drawing.x_high - drawing.x_low
        here = (
            self._plot.cursor
            if self._plot.cursor is not None and drawing.x_low <= self._plot.cursor <= drawing.x_high
            else drawing.x_high
        )
        self.set_cursor(min(max(here + by * width / max(drawing.width - 1, 1), drawing.x_low), drawing.x_high))

    def set_cursor(self, x: float | None) -> None:
        """Put the cursor at `x` on the axis, or hide it."""
        first = next((self._data[name] for name in self.slots if name in self._data), None)
        self.cursor_step = None if x is None or first is None else first.step_at(x, self.x_kind)
        self.redraw()
        self.post_message(self.CursorMoved(self.cursor_step))

    def on_chart_view_clicked(self, message: ChartView.Clicked) -> None:
        self.set_cursor(message.x)

    def on_chart_view_wheel(self, message: ChartView.Wheel) -> None:
        self.zoom(message.factor, message.x)


def _next(values: list[Value], now: Value) -> Value:
    return values[(values.index(now) + 1) % len(values)] if now in values else values[0]
