"""From curves to cells: scales, lines, markers, axes, marks and the reading cursor."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tui.charts.canvas import Canvas
from tui.charts.decimate import Pyramid, column_extremes
from tui.charts.growing import Floats
from tui.charts.ticks import format_count, format_time, format_value, linear_ticks, log_ticks, time_ticks
from tui.charts.viewport import Viewport

# Styles are numbers; who draws the cells gives them colours. A series' own style is SERIES + its colour, its ghost's
# GHOST + its colour.
BLANK, AXIS, LABEL, CURSOR, BEST, WARNING, LR_CHANGE = range(7)
SERIES, GHOST = 16, 48
MARK_STYLES = {"best": BEST, "warning": WARNING, "lr": LR_CHANGE}
MARK_GLYPHS = {"best": ("★", "*"), "warning": ("⚠", "!"), "lr": ("▾", "v")}
# Dots on, dots off: how the line of a dashed series is told from a whole one.
DASH = (3, 2)


@dataclass
class Series:
    """One curve.

    Attributes:
        label: Its name in the legend.
        x: Positions [N], ascending, finite.
        y: Values [N] in a pyramid; NaN is a gap.
        colour: Which hue.
        marker: The glyph that stands on the curve, so that hue is never needed to tell it; empty: none.
        ghost: Draw faintly, under the others.
        dashed: Draw with gaps in the line.
        mark_points: A marker at each point (as far as they keep apart), not only a few along the line.
    """

    label: str
    x: Floats
    y: Pyramid
    colour: int = 0
    marker: str = ""
    ghost: bool = False
    dashed: bool = False
    mark_points: bool = False


@dataclass(frozen=True)
class Mark:
    """Something that happened at `x`; with `y` it stands on the curve, else on the axis. `kind`: best, warning, lr."""

    kind: str
    x: float
    y: float | None = None


@dataclass
class Plot:
    """What is to be drawn. A `bare` plot has no axes and may be a line high."""

    series: list[Series]
    marks: list[Mark] = field(default_factory=list)
    log_y: bool = False
    x_kind: str = "step"
    viewport: Viewport = field(default_factory=Viewport)
    cursor: float | None = None
    bare: bool = False
    empty: str = "no data yet"


@dataclass
class Drawing:
    """Cells, and where the data area lies in them: column `left` is `x_low`, column `left + width - 1` is `x_high`."""

    canvas: Canvas
    left: int
    width: int
    x_low: float
    x_high: float

    def x_at(self, column: int) -> float:
        """The x value at a cell column, kept inside the data area."""
        place = min(max(column - self.left, 0), self.width - 1)
        return self.x_low + (self.x_high - self.x_low) * place / max(self.width - 1, 1)


def draw(plot: Plot, width: int, height: int, *, ascii_only: bool = False) -> Drawing:
    """Draw into `width` x `height` cells; of a million points only what the columns can show is visited."""
    page = Canvas(width, height, ascii_only=ascii_only)
    reach = x_reach(plot.series)
    if reach is None or ((width < 16 or height < 5) and not plot.bare):
        page.put(max((width - len(plot.empty)) // 2, 0), height // 2, plot.empty, AXIS)
        return Drawing(page, 0, width, 0.0, 1.0)
    x_low, x_high = plot.viewport.span(*reach)
    # The labels' width depends on the range, the range on the columns: a first pass with the full width settles the
    # range.
    visible = [_visible(series, x_low, x_high, width * page.dots_x, plot.log_y) for series in plot.series]
    y_low, y_high = _y_range(visible)
    y_ticks = [] if plot.bare else _y_ticks(y_low, y_high, max(2, (height - 2) // 3), plot.log_y)
    left = 0 if plot.bare else max((len(text) for _, text in y_ticks), default=1) + 1
    area = Canvas(width - left, height if plot.bare else height - 2, ascii_only=ascii_only)
    place = _Scale(x_low, x_high, area.columns, y_low, y_high, area.rows)
    order = sorted(zip(plot.series, visible, strict=True), key=lambda pair: not pair[0].ghost)
    for ghost in (True, False):
        # Flushed in between: where a curve passes its ghost, the cell shows the curve alone.
        for series, shown in order:
            if series.ghost is ghost:
                _draw_line(area, series, shown, place)
        area.flush()
    for series, shown in order:
        if series.marker and not series.ghost:
            _draw_markers(area, series, shown, place)
    _draw_marks(area, plot, place)
    if plot.cursor is not None and x_low <= plot.cursor <= x_high:
        _draw_cursor(area, round(place.column(plot.cursor)) // area.dots_x)
    page.chars[: area.height, left:] = area.chars
    page.styles[: area.height, left:] = area.styles
    if not plot.bare:
        _draw_axes(page, plot, place, left, y_ticks)
    return Drawing(page, left, area.width, x_low, x_high)


def x_reach(series: list[Series]) -> tuple[float, float] | None:
    """The least and the greatest x of all curves; None without a point."""
    ends = [(float(s.x[0]), float(s.x[-1])) for s in series if len(s.x)]
    return (min(low for low, _ in ends), max(high for _, high in ends)) if ends else None


@dataclass
class _Visible:
    """The part of a curve that is on the screen, with one point more at each side, reduced; `low` and `high` on the y
    scale.
    """

    x: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class _Scale:
    """From values to dots."""

    x_low: float
    x_high: float
    columns: int
    y_low: float
    y_high: float
    rows: int

    def column(self, x: float) -> float:
        return (x - self.x_low) / (self.x_high - self.x_low) * (self.columns - 1)

    def row(self, y: Floats) -> Floats:
        return (self.y_high - y) / (self.y_high - self.y_low) * (self.rows - 1)


def _visible(series: Series, x_low: float, x_high: float, columns: int, log_y: bool) -> _Visible:
    inside = int(np.searchsorted(series.x, x_high, side="right") - np.searchsorted(series.x, x_low))
    stride, low, high = series.y.level(inside / max(columns, 1))
    x = series.x[::stride]
    begin = max(int(np.searchsorted(x, x_low)) - 1, 0)
    end = int(np.searchsorted(x, x_high, side="right")) + 1
    x, low, high = x[begin:end], low[begin:end], high[begin:end]
    if log_y:
        low, high = _log10(low), _log10(high)
        low = np.where(np.isnan(low), high, low)
    return _Visible(x, low, high)


def _log10(values: Floats) -> Floats:
    """Logarithm to base 10; what is not above zero is missing."""
    positive = values > 0
    return np.log10(values, out=np.full(len(values), np.nan), where=positive)


def _y_range(visible: list[_Visible]) -> tuple[float, float]:
    lows = [float(np.nanmin(v.low)) for v in visible if np.isfinite(v.low).any()]
    highs = [float(np.nanmax(v.high)) for v in visible if np.isfinite(v.high).any()]
    if not lows:
        return 0.0, 1.0
    low, high = min(lows), max(highs)
    # A level curve is level, whatever the last bits of its average say.
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        slack = abs(low) * 0.05 or 1.0
        return low - slack, high + slack
    return low - 0.02 * (high - low), high + 0.02 * (high - low)


def _draw_line(area: Canvas, series: Series, shown: _Visible, place: _Scale) -> None:
    step = (place.x_high - place.x_low) / max(area.columns - 1, 1)
    edges: Floats = (place.x_low + (np.arange(area.columns + 1) - 0.5) * step).astype(np.float64)
    least, greatest = column_extremes(shown.x, shown.low, shown.high, edges)
    joined = _interpolate(shown, edges)
    least = np.fmin(least, np.fmin(joined[:-1], joined[1:]))
    greatest = np.fmax(greatest, np.fmax(joined[:-1], joined[1:]))
    if series.dashed:
        off = np.arange(area.columns) % sum(DASH) >= DASH[0]
        least[off] = np.nan
    character = "." if series.ghost else (series.marker or "*") if not series.dashed else "-"
    area.spans(place.row(greatest), place.row(least), (GHOST if series.ghost else SERIES) + series.colour, character)


def _interpolate(shown: _Visible, at: Floats) -> Floats:
    """The line's height at the columns' borders; NaN across a gap and beyond the ends."""
    middle = (shown.low + shown.high) / 2
    there = np.flatnonzero(np.isfinite(middle))
    if len(there) < 2:
        return np.full(len(at), np.nan)
    x = shown.x[there]
    heights = np.interp(at, x, middle[there], left=np.nan, right=np.nan)
    segment = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(there) - 2)
    heights[np.diff(there)[segment] > 1] = np.nan
    return heights


def _draw_markers(area: Canvas, series: Series, shown: _Visible, place: _Scale) -> None:
    """At points that keep some cells apart; each series starts elsewhere, so that markers of close curves do not cover
    each other.
    """
    apart = 3 if series.mark_points else max(area.width // 4, 12)
    next_free = 0 if series.mark_points else 2 + 3 * series.colour
    rows = place.row((shown.low + shown.high) / 2)
    columns = (shown.x - place.x_low) / (place.x_high - place.x_low) * (area.columns - 1)
    cells = np.floor_divide(np.rint(columns), area.dots_x)
    # One candidate a cell, so that the loop below is as short as the screen is wide.
    candidates = np.flatnonzero(np.isfinite(rows) & (cells >= 0) & (cells < area.width))
    _, first = np.unique(cells[candidates], return_index=True)
    for index in candidates[first].tolist():
        cell = int(cells[index])
        if cell >= next_free:
            area.put(cell, round(float(rows[index])) // area.dots_y, series.marker, SERIES + series.colour)
            next_free = cell + apart


def _draw_marks(area: Canvas, plot: Plot, place: _Scale) -> None:
    for mark in plot.marks:
        if not place.x_low <= mark.x <= place.x_high:
            continue
        glyph = MARK_GLYPHS[mark.kind][area.ascii_only]
        cell = round(place.column(mark.x)) // area.dots_x
        if mark.y is None:
            area.put(cell, area.height - 1, glyph, MARK_STYLES[mark.kind])
            continue
        value = math.log10(mark.y) if plot.log_y and mark.y > 0 else mark.y
        if math.isfinite(value):
            area.put(cell, round(float(place.row(np.array([value]))[0])) // area.dots_y, glyph, MARK_STYLES[mark.kind])


def _draw_cursor(area: Canvas, cell: int) -> None:
    for row in range(area.height):
        if area.chars[row, cell] == " ":
            area.put(cell, row, "|" if area.ascii_only else "│", CURSOR)
        else:
            area.styles[row, cell] = CURSOR


def _y_ticks(low: float, high: float, most: int, log_y: bool) -> list[tuple[float, str]]:
    """Places on the y scale, and what is written there."""
    if log_y:
        return [(math.log10(tick), format_value(tick)) for tick in log_ticks(10**low, 10**high, most)]
    return [(tick, format_value(tick)) for tick in linear_ticks(low, high, most)]


def x_formatter(x_kind: str) -> Callable[[float], str]:
    """How a position is written: time as h:mm:ss, the rest as a count."""
    return format_time if x_kind == "time" else format_count


def _draw_axes(page: Canvas, plot: Plot, place: _Scale, left: int, y_ticks: list[tuple[float, str]]) -> None:
    vertical, tee, corner, across, below = "|++-+" if page.ascii_only else "│┤└─┬"
    bottom = page.height - 2
    for row in range(bottom):
        page.put(left - 1, row, vertical, AXIS)
    for value, text in y_ticks:
        row = round(float(place.row(np.array([value]))[0])) // page.dots_y
        if 0 <= row < bottom:
            page.put(left - 1 - len(text), row, text, LABEL)
            page.put(left - 1, row, tee, AXIS)
    page.put(left - 1, bottom, corner + across * (page.width - left), AXIS)
    write = x_formatter(plot.x_kind)
    ticks = time_ticks if plot.x_kind == "time" else linear_ticks
    # The last columns of the lowest line name the axis.
    room_ends = page.width - len(plot.x_kind) - 1
    taken = 0
    for tick in ticks(place.x_low, place.x_high, max(2, (page.width - left) // 14)):
        column = left + round(place.column(tick)) // page.dots_x
        text = write(tick)
        start = max(column - len(text) // 2, 0)
        if start >= taken and start + len(text) <= room_ends:
            page.put(column, bottom, below, AXIS)
            page.put(start, bottom + 1, text, LABEL)
            taken = start + len(text) + 2
    page.put(page.width - len(plot.x_kind), bottom + 1, plot.x_kind, AXIS)
