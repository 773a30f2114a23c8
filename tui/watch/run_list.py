"""The list of runs: any number of rows, drawn line by line; as many columns as the width has room for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from lmcore.text import harmless, human_count, natural_key
from tui.theme import MARKERS, MARKERS_ASCII, ascii_only, ellipsis
from tui.watcher import ALARMS, RunRow
from tui.widgets.cells import fit
from tui.widgets.panel import Guarded

GLYPHS = {"running": "▶", "paused": "‖", "finished": "✓", "stopped": "■", "crashed": "✗", "stale": "?", "created": "·"}
GLYPHS_ASCII = {
    "running": ">",
    "paused": "|",
    "finished": "+",
    "stopped": "-",
    "crashed": "x",
    "stale": "?",
    "created": ".",
}
STATE_ORDER = ("running", "paused", "stale", "created", "stopped", "finished", "crashed")


@dataclass(frozen=True)
class ListColumn:
    """A column: its name, its width, what it shows, and what it is sorted by."""

    name: str
    title: str
    width: int
    text: Callable[[RunRow], str]
    key: Callable[[RunRow], tuple[object, ...]]
    right: bool = False


def _state_text(row: RunRow) -> str:
    glyph = (GLYPHS_ASCII if ascii_only() else GLYPHS)[row.state]
    if row.mark in ALARMS:
        return f"{glyph} {row.mark}"
    if row.state == "running" and row.scoring is not None and (row.scoring.final or row.progress == 1.0):
        split = harmless(row.scoring.split, keep_newlines=False)
        return f"{glyph} {split} {row.scoring.percent}"  # all steps are done: their share would stand still
    if row.state in ("running", "paused") and row.progress is not None:
        return f"{glyph} {row.progress:.0%}"
    return f"{glyph} {row.state}"


def _age(row: RunRow) -> str:
    seconds = max(time.time() - row.modified, 0.0)
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f}s"


def _recency(row: RunRow) -> tuple[object, ...]:
    """The newest first. Runs that train stay in the order of their names: each heartbeat would turn them round."""
    return (0, 0.0) if row.state in ("running", "paused") else (1, -row.modified)


# In the order in which they get room.
COLUMNS = (
    ListColumn(
        "name", "run", 12, lambda row: harmless(row.name, keep_newlines=False), lambda row: (natural_key(row.name),)
    ),
    ListColumn("state", "state", 11, _state_text, lambda row: (STATE_ORDER.index(row.state),)),
    ListColumn(
        "ppl",
        "val ppl",
        8,
        lambda row: (
            ""
            if row.val_perplexity is None
            else f"{row.val_perplexity:.1f}"
            if row.val_perplexity < 1e5
            else f"{row.val_perplexity:.1e}"
        ),
        lambda row: (row.val_perplexity is None, row.val_perplexity or 0.0),
        right=True,
    ),
    ListColumn(
        "model",
        "model",
        14,
        lambda row: harmless(row.architecture, keep_newlines=False),
        lambda row: (row.architecture,),
    ),
    ListColumn(
        "optimizer",
        "optimizer",
        10,
        lambda row: harmless(row.optimizer, keep_newlines=False),
        lambda row: (row.optimizer,),
    ),
    ListColumn(
        "step", "step", 7, lambda row: human_count(row.step) if row.step else "", lambda row: (-row.step,), right=True
    ),
    ListColumn("recent", "age", 5, _age, _recency, right=True),
    ListColumn(
        "corpus", "corpus", 16, lambda row: harmless(row.dataset, keep_newlines=False), lambda row: (row.dataset,)
    ),
)
SORTS = tuple(column.name for column in COLUMNS)


def arrange(rows: list[RunRow], wanted: str, sort: str, reverse: bool) -> list[RunRow]:
    """The rows that contain every word of `wanted` (in name, state, architecture, optimizer, corpus or mark), sorted by
    a column.

    Rows that are equal in the column stay in the order of their names; `reverse` turns the column only.
    """
    words = wanted.lower().split()
    kept = [
        row
        for row in rows
        if all(
            word in f"{row.name} {row.state} {row.architecture} {row.optimizer} {row.dataset} {row.mark}".lower()
            for word in words
        )
    ]
    column = next((column for column in COLUMNS if column.name == sort), COLUMNS[0])
    kept.sort(key=lambda row: natural_key(row.name))
    kept.sort(key=column.key, reverse=reverse)
    return kept


class RunList(Guarded, ScrollView, can_focus=True, inherit_bindings=False):
    """Rows of runs with a cursor. `overlay` maps the runs on the chart to their series number."""

    class Moved(Message):
        """The cursor stands on another run."""

        def __init__(self, name: str | None) -> None:
            super().__init__()
            self.name = name

    class Sorted(Message):
        """A column's title was clicked."""

        def __init__(self, column: str) -> None:
            super().__init__()
            self.column = column

    class Toggled(Message):
        """The marker of a row was clicked."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    DEFAULT_CSS = """
    RunList { height: 1fr; scrollbar-size: 1 1; }
    RunList > .run-list--title { color: $secondary; }
    RunList > .run-list--cursor { background: $block-cursor-background; color: $block-cursor-foreground; }
    RunList > .run-list--quiet { color: $secondary; }
    RunList > .run-list--alarm { color: $warning; }
    RunList > .run-list--active { color: $accent; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "run-list--title",
        "run-list--cursor",
        "run-list--quiet",
        "run-list--alarm",
        "run-list--active",
    }

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[RunRow] = []
        self.overlay: dict[str, int] = {}
        self.requested: dict[str, str] = {}
        self.colours: tuple[str, ...] = ()
        self.sort = "recent"
        self.reverse = False
        self.cursor = 0

    @property
    def current(self) -> str | None:
        """Name of the run under the cursor."""
        return self.rows[self.cursor].name if self.rows else None

    def show(self, rows: list[RunRow], keep: str | None) -> None:
        """Set the rows; the cursor stays on the run `keep` if it is still there."""
        before = self.current
        self.rows = rows
        names = [row.name for row in rows]
        self.cursor = names.index(keep) if keep in names else min(self.cursor, max(len(rows) - 1, 0))
        self.virtual_size = Size(self.size.width, len(rows) + 1)
        self._keep_in_sight()
        self.refresh()
        if self.current != before:
            self.post_message(self.Moved(self.current))

    def move(self, by: int) -> None:
        """Move the cursor."""
        self.move_to(self.cursor + by)

    def move_to(self, index: int) -> None:
        """Put the cursor on a row; beyond the ends, on the last one there is."""
        index = min(max(index, 0), max(len(self.rows) - 1, 0))
        if index != self.cursor:
            self.cursor = index
            self._keep_in_sight()
            self.refresh()
            self.post_message(self.Moved(self.current))

    def _keep_in_sight(self) -> None:
        # The title line stays on top, so a row is hidden under it when it is the first visible line.
        self.scroll_to_region(Region(0, self.cursor, max(self.size.width, 1), 2), animate=False)

    def columns(self) -> list[tuple[ListColumn, int]]:
        """The columns that fit and their widths; the name takes what is left, up to 24."""
        left = self.size.width - 2
        fitting: list[tuple[ListColumn, int]] = []
        for column in COLUMNS:
            if left < column.width:
                continue
            fitting.append((column, column.width))
            left -= column.width + 1
        if fitting and left > 0:
            name, width = fitting[0]
            fitting[0] = (name, width + min(left, 12))
        return fitting

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y == 0:
            return self._title(width)
        index = round(self.scroll_offset.y) + y - 1
        if index >= len(self.rows):
            return Strip.blank(width, self.rich_style)
        return self._row(self.rows[index], index == self.cursor, width)

    def _title(self, width: int) -> Strip:
        style = self.get_component_rich_style("run-list--title")
        text = "  "
        up, down = ("^", "v") if ascii_only() else ("↑", "↓")
        for column, room in self.columns():
            arrow = (up if self.reverse else down) if column.name == self.sort else ""
            title = f"{column.title}{arrow}"
            text += fit(title, room, right=column.right) + " "
        return Strip([Segment(text, style)]).adjust_cell_length(width, style)

    def _row(self, row: RunRow, under_cursor: bool, width: int) -> Strip:
        base = self.get_component_rich_style("run-list--cursor") if under_cursor else self.rich_style
        quiet = base + self._foreground("run-list--quiet")
        marker, marker_style = " ", base
        if row.name in self.overlay:
            slot = self.overlay[row.name]
            marker = (MARKERS_ASCII if ascii_only() else MARKERS)[slot % len(MARKERS)]
            marker_style = base + Style(color=self.colours[slot % len(self.colours)]) if self.colours else base
        segments = [Segment(marker + " ", marker_style)]
        for column, room in self.columns():
            text = column.text(row)
            style = base if column.name in ("name", "ppl") else quiet
            if column.name == "state":
                text = f"{self.requested[row.name]}{ellipsis()}" if row.name in self.requested else text
                style = base + self._state_style(row)
            segments.append(Segment(fit(text, room, right=column.right) + " ", style))
        return Strip(segments).adjust_cell_length(width, base)

    def _state_style(self, row: RunRow) -> Style:
        if row.state in ("crashed", "stale") or row.mark in ALARMS:
            return self._foreground("run-list--alarm")
        return self._foreground("run-list--active" if row.state in ("running", "paused") else "run-list--quiet")

    def _foreground(self, component: str) -> Style:
        return Style(color=self.get_component_rich_style(component, partial=True).color)

    def on_resize(self) -> None:
        self.virtual_size = Size(self.size.width, len(self.rows) + 1)
        self._keep_in_sight()

    def on_click(self, event: events.Click) -> None:
        if event.y == 0:
            at = 2
            for column, room in self.columns():
                if at <= event.x <= at + room:
                    self.post_message(self.Sorted(column.name))
                at += room + 1
            return
        index = round(self.scroll_offset.y) + event.y - 1
        if index < len(self.rows):
            self.move_to(index)
            if event.x < 2:
                self.post_message(self.Toggled(self.rows[index].name))
