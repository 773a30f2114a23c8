"""Every key and what it does, from the table of actions."""

from __future__ import annotations

from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.actions.table import actions_for, help_sections, shown_key


class HelpScreen(ModalScreen[None]):
    """The keys of the screen behind it; escape, q or ? closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark", "app.pop_screen", "close")]

    def __init__(self, mode: str, overrides: dict[str, str]) -> None:
        super().__init__()
        self._mode, self._overrides = mode, overrides

    def compose(self) -> ComposeResult:
        with VerticalScroll() as scroll:
            scroll.border_title = "Keys"
            scroll.border_subtitle = "esc: close"
            for title, actions in help_sections(actions_for(self._mode)).items():
                yield Static(Text(title, style="bold"))
                table = Table.grid(padding=(0, 2))
                table.add_column(width=12, justify="right", no_wrap=True)
                table.add_column(ratio=1)
                for action in actions:
                    table.add_row(shown_key(action, self._overrides), action.help)
                yield Static(table)
