"""A number on one line, set by arrow keys, by mouse, or by typing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from tui.theme import ascii_only


@dataclass(frozen=True)
class Scale:
    """A slider's range.

    Attributes:
        low, high: The ends of the bar.
        step: What an arrow key adds; values moved to by mouse are multiples of it.
        most: The highest value that may be typed, where that is above `high`.
        whole: Whole numbers only.
    """

    low: float
    high: float
    step: float
    most: float | None = None
    whole: bool = False

    def fit(self, value: float) -> float:
        """The nearest value that is allowed."""
        value = min(max(value, self.low), self.high if self.most is None else self.most)
        return float(round(value)) if self.whole else round(value, 6)

    def share(self, value: float) -> float:
        """Where a value stands on the bar, 0 to 1."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)

    def at(self, share: float) -> float:
        """The value at a place on the bar, on a whole step."""
        steps = round(share * (self.high - self.low) / self.step)
        return self.fit(min(self.low + steps * self.step, self.high))


class Slider(Widget, can_focus=True):
    """`label ━━━━●━━━ 0.8`. Arrow keys move by a step, page keys by ten, home and end to the ends; digits are typed,
    enter takes them.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,down", "move(-1)", "less", show=False),
        Binding("right,up", "move(1)", "more", show=False),
        Binding("pagedown", "move(-10)", "much less", show=False),
        Binding("pageup", "move(10)", "much more", show=False),
        Binding("home", "end(0)", "least", show=False),
        Binding("end", "end(1)", "most", show=False),
    ]
    DEFAULT_CSS = """
    Slider { height: 1; width: 1fr; min-width: 24; padding: 0 1; color: $secondary; }
    Slider:focus { color: $foreground; background: $block-cursor-background; }
    """

    value: reactive[float] = reactive(0.0)
    idle: reactive[str] = reactive("")
    """Why the value has no effect at present; empty when it has one."""
    typed: reactive[str] = reactive("")

    class Changed(Message):
        """The value is another one."""

        def __init__(self, slider: Slider, value: float) -> None:
            super().__init__()
            self.slider = slider
            self.value = value

    def __init__(
        self,
        label: str,
        scale: Scale,
        value: float,
        *,
        meaning: str = "",
        id: str | None = None,  # noqa: A002 (Textual's own name)
    ) -> None:
        super().__init__(id=id)
        self.label, self.scale = label, scale
        self._meaning = meaning
        self.tooltip = meaning or None
        self.set_reactive(Slider.value, scale.fit(value))

    def set_value(self, value: float) -> None:
        """Go to the nearest allowed value."""
        self.value = self.scale.fit(value)

    def watch_value(self, before: float, after: float) -> None:
        if before != after:
            self.post_message(self.Changed(self, after))

    def watch_idle(self) -> None:
        no_effect = f"No effect at present: {self.idle}." if self.idle else ""
        self.tooltip = f"{self._meaning} {no_effect}".strip() or None

    def shown_value(self) -> str:
        """The value as it is read, `unused`, or what is being typed."""
        if self.typed:
            return f"{self.typed}{'_' if ascii_only() else '▏'}"
        return "unused" if self.idle else self.read_value()

    def read_value(self) -> str:
        """The value in words or figures."""
        return f"{self.value:,.0f}" if self.scale.whole else f"{self.value:g}"

    def render(self) -> Content:
        start, width = self._bar()
        knob = round(self.scale.share(self.value) * (width - 1))
        line, ball = ("-", "O") if ascii_only() else ("━", "●")
        return Content.assemble(
            f"{self.label:<{start - 1}.{start - 1}} ",
            (line * knob, "$border" if self.idle else "$accent"),
            (ball, "$border" if self.idle else "bold $accent"),
            (line * (width - 1 - knob), "$border"),
            f" {self.shown_value()}",
        )

    def _bar(self) -> tuple[int, int]:
        """First column and width of the bar: the label stands before it, seven columns for the value behind it."""
        start = min(len(self.label) + 1, 13)
        return start, max(self.content_size.width - start - 7, 4)

    def action_move(self, steps: int) -> None:
        """Move by steps."""
        self.typed = ""
        self.set_value(self.value + steps * self.scale.step)

    def action_end(self, which: int) -> None:
        """Go to one end of the bar."""
        self.typed = ""
        self.set_value(self.scale.high if which else self.scale.low)

    def on_key(self, event: events.Key) -> None:
        if event.character and event.character in "0123456789.":
            self.typed += event.character
        elif event.key == "backspace" and self.typed:
            self.typed = self.typed[:-1]
        elif event.key == "escape" and self.typed:
            self.typed = ""
        elif event.key == "enter":
            if not self.typed:
                return
            self._take_typed()
        else:
            return
        event.stop()
        event.prevent_default()

    def on_blur(self) -> None:
        self._take_typed()

    def _take_typed(self) -> None:
        typed, self.typed = self.typed, ""
        try:
            self.set_value(float(typed))
        except ValueError:
            return  # "." or nothing: the value stays.

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self.capture_mouse()
        self._go_to(event.x)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self.app.mouse_captured is self:
            self._go_to(event.x)

    def on_mouse_up(self) -> None:
        self.release_mouse()

    def _go_to(self, x: int) -> None:
        start, width = self._bar()
        self.set_value(self.scale.at(min(max((x - self.styles.padding.left - start) / (width - 1), 0.0), 1.0)))
