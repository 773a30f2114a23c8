"""The one widget that shows a plot: drawn again only when the plot, the size or the theme changed."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.color import Color
from textual.message import Message
from textual.strip import Strip

from tui.charts import plot as charts
from tui.theme import ascii_only, series_colours
from tui.widgets.panel import Guarded


class ChartView(Guarded):
    """Shows a `Plot`. Clicks and the wheel become messages; the panel around it decides what they mean."""

    class Clicked(Message):
        """A place in the data area was clicked; `x` is on the plot's x-axis."""

        def __init__(self, x: float) -> None:
            super().__init__()
            self.x = x

    class Wheel(Message):
        """The wheel turned at `x`: `factor` below 1 zooms in."""

        def __init__(self, x: float, factor: float) -> None:
            super().__init__()
            self.x = x
            self.factor = factor

    DEFAULT_CSS = "ChartView { width: 1fr; height: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(id=id)
        self._plot = charts.Plot([], empty="")
        self._drawing: charts.Drawing | None = None
        self._strips: list[Strip] = []
        self._drawn_for: tuple[int, int, str] | None = None
        self.redraws = 0

    @property
    def drawing(self) -> charts.Drawing | None:
        """What is on the screen, for those who need to know which x a column is."""
        return self._drawing

    def show(self, plot: charts.Plot) -> None:
        """Replace the plot; it is drawn when the screen next asks for it."""
        self._plot = plot
        self._drawn_for = None
        self.refresh()

    def render_line(self, y: int) -> Strip:
        wanted = (self.size.width, self.size.height, self.app.theme)
        if self._drawn_for != wanted:
            self._draw(*wanted)
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width)

    def _draw(self, width: int, height: int, theme: str) -> None:
        self._drawing = charts.draw(self._plot, width, height, ascii_only=ascii_only())
        styles = series_styles(theme, self.app.theme_variables, self.background_colors[1])
        canvas = self._drawing.canvas
        self._strips = [
            Strip([Segment(text, styles[style]) for text, style in canvas.runs(row)], width) for row in range(height)
        ]
        self._drawn_for = (width, height, theme)
        self.redraws += 1

    def on_click(self, event: events.Click) -> None:
        if self._drawing is not None:
            self.post_message(self.Clicked(self._drawing.x_at(event.x)))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._wheel(event, 0.8)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._wheel(event, 1.25)

    def _wheel(self, event: events.MouseEvent, factor: float) -> None:
        event.stop()
        if self._drawing is not None:
            self.post_message(self.Wheel(self._drawing.x_at(event.x), factor))


def series_styles(theme: str, variables: dict[str, str], background: Color) -> dict[int, Style]:
    """Colours of the style numbers that plots are drawn in; ghosts lie near the background."""
    ground = Style(bgcolor=background.rich_color)
    quiet, loud = Color.parse(variables["secondary"]), Color.parse(variables["foreground"])
    styles = {
        charts.BLANK: ground,
        charts.AXIS: ground + Style(color=background.blend(quiet, 0.6).rich_color),
        charts.LABEL: ground + Style(color=quiet.rich_color),
        charts.CURSOR: ground + Style(color=loud.rich_color),
        charts.BEST: ground + Style(color=loud.rich_color, bold=True),
        charts.WARNING: ground + Style(color=Color.parse(variables["warning"]).rich_color, bold=True),
        charts.LR_CHANGE: ground + Style(color=Color.parse(variables["accent"]).rich_color),
    }
    for number, hue in enumerate(series_colours(theme)):
        colour = Color.parse(hue)
        styles[charts.SERIES + number] = ground + Style(color=colour.rich_color)
        styles[charts.GHOST + number] = ground + Style(color=background.blend(colour, 0.38).rich_color)
    return styles
