"""Write: a prompt and one to four checkpoints side by side."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Input, Static

from tui.panel import Panel
from tui.screens.base import BaseScreen


class PromptPanel(Panel):
    """The prompt."""

    TITLE = "Prompt"

    def compose_panel(self) -> ComposeResult:
        yield Input(placeholder="Write the beginning, then press enter", compact=True)


class TextPanel(Panel):
    """What one checkpoint writes."""

    TITLE = "Text"

    def compose_panel(self) -> ComposeResult:
        yield Static(markup=False)


class WriteScreen(BaseScreen):
    """The prompt above, the texts below."""

    MODE = "write"

    def compose_panels(self) -> ComposeResult:
        yield PromptPanel(id="prompt")
        yield TextPanel(id="text")
