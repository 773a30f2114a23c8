"""Learning rate, gradient norm and speed of one run, small: enough to see that something changed."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from lmcore.runs.events import number
from tui.charts.plot import Plot, Series
from tui.charts.ticks import format_value
from tui.run_data import METRICS
from tui.watch.view import RunPanel, RunView
from tui.widgets.chart_view import ChartView

# Metric and smoothing: a learning rate has no noise.
SHOWN = {"lr": 0.0, "grad_norm": 0.9, "tokens_per_second": 0.9}


class RatesPanel(RunPanel):
    """Three small curves, over the same steps as the large chart."""

    TITLE = "Rates"
    DEFAULT_CSS = """
    RatesPanel .rate-label { height: 1; }
    RatesPanel ChartView { height: 1fr; }
    """

    def compose_panel(self) -> ComposeResult:
        for metric in SHOWN:
            yield Static("", id=f"rate-{metric}", classes="rate-label")
            yield ChartView(id=f"rate-chart-{metric}")

    def show(self, view: RunView) -> None:
        """Show a run's curves in the hue that it has on the large chart."""
        data = view.data
        for metric, smoothing in SHOWN.items():
            plot = Plot([], x_kind=view.x_kind, viewport=view.viewport, bare=True)
            value = ""
            if data is not None:
                with data.lock:
                    curve = data.curve(metric, "train", smoothing)
                    if curve is not None and len(curve):
                        plot.series.append(Series(metric, data.x("train", view.x_kind), curve, view.colour))
                    value = format_value(number(data.last_train.get(metric)))
            width = max(self.content_size.width, 12)
            title = METRICS[metric].title
            label = Text(title, style="dim").append(value.rjust(max(width - len(title), 0)), style="not dim")
            self.query_one(f"#rate-{metric}", Static).update(label)
            self.query_one(f"#rate-chart-{metric}", ChartView).show(plot)
