"""Choose from a list: one line, or several up to a limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from tui.theme import ascii_only
from tui.widgets.cells import fit
from tui.widgets.dialogs import Dialog


@dataclass(frozen=True)
class Choice:
    """One line: its id, its name, and what is said about it."""

    id: str
    name: str
    about: str = ""


class Choose(Dialog[list[str]]):
    """A list with a filter above it. With `most` above 1, space marks lines and enter takes the marked ones (or the one
    at the cursor).
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", "down"),
        Binding("up", "move(-1)", "up"),
        Binding("space", "mark", "mark"),
        Binding("slash", "find", "find"),
    ]
    DEFAULT_CSS = """
    Choose > Vertical { width: 84; height: 80%; }
    Choose OptionList { height: 1fr; border: none; background: $background; padding: 0; scrollbar-size: 1 1; }
    Choose .keys { height: 1; color: $secondary; }
    Choose Input { height: 3; }
    """

    def __init__(self, question: str, choices: Sequence[Choice], *, chosen: Sequence[str] = (), most: int = 1) -> None:
        super().__init__()
        self._question, self._choices, self._most = question, list(choices), most
        self.marked = [id_ for id_ in chosen if any(choice.id == id_ for choice in choices)] if most > 1 else []
        self._first = chosen[0] if chosen else None

    def compose(self) -> ComposeResult:
        several = f"space: mark (at most {self._most}) · " if self._most > 1 else ""
        with Vertical():
            yield Static(self._question, classes="question", markup=False)
            yield Input(placeholder="/ Find")
            yield OptionList(markup=False)
            yield Static(f"{several}enter: choose · esc: cancel", classes="keys", markup=False)

    def on_mount(self) -> None:
        self._fill("")
        self.query_one(OptionList).focus()

    def _fill(self, wanted: str) -> None:
        options = self.query_one(OptionList)
        shown = [choice for choice in self._choices if wanted.lower() in f"{choice.name} {choice.about}".lower()]
        options.set_options([Option(self._line(choice), id=choice.id) for choice in shown])
        ids = [choice.id for choice in shown]
        options.highlighted = None if not ids else ids.index(self._first) if self._first in ids else 0

    def _line(self, choice: Choice) -> Content:
        width = max(cell_len(other.name) for other in self._choices)
        on, off = ("[x] ", "[ ] ") if ascii_only() else ("● ", "○ ")
        mark = "" if self._most == 1 else on if choice.id in self.marked else off
        return Content.assemble(f"{mark}{fit(choice.name, width)}  ", (choice.about, "$secondary"))

    def on_input_changed(self, event: Input.Changed) -> None:
        self._fill(event.value)

    def on_input_submitted(self) -> None:
        self._take()

    def on_option_list_option_selected(self) -> None:
        self._take()

    def action_find(self) -> None:
        """Go to the filter."""
        self.query_one(Input).focus()

    def action_move(self, by: int) -> None:
        """From the filter, move in the list."""
        options = self.query_one(OptionList)
        if options.option_count:
            options.highlighted = ((options.highlighted or 0) + by) % options.option_count

    def action_mark(self) -> None:
        """Mark the line at the cursor, or remove its mark."""
        options = self.query_one(OptionList)
        option = options.highlighted_option
        if self._most == 1 or option is None or option.id is None:
            return
        if option.id in self.marked:
            self.marked.remove(option.id)
        elif len(self.marked) < self._most:
            self.marked.append(option.id)
        else:
            self.app.notify(f"At most {self._most} can be chosen. Unmark one first (space).", severity="warning")
        choice = next(choice for choice in self._choices if choice.id == option.id)
        options.replace_option_prompt(option.id, self._line(choice))

    def _take(self) -> None:
        option = self.query_one(OptionList).highlighted_option
        if self.marked:
            self.dismiss(list(self.marked))
        elif option is not None and option.id is not None:
            self.dismiss([option.id])
