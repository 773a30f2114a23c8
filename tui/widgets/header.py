"""The top line: the five screens as tabs, and what is going on at the right."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
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


class Header(Horizontal):
    """One line: `lm`, the tabs, and the status text of the app."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode

    def compose(self) -> ComposeResult:
        yield Static("lm", id="brand")
        for mode in MODES:
            yield ModeTab(mode, active=mode == self.mode)
        yield Static("", id="status", markup=False)

    def show_status(self, text: str) -> None:
        """Set the text at the right end."""
        self.query_one("#status", Static).update(text)
