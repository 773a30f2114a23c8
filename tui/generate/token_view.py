"""The text of one checkpoint: each token tinted by its probability, a cursor that stands on a token, a mark where texts
part.
"""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.generate.texts import LEVELS, CheckpointTexts, Token
from tui.generate.wrapping import HEADING, MARK, PROMPT, Wrapped
from tui.theme import ascii_only
from tui.widgets.panel import Guarded


class TokenView(Guarded, ScrollView, can_focus=True):
    """Shows a `CheckpointTexts` under its prompt. Only what is new is laid out when text is appended."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"tokens--level-{level}" for level in range(len(LEVELS) + 1)} | {
        "tokens--plain",
        "tokens--prompt",
        "tokens--mark",
        "tokens--cursor",
    }
    DEFAULT_CSS = """
    TokenView { height: 1fr; scrollbar-size: 1 1; background: $background; }
    TokenView > .tokens--plain { color: $foreground; }
    TokenView > .tokens--level-0 { color: $foreground 62%; }
    TokenView > .tokens--level-1 { color: $foreground 80%; }
    TokenView > .tokens--level-2 { color: $foreground; }
    TokenView > .tokens--level-3 { color: $warning; }
    TokenView > .tokens--level-4 { color: $error; }
    TokenView > .tokens--prompt { color: $accent; }
    TokenView > .tokens--mark { color: $accent; text-style: bold; }
    TokenView > .tokens--cursor { text-style: reverse; }
    TokenView:nocolor > .tokens--level-0 { text-style: dim; }
    TokenView:nocolor > .tokens--level-3 { text-style: underline; }
    TokenView:nocolor > .tokens--level-4 { text-style: bold underline; }
    TokenView:nocolor > .tokens--prompt { text-style: italic; }
    """

    class Picked(Message):
        """The cursor stands on another token, or on none."""

        def __init__(self, view: TokenView, token: Token | None) -> None:
            super().__init__()
            self.view = view
            self.token = token

    def __init__(self) -> None:
        super().__init__()
        self.prompt = ""
        self.column = CheckpointTexts()
        self.tinted = True
        self.cursor: int | None = None
        self._tokens: list[tuple[int, Token]] = []
        self._partings: dict[int, int] = {}
        self._wrapped: list[Wrapped] = []
        self._laid: list[int] = []  # tokens of each sample that are in its lines
        self._characters: list[int] = []  # and how many characters they have
        self._numbers: dict[tuple[int, int], int] = {}
        self._strips: dict[tuple[int, int], Strip] = {}
        self._styles: dict[str, Style] = {}

    def start(self, prompt: str, column: CheckpointTexts) -> None:
        """Show another text."""
        self.prompt, self.column = prompt, column
        self._tokens, self._numbers, self._partings = [], {}, {}
        self.cursor = None
        self.relayout()
        self.scroll_home(animate=False)

    def part_at(self, partings: dict[int, int]) -> None:
        """Put the mark behind so many characters of each sample."""
        if partings != self._partings:
            self._partings = dict(partings)
            self.relayout()

    def grow(self) -> None:
        """Lay out the tokens that were added to the column; the view follows the text unless it was scrolled away from
        its end.
        """
        at_end = self.scroll_offset.y >= self.max_scroll_y - 1
        self._lay_out()
        if at_end and self.cursor is None:
            self.scroll_end(animate=False)

    def relayout(self) -> None:
        """Lay out everything again."""
        self._wrapped, self._laid, self._characters = [], [], []
        self._strips.clear()
        self._lay_out()

    def on_resize(self) -> None:
        self.relayout()

    def _lay_out(self) -> None:
        width = self.size.width - 1  # one column for the scrollbar, which may come later
        for sample, tokens in enumerate(self.column.samples):
            if sample == len(self._wrapped):
                self._wrapped.append(self._begin(sample, width))
                self._laid.append(0)
                self._characters.append(0)
            for place in range(self._laid[sample], len(tokens)):
                self._push(sample, place, tokens[place])
            self._laid[sample] = len(tokens)
        self.virtual_size = Size(width, sum(len(wrapped.lines) for wrapped in self._wrapped))
        self.refresh()

    def _begin(self, sample: int, width: int) -> Wrapped:
        wrapped = Wrapped(width)
        if sample:
            wrapped.push_line(HEADING, "")
        if len(self.column.samples) > 1:
            wrapped.push_line(HEADING, f"{'--' if ascii_only() else '──'} sample {sample + 1}")
        wrapped.push(PROMPT, self.prompt)
        return wrapped

    def _push(self, sample: int, place: int, token: Token) -> None:
        wrapped = self._wrapped[sample]
        number = self._numbers.setdefault((sample, place), len(self._tokens))
        if number == len(self._tokens):
            self._tokens.append((sample, token))
        before = self._partings.get(sample, -1) - self._characters[sample]
        if 0 <= before < len(token.text):
            wrapped.push(number, token.text[:before])
            wrapped.push(MARK, "|" if ascii_only() else "┊")
            wrapped.push(number, token.text[before:])
        else:
            wrapped.push(number, token.text)
        self._characters[sample] += len(token.text)

    def render_line(self, y: int) -> Strip:
        y += self.scroll_offset.y
        width = self.size.width
        for sample, wrapped in enumerate(self._wrapped):
            if y < len(wrapped.lines):
                return self._strip(sample, y, width)
            y -= len(wrapped.lines)
        return Strip.blank(width, self.rich_style)

    def _strip(self, sample: int, y: int, width: int) -> Strip:
        """One line; all but the last two of a sample stay as they are while it grows."""
        known = self._strips.get((sample, y))
        if known is not None and known.cell_length == width:
            return known
        segments = [Segment(text, self._style(number)) for number, text in self._wrapped[sample].lines[y]]
        strip = Strip(segments).extend_cell_length(width, self.rich_style).crop(0, width).simplify()
        if y < len(self._wrapped[sample].lines) - 2:
            self._strips[sample, y] = strip
        return strip

    def _style(self, number: int) -> Style:
        names = {PROMPT: "prompt", MARK: "mark", HEADING: "prompt"}
        name = names.get(number) or (f"level-{self._tokens[number][1].level}" if self.tinted else "plain")
        style = self._named_style(name)
        return style + self._named_style("cursor") if number >= 0 and number == self.cursor else style

    def _named_style(self, name: str) -> Style:
        # Textual computes a component's style at each request, and there are thousands of tokens.
        if name not in self._styles:
            self._styles[name] = self.rich_style + self.get_component_rich_style(f"tokens--{name}", partial=True)
        return self._styles[name]

    def repaint(self) -> None:
        """Draw all lines again: the cursor moved, or the tint or the colours changed."""
        self._strips.clear()
        self._styles.clear()
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self.repaint()

    # The cursor.

    @property
    def token(self) -> Token | None:
        """The token under the cursor."""
        return None if self.cursor is None else self._tokens[self.cursor][1]

    @property
    def sample(self) -> int:
        """The sample under the cursor; the first one without a cursor."""
        return 0 if self.cursor is None else self._tokens[self.cursor][0]

    def move(self, by: int) -> None:
        """Move the cursor by tokens; from nowhere, to the first one."""
        if not self._tokens:
            return
        order = sorted(self._numbers)
        if self.cursor is None:
            self.pick(self._numbers[order[0 if by > 0 else -1]])
            return
        here = next(index for index, place in enumerate(order) if self._numbers[place] == self.cursor)
        self.pick(self._numbers[order[min(max(here + by, 0), len(order) - 1)]])

    def pick(self, number: int | None) -> None:
        """Stand on a token, or on none."""
        self.cursor = number
        self.repaint()
        if number is not None:
            self._show_line_of(number)
        self.post_message(self.Picked(self, self.token))

    def _show_line_of(self, number: int) -> None:
        top = 0
        for wrapped in self._wrapped:
            line = wrapped.line_of(number)
            if line is not None:
                self.scroll_to_region(Region(0, top + line, 1, 1), animate=False)
                return
            top += len(wrapped.lines)

    def on_click(self, event: events.Click) -> None:
        y = event.y + self.scroll_offset.y
        for wrapped in self._wrapped:
            if y < len(wrapped.lines):
                self.pick(wrapped.token_at(event.x, y))
                return
            y -= len(wrapped.lines)
