"""The bottom line: the keys that do something now, as many as fit, with help, palette and quit always at the right."""

from __future__ import annotations

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual import events
from textual.widget import Widget

from tui.actions.table import Action, actions_for, shown_key

ALWAYS = ("app.help", "app.palette", "app.quit")


class ActionBar(Widget):
    """Made from the table of actions; a click on a key runs its action."""

    def __init__(self, mode: str, overrides: dict[str, str]) -> None:
        super().__init__()
        self._state: str | None = None
        self._mode = mode
        self._overrides = overrides
        self._places: list[tuple[int, int, Action]] = []

    def show_state(self, state: str | None) -> None:
        """The state of the selected run, None without one: it decides which keys do something."""
        if state != self._state:
            self._state = state
            self.refresh()

    def render(self) -> Text:
        variables = self.app.theme_variables
        key_style, label_style = Style(color=variables["accent"]), Style(color=variables["secondary"])
        shown = [
            action
            for action in actions_for(self._mode)
            if action.footer and (not action.states or self._state in action.states)
        ]
        always = [action for action in shown if action.id in ALWAYS]
        left = self.size.width - sum(self._width(action) for action in always)
        chosen = []
        for action in shown:
            if action.id not in ALWAYS and self._width(action) <= left:
                chosen.append(action)
                left -= self._width(action)
            elif action.id not in ALWAYS:
                # The table is in the order of importance: no less important one may take the place.
                left = 0
        text = Text(no_wrap=True)
        self._places = []
        for action in [*chosen, *always]:
            start = len(text)
            text.append(f" {shown_key(action, self._overrides, footer=True)}", style=key_style)
            text.append(f" {action.label} ", style=label_style)
            self._places.append((start, len(text), action))
        return text

    def _width(self, action: Action) -> int:
        return cell_len(shown_key(action, self._overrides, footer=True)) + len(action.label) + 3

    async def on_click(self, event: events.Click) -> None:
        for start, end, action in self._places:
            if start <= event.x < end:
                await self.screen.run_action(action.command)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        self.tooltip = next((action.help for start, end, action in self._places if start <= event.x < end), None)
