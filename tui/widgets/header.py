"""The top line: the five screens as tabs, and the state of runs and machine at the right."""

from __future__ import annotations

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from tui.actions.table import MODES, find_action
from tui.theme import ascii_only


class ModeTab(Static):
    """The name of a screen; a click opens it."""

    def __init__(self, mode: str, active: bool) -> None:
        action = find_action(f"app.{mode}")
        pointer = (">" if ascii_only() else "▸") if active else " "
        super().__init__(f"{pointer} {action.label}", classes="-active" if active else "", markup=False)
        self.mode = mode
        self.tooltip = f"{action.help} ({action.key})"

    async def on_click(self, event: events.Click) -> None:
        event.stop()
        await self.run_action(f"app.open('{self.mode}')")


class Status(Widget):
    """Short texts, the most important first; those that do not fit at the end are left out."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(id=id)
        self._parts: list[str] = []

    def show(self, parts: list[str]) -> None:
        """Set the texts."""
        self._parts = list(parts)
        self.refresh()

    def render(self) -> Content:
        between = " | " if ascii_only() else " · "
        parts = self._parts
        while len(parts) > 1 and cell_len(between.join(parts)) > self.content_size.width:
            parts = parts[:-1]
        return Content(between.join(parts))


class Header(Horizontal):
    """One line: `lm`, the tabs, and the status."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode

    def compose(self) -> ComposeResult:
        yield Static("lm", id="brand")
        for mode in MODES:
            yield ModeTab(mode, active=mode == self.mode)
        yield Status(id="status")

    def show_status(self, parts: list[str]) -> None:
        """Set the texts at the right end, the most important first."""
        self.query_one(Status).show(parts)
