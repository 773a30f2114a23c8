"""Prompt, sliders, one panel a checkpoint, and the line of alternatives."""

from __future__ import annotations

from typing import Any

from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.widgets import Input, Static

from lmcore.config import Config, GenerationConfig, why_ignored
from lmcore.sampling import SamplerOption, sampler_options
from lmcore.text import harmless
from tui.generate.sources import Source
from tui.generate.texts import CheckpointTexts, Token
from tui.generate.token_view import TokenView
from tui.theme import ascii_only
from tui.widgets.panel import Panel
from tui.widgets.slider import Scale, Slider

NUM_SAMPLES = "num_samples"
"""The slider that is no sampler setting: how many texts each checkpoint generates."""


def sliders() -> dict[str, SamplerOption]:
    """The sampler settings that are numbers or switches, by name; text, as stop strings are, has no slider."""
    return {option.name: option for option in sampler_options() if option.control.bar is not None}


class SamplerSlider(Slider):
    """A sampler setting; its value reads `off` where that switches it off."""

    def __init__(self, option: SamplerOption, value: float) -> None:
        assert option.control.bar is not None
        low, high, step = option.control.bar
        scale = Scale(low, high, step, most=option.control.most, whole=option.kind != "float")
        super().__init__(option.control.label, scale, value, meaning=option.help, id=option.name)
        self._option = option

    def read_value(self) -> str:
        # What `option.read` takes for the off value is off as well: 0 on a bar whose off value is 1.
        off = self._option.control.off
        if off is not None and self._option.read(self.value) == off:
            return "off"
        return "on" if self._option.kind == "boolean" else super().read_value()


class PromptPanel(Panel):
    """The text to continue."""

    TITLE = "Prompt"
    DEFAULT_CSS = """
    PromptPanel Input { background: $background; }
    """

    def compose_panel(self) -> ComposeResult:
        yield Input(placeholder="The text to continue; enter generates", compact=True)

    def on_mount(self) -> None:
        self.border_subtitle = "enter generate · esc stop"


class SlidersPanel(Panel):
    """How the text is generated."""

    TITLE = "Settings"
    DEFAULT_CSS = """
    SlidersPanel > Container { layout: grid; grid-size: 4; height: auto; }
    """

    def __init__(self, values: dict[str, float]) -> None:
        super().__init__(id="sliders")
        self._values = values

    def compose_panel(self) -> ComposeResult:
        with Container():
            for name, option in sliders().items():
                yield SamplerSlider(option, self._values.get(name, float(option.default)))
            yield Slider(
                "samples",
                Scale(1, 4, 1, most=8, whole=True),
                self._values.get(NUM_SAMPLES, 1.0),
                meaning="Number of texts that each checkpoint generates.",
                id=NUM_SAMPLES,
            )

    def on_mount(self) -> None:
        self.show_effects()

    def on_slider_changed(self) -> None:
        self.show_effects()

    def show_effects(self) -> None:
        """Mark the sliders that have no effect beside the others, as top-k when greedy is on."""
        # Not validated: where the values do not fit together, generating says so.
        generation = GenerationConfig.model_construct(**self.request()[0])
        config = Config().model_copy(update={"generation": generation})
        for slider in self.query(SamplerSlider):
            slider.idle = why_ignored(config, f"generation.{slider.id}") or ""

    def values(self) -> dict[str, float]:
        """The positions of the sliders, by setting."""
        return {str(slider.id): slider.value for slider in self.query(Slider)}

    def request(self) -> tuple[dict[str, Any], int]:
        """The sampler settings by name, and the number of texts of each checkpoint."""
        values = self.values()
        num_samples = int(values.pop(NUM_SAMPLES))
        return {name: option.read(values[name]) for name, option in sliders().items()}, num_samples


class TextPanel(Panel):
    """The text of one checkpoint."""

    DEFAULT_CSS = """
    TextPanel .status { height: 1; color: $secondary; text-overflow: ellipsis; text-wrap: nowrap; }
    """

    def __init__(self, source: Source | None) -> None:
        self.TITLE = f"{source.run} · {source.which}" if source else "Text"
        super().__init__()
        self.source = source
        self.column = CheckpointTexts()

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
        self.column = CheckpointTexts()
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
        generated = sum(map(len, column.samples))
        state = {"generating": "generating …", "stopped": "stopped"}.get(column.state)
        speed = f"{column.tokens / column.seconds:,.0f} tok/s" if column.seconds else ""
        loss = f"nll {column.nll:.2f}" if column.nll is not None else ""
        return [part for part in (state, f"{generated:,} tokens", speed, loss, column.note) if part]

    def say(self, text: str) -> None:
        """One line under the text."""
        self.query_one(".status", Static).update(harmless(text, keep_newlines=False))


class Alternatives(Static):
    """The most likely tokens at the place of the cursor."""

    DEFAULT_CSS = (
        "Alternatives { height: 1; padding: 0 2; color: $secondary; text-wrap: nowrap; text-overflow: ellipsis; }"
    )

    def show(self, token: Token | None) -> None:
        """Most likely first, with the model's own probability; the chosen one is highlighted."""
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
