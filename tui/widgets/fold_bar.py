"""The line of tabs that stands for the panels when there is room for one only."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Static


class FoldTab(Static):
    """A panel's title; a click brings the panel to the front."""

    def __init__(self, title: str, index: int, active: bool) -> None:
        super().__init__(f" {title} ", classes="-active" if active else "", markup=False)
        self.index = index

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.post_message(FoldBar.Chosen(self.index))


class FoldBar(Horizontal):
    """Titles of the panels; hidden while all panels are visible."""

    class Chosen(Message):
        """A title was clicked."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self) -> None:
        super().__init__()
        self._titles: list[str] = []
        self._index = 0

    def compose(self) -> ComposeResult:
        for number, title in enumerate(self._titles):
            yield FoldTab(title, number, active=number == self._index)

    def show(self, titles: list[str], index: int) -> None:
        """Set the titles and which of them is in front."""
        if (titles, index) != (self._titles, self._index):
            self._titles, self._index = list(titles), index
            self.refresh(recompose=True)
