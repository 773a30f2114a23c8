"""What the panels beside the list of runs show, and the class that they derive from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tui.widgets.panel import Panel

if TYPE_CHECKING:
    from tui.charts.viewport import Viewport
    from tui.run_data import RunData
    from tui.watcher import RunRow


@dataclass(frozen=True)
class RunView:
    """The selected run as the chart shows it.

    Attributes:
        row: Its line of the list; None when there is no run.
        data: What has been read of its events; None before the first of them.
        requests: What was asked of it and not answered yet; else its last answer.
        cursor_step: The step at the chart's cursor; None without a cursor.
        colour: Its hue on the chart.
        x_kind, viewport: The chart's x-axis, and the part of it that is visible.
    """

    row: RunRow | None
    data: RunData | None
    requests: tuple[str, ...]
    cursor_step: int | None
    colour: int
    x_kind: str
    viewport: Viewport


class RunPanel(Panel):
    """A panel about the selected run. The Watch screen calls `show` when the run, its events or the cursor changed."""

    def show(self, view: RunView) -> None:
        """Show this run."""
        raise NotImplementedError
