"""A bordered part of a screen, which keeps its own failures to itself.

An exception inside a panel, or in a widget inside it, shows in that panel and in the log file; the rest of the screen
lives on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

if TYPE_CHECKING:
    from textual.message import Message

log = logging.getLogger("lm.tui")


class Guarded(Widget):
    """A widget whose handlers and rendering report failures to the panel around it instead of ending the app."""

    async def _dispatch_message(self, message: Message) -> None:
        try:
            await super()._dispatch_message(message)
        except Exception as error:
            self.failed(error)

    def render_lines(self, crop: Region) -> list[Strip]:
        try:
            return super().render_lines(crop)
        except Exception as error:
            self.failed(error)
            return [Strip.blank(crop.width)] * crop.height

    def failed(self, error: Exception) -> None:
        """Show the failure in the panel around this widget, and log it."""
        panel = next((node for node in self.ancestors_with_self if isinstance(node, Panel)), None)
        log.error("%s failed", panel.id if panel else type(self).__name__, exc_info=error)
        if panel is not None:
            panel.show_error(error)


class Panel(Guarded, Vertical):
    """A rounded border with the title in it. Subclasses compose their content in `compose_panel` and set `TITLE`."""

    TITLE = ""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(id=id, classes=classes)
        self.border_title = Content(self.TITLE)
        self.broken = False

    def compose(self) -> ComposeResult:
        yield from self.compose_panel()
        yield Static(classes="panel-error", markup=False)

    def compose_panel(self) -> ComposeResult:
        """The panel's own widgets."""
        yield from ()

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Run an update of this panel: a failure shows here, a success clears an earlier one."""
        try:
            yield
        except Exception as error:
            self.failed(error)
        else:
            self.clear_error()

    def show_error(self, error: Exception) -> None:
        """Replace the content by one sentence on the failure."""
        from lmcore.errors import LmError
        from tui.settings import state_dir

        said = str(error) if isinstance(error, LmError) else f"{type(error).__name__}: {error}"
        self.broken = True
        # Later, because a failure may come from rendering, where the layout must not change.
        self.call_later(self._show_error, f"Error in this panel: {said}\nDetails are in {state_dir() / 'tui.log'}.")

    def _show_error(self, text: str) -> None:
        self.add_class("-failed")
        self.query_one(".panel-error", Static).update(text)

    def clear_error(self) -> None:
        """Show the content again."""
        if self.broken:
            self.broken = False
            self.remove_class("-failed")
