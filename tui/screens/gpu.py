"""GPU: what each card does, or the processor where there is none, and where our runs' memory goes."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.message import Message
from textual.widgets import Static

from tui.messages import TelemetryChanged
from tui.panel import Panel
from tui.screens.base import BaseScreen


class DevicePanel(Panel):
    """One reading of the cards, as text."""

    TITLE = "Devices"

    def compose_panel(self) -> ComposeResult:
        yield Static("reading …", markup=False)

    def show(self, snapshot: object) -> None:
        """Show a reading."""
        self.query_one(Static).update(str(snapshot))


class GpuScreen(BaseScreen):
    """Cards, processes, memory."""

    MODE = "gpu"

    def compose_panels(self) -> ComposeResult:
        yield DevicePanel(id="device")

    def receive(self, message: Message) -> None:
        if isinstance(message, TelemetryChanged):
            panel = self.query_one(DevicePanel)
            with panel.guard():
                panel.show(message.snapshot)
