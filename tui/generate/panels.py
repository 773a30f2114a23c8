"""Prompt, sliders, one panel a checkpoint, and the line of alternatives."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.widgets import Input, Static

from lmcore.config import setting_help
from lmcore.text import harmless
from tui.generate.sources import Source
from tui.generate.texts import Column, Token
from tui.generate.token_view import TokenView
from tui.theme import ascii_only
from tui.widgets.panel import Panel
from tui.widgets.slider import Scale, Slider

# Name in `generation.*` (or `num_samples`), label, scale, value at first.
SLIDERS: dict[str, tuple[str, Scale, float]] = {
    "temperature": ("temperature", Scale(0.05, 2.0, 0.05, most=100.0), 0.8),
    "top_k": ("top-k", Scale(0, 200, 1, most=1_000_000, whole=True), 40),
    "top_p": ("top-p", Scale(0.05, 1.0, 0.05), 1.0),
    "min_p": ("min-p", Scale(0.0, 0.5, 0.01, most=1.0), 0.0),
    "repetition_penalty": ("repetition", Scale(1.0, 2.0, 0.05, most=10.0), 1.0),
    "max_new_tokens": ("length", Scale(10, 500, 10, most=100_000, whole=True), 120),
    "seed": ("seed", Scale(0, 100, 1, most=2_000_000_000, whole=True), 0),
    "num_samples": ("samples", Scale(1, 4, 1, most=8, whole=True), 1),
}


class PromptPanel(Panel):
    """How the text begins."""

    TITLE = "Prompt"
    DEFAULT_CSS = """
    PromptPanel Input { background: $background; }
    """

    def compose_panel(self) -> ComposeResult:
        yield Input(placeholder="How the text begins; enter writes", compact=True)

    def on_mount(self) -> None:
        self.border_subtitle = "enter write · esc stop"


class SlidersPanel(Panel):
    """How the text is drawn."""

    TITLE = "Settings"
    DEFAULT_CSS = """
    SlidersPanel > Container { layout: grid; grid-size: 4; height: auto; }
    """

    def __init__(self, values: dict[str, float]) -> None:
        super().__init__(id="sliders")
        self._values = values

    def compose_panel(self) -> ComposeResult:
        with Container():
            for name, (label, scale, value) in SLIDERS.items():
                meaning = (
                    "How many texts each checkpoint writes."
                    if name == "num_samples"
                    else setting_help(f"generation.{name}")
                )
                yield Slider(label, scale, self._values.get(name, value), meaning=meaning, id=name)

    def values(self) -> dict[str, float]:
        """What the sliders say, by setting."""
        return {str(slider.id): slider.value for slider in self.query(Slider)}


class TextPanel(Panel):
    """What one checkpoint writes."""

    DEFAULT_CSS = """
    TextPanel .status { height: 1; color: $secondary; text-overflow: ellipsis; text-wrap: nowrap; }
    """

    def __init__(self, source: Source | None) -> None:
        self.TITLE = f"{source.run} · {source.which}" if source else "Text"
        super().__init__()
        self.source = source
        self.column = Column()

    def compose_panel(self) -> ComposeResult:
        yield TokenView()
        yield Static(classes="status", markup=False)

    @property
    def view(self) -> TokenView:
        """The text itself."""
        return self.query_one(TokenView)

    def on_mount(self) -> None:
        if self.source is None:
            self.say("There is no checkpoint yet: start a run in Presets (2).")

    def start(self, prompt: str) -> None:
        """Begin a new text."""
        self.column = Column()
        with self.guard():
            self.view.start(prompt, self.column)
            self.show_status()

    def show_status(self) -> None:
        """State, speed and mean loss, under the text."""
        column = self.column
        if self.source is not None:
            step = "" if column.step is None else f" {column.step:,}"
            self.border_title = Content(f"{self.source.run} · {self.source.which}{step}")
        if column.state in ("waiting", "loading"):
            self.say("waiting …" if column.state == "waiting" else "loading the checkpoint …")
        elif column.state == "failed":
            self.say(column.note)
        else:
            self.say(" · ".join(self._figures()))

    def _figures(self) -> list[str]:
        column = self.column
        written = sum(map(len, column.samples))
        state = {"writing": "writing …", "stopped": "stopped"}.get(column.state)
        speed = f"{column.tokens / column.seconds:,.0f} tok/s" if column.seconds else ""
        loss = f"nll {column.nll:.2f}" if column.nll is not None else ""
        return [part for part in (state, f"{written:,} tokens", speed, loss, column.note) if part]

    def say(self, text: str) -> None:
        """One line under the text."""
        self.query_one(".status", Static).update(harmless(text, keep_newlines=False))


class Alternatives(Static):
    """What else the token under the cursor might have been."""

    DEFAULT_CSS = (
        "Alternatives { height: 1; padding: 0 2; color: $secondary; text-wrap: nowrap; text-overflow: ellipsis; }"
    )

    def show(self, token: Token | None) -> None:
        """Likeliest first, with the model's own probability; the chosen one stands out."""
        if token is None:
            self.update("")
            return
        bar = " | " if ascii_only() else " │ "
        chosen = Content.assemble(
            (repr(token.text), "bold $foreground"), f" {token.probability:.3f}  nll {token.nll:.2f}"
        )
        others = [
            Content.assemble((repr(text), "$accent" if text == token.text else "$foreground"), f" {p:.3f}")
            for text, p in token.alternatives
        ]
        self.update(Content(bar).join([chosen, *others]))
