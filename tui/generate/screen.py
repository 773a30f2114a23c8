"""Generate: one prompt, continued by one to four checkpoints side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input

from lmcore.errors import LmError
from tui.engine.client import Engine, EngineSaid
from tui.generate.keep import keep_sample
from tui.generate.panels import Alternatives, PromptPanel, SlidersPanel, TextPanel
from tui.generate.sources import MOST, Source, checkpoint_choices, default_source, folders
from tui.generate.texts import CheckpointTexts, parting
from tui.generate.token_view import TokenView
from tui.settings import state_dir
from tui.widgets.base_screen import BaseScreen
from tui.widgets.choose import Choice, Choose
from tui.widgets.panel import Panel
from tui.widgets.slider import Slider

if TYPE_CHECKING:
    from textual.timer import Timer

    from tui.session import Session

STOP_SECONDS = 3.0
"""How long a stopped computation may take to end before its process is killed."""
PAINT_SECONDS = 0.1
"""Time between two updates of one column (half of it where there are several): otherwise a fast model would keep the
screen busy and keys waiting.
"""
PROMPTS_KEPT = 100
ALTERNATIVES = 5


class Prepared(Message):
    """The checkpoints' folders were found, or `problem` says why not."""

    def __init__(self, prompt: str, found: list[str], problem: str = "") -> None:
        super().__init__()
        self.prompt, self.found, self.problem = prompt, found, problem


class ChoicesFound(Message):
    """The checkpoints that can be chosen; `default` is the one to begin with, where none was chosen before."""

    def __init__(self, choices: list[Choice], default: Source | None, ask: bool) -> None:
        super().__init__()
        self.choices, self.default, self.ask = choices, default, ask


class GenerateScreen(BaseScreen):
    """The prompt above, the texts below, sliders between."""

    MODE = "generate"
    AUTO_FOCUS = "PromptPanel Input"
    CSS = """
    GenerateScreen #body { layout: vertical; }
    GenerateScreen #prompt { display: block; height: 3; }
    GenerateScreen #sliders { height: auto; }
    GenerateScreen #texts { height: 1fr; }
    GenerateScreen.-fold #sliders.-front { height: 1fr; }
    GenerateScreen.-fold #sliders > Container { grid-size: 1; }
    GenerateScreen.-fold.-sliders #texts { display: none; }
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.engine = Engine(self.post_message)
        self.job: int | None = None
        self.sources: list[Source] = []
        self._texts: list[TextPanel] = []
        self._grown: set[int] = set()
        self._painting: Timer | None = None
        self._painted = 0
        self._stopping: Timer | None = None
        self._earlier = 0  # how far back in the history of prompts; 0 is the new one
        self._draft = ""

    def compose_panels(self) -> ComposeResult:
        yield PromptPanel(id="prompt")
        yield SlidersPanel(self.session.settings.generate)
        self._texts = [TextPanel(None)]
        with Horizontal(id="texts"):
            yield from self._texts
        yield Alternatives()

    @property
    def panels(self) -> list[Panel]:
        """The texts, then the sliders; the prompt is always there."""
        return [*self.text_panels, self.query_one(SlidersPanel)]

    @property
    def text_panels(self) -> list[TextPanel]:
        """One panel a checkpoint."""
        return self._texts

    def show_panel(self, index: int, focus: bool = True) -> None:
        super().show_panel(index, focus)
        self.set_class(self.query_one(SlidersPanel).has_class("-front"), "-sliders")

    def on_screen_resume(self) -> None:
        self.call_later(self._use_remembered)

    async def _use_remembered(self) -> None:
        """The checkpoints of the last time, or those that another screen asked for."""
        wanted = [Source.parse(text) for text in self.session.settings.sources][:MOST]
        if wanted and wanted != self.sources:
            await self.use(wanted)
        elif not self.sources:
            self.find_choices(ask=False)

    def on_unmount(self) -> None:
        self.engine.close()

    # Which checkpoints.

    async def use(self, sources: list[Source]) -> None:
        """Generate with these from now on."""
        if self.job is not None:
            self.engine.close()
            self._ended()
        self.sources = sources
        self.session.settings.sources = [str(source) for source in sources]
        texts = self.query_one("#texts")
        await texts.remove_children()
        self._texts = [TextPanel(source) for source in sources]
        await texts.mount_all(self._texts)
        self.query_one(Alternatives).show(None)
        self.show_panel(0, focus=False)

    def action_choose_checkpoints(self) -> None:
        """Ask for up to four checkpoints."""
        self.find_choices(ask=True)

    @work(thread=True, exclusive=True, group="choices", exit_on_error=False)
    def find_choices(self, ask: bool) -> None:
        """Look for checkpoints off the UI thread."""
        self.post_message(
            ChoicesFound(
                checkpoint_choices(self.session.root), default_source(self.session.root, self.session.selected), ask
            )
        )

    async def on_choices_found(self, message: ChoicesFound) -> None:
        if not message.ask:
            if message.default is not None:
                await self.use([message.default])
        elif message.choices:
            question = "Choose checkpoints. All of them get the same prompt and seed."
            self.app.push_screen(
                Choose(question, message.choices, chosen=[str(source) for source in self.sources], most=MOST),
                self._chosen,
            )
        else:
            self.notify(
                "No run has a checkpoint yet. Start a run in Presets (2), or wait for its first checkpoint.",
                severity="warning",
            )

    async def _chosen(self, answer: list[str] | None) -> None:
        if answer:
            await self.use([Source.parse(text) for text in answer])

    # Generating.

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_generate()

    def action_generate(self) -> None:
        """Generate with every chosen checkpoint, from the prompt."""
        if self.job is not None:
            self.engine.stop(self.job)
            self._ended()
        prompt = self.query_one(Input).value
        self._remember(prompt)
        for panel in self.text_panels:
            panel.start(prompt)
        self.query_one(Alternatives).show(None)
        self.prepare(prompt, list(self.sources))

    @work(thread=True, exclusive=True, group="prepare", exit_on_error=False)
    def prepare(self, prompt: str, sources: list[Source]) -> None:
        """Find the checkpoints as they are now: a run may have saved better ones since."""
        try:
            self.post_message(Prepared(prompt, folders(sources, self.session.root)))
        except LmError as error:
            self.post_message(Prepared(prompt, [], str(error)))

    def on_prepared(self, message: Prepared) -> None:
        if message.problem:
            self.notify(message.problem, severity="error")
            for panel in self.text_panels:
                panel.say(message.problem)
            return
        settings, num_samples = self.query_one(SlidersPanel).request()
        self.job = self.engine.send(
            "generate",
            folders=message.found,
            prompt=message.prompt,
            num_samples=num_samples,
            settings=settings,
            alternatives=ALTERNATIVES,
            # One thread leaves the other cores to the run that is training.
            threads=1 if self.session.training else 0,
        )

    def action_leave(self) -> None:
        """Stop the computation; else hide the cursor; else leave the field."""
        if self.job is not None:
            self.engine.stop(self.job)
            self._stopping = self.set_timer(STOP_SECONDS, self._kill)
            for panel in self.text_panels:
                if panel.column.state in ("waiting", "loading", "generating"):
                    panel.column.state = "stopped"
                    panel.show_status()
        elif (view := self._picked()) is not None:
            view.pick(None)
        else:
            super().action_leave()

    def _kill(self) -> None:
        """The computation did not end by itself, in the middle of loading for example."""
        if self.job is not None:
            self.engine.close()
            self._ended()

    def _ended(self) -> None:
        self.job = None
        if self._stopping is not None:
            self._stopping.stop()
            self._stopping = None

    def on_engine_said(self, message: EngineSaid) -> None:
        if message.job != self.job:
            return
        if message.what == "tokens":
            self._take_tokens(message.values["tokens"])
        elif message.what in ("ended", "lost"):
            self._ended()
            if message.what == "lost":
                self._each(lambda column: self._fail(column, message.values["message"]))
        else:
            self._paint()
            index = message.values.get("column")
            for panel in self.text_panels if index is None else self.text_panels[index : index + 1]:
                with panel.guard():
                    self._take(panel.column, message.what, message.values)
                    panel.show_status()

    def _take(self, column: CheckpointTexts, what: str, values: dict[str, Any]) -> None:
        """One checkpoint's news."""
        if what == "failed":
            self._fail(column, values["message"])
        elif what == "done":
            column.tokens, column.seconds, column.nll = values["tokens"], values["seconds"], values["nll"]
            column.state = "stopped" if column.state == "stopped" else "done"
        elif what == "ready":
            column.step, column.note = values["step"], " ".join(values["notices"])
            column.state = "stopped" if column.state == "stopped" else "generating"
        elif what == "loading" and column.state == "waiting":
            column.state = "loading"

    def _fail(self, column: CheckpointTexts, why: str) -> None:
        if column.state in ("waiting", "loading", "generating"):
            column.state, column.note = "failed", why

    def _each(self, change: Any) -> None:
        for panel in self.text_panels:
            change(panel.column)
            panel.show_status()

    def _take_tokens(self, tokens: list[list[Any]]) -> None:
        panels = self.text_panels
        for index, *token in tokens:
            panels[index].column.add(*token)
            self._grown.add(index)
        if self._painting is None:
            self._painting = self.set_timer(PAINT_SECONDS / min(2, len(panels)), self._paint_one)

    def _paint_one(self) -> None:
        """Show what has been written in one column since its last turn; the others have theirs later, and a key is
        heard in between.
        """
        self._painting = None
        panels = self.text_panels
        waiting = [(self._painted + 1 + i) % len(panels) for i in range(len(panels))]
        turn = next((index for index in waiting if index in self._grown), None)
        if turn is None:
            return
        self._painted = turn
        self._show_grown(turn)
        if self._grown:
            self._painting = self.set_timer(PAINT_SECONDS / min(2, len(panels)), self._paint_one)

    def _paint(self) -> None:
        """Show everything that has been written."""
        if self._painting is not None:
            self._painting.stop()
            self._painting = None
        for index in sorted(self._grown):
            self._show_grown(index)

    def _show_grown(self, grown: int) -> None:
        """Show what has been written in one column, and in all of them where the texts part."""
        self._grown.discard(grown)
        panels = self.text_panels
        samples = max((len(panel.column.samples) for panel in panels), default=0)
        partings = {sample: place for sample in range(samples) if (place := self._parting(sample)) is not None}
        for index, panel in enumerate(panels):
            with panel.guard():
                if index == grown:
                    panel.view.grow()
                    panel.show_status()
                panel.view.part_at(partings)

    def _parting(self, sample: int) -> int | None:
        return parting([panel.column for panel in self.text_panels], sample)

    # Sliders, history of prompts.

    def on_slider_changed(self, message: Slider.Changed) -> None:
        self.session.settings.generate = self.query_one(SlidersPanel).values()

    def _remember(self, prompt: str) -> None:
        self._earlier = 0
        if prompt:
            others = [earlier for earlier in self.session.settings.prompts if earlier != prompt]
            self.session.settings.prompts = [*others, prompt][-PROMPTS_KEPT:]

    def action_prompt_history(self, by: int) -> None:
        """An earlier or later prompt; the one that was being typed is not lost."""
        prompts = self.session.settings.prompts
        field = self.query_one(Input)
        if self._earlier == 0:
            self._draft = field.value
        self._earlier = min(max(self._earlier + by, 0), len(prompts))
        field.value = prompts[-self._earlier] if self._earlier else self._draft
        field.cursor_position = len(field.value)

    # The cursor, and what to do with a text.

    def action_token(self, by: int) -> None:
        """Move the cursor by a token, in the text that has the focus, else in the first."""
        self._current().move(by)

    def on_token_view_picked(self, message: TokenView.Picked) -> None:
        if message.token is not None:
            for panel in self.text_panels:
                if panel.view is not message.view and panel.view.cursor is not None:
                    panel.view.pick(None)
        if message.token is not None or self._picked() is None:
            self.query_one(Alternatives).show(message.token)

    def _current(self) -> TokenView:
        """The text that keys act on: the one with the cursor, else the one with the focus, else the first."""
        focused = self.focused if isinstance(self.focused, TokenView) else None
        return self._picked() or focused or self.text_panels[0].view

    def _picked(self) -> TokenView | None:
        return next((panel.view for panel in self.text_panels if panel.view.cursor is not None), None)

    def _chosen_text(self) -> tuple[TextPanel, int, str] | None:
        """Panel, sample and whole text that copy and keep act on."""
        panel = next(panel for panel in self.text_panels if panel.view is self._current())
        continuation = panel.column.text(panel.view.sample)
        if not continuation:
            self.notify("There is no text yet. Generate one first (Enter in the prompt).", severity="warning")
            return None
        return panel, panel.view.sample, panel.view.prompt + continuation

    def action_copy(self) -> None:
        """Copy the text through the terminal (OSC 52)."""
        if chosen := self._chosen_text():
            self.app.copy_to_clipboard(chosen[2])
            self.notify(
                f"Copied {len(chosen[2]):,} characters to the clipboard. Some terminals do not support this; "
                "tmux needs `set -g set-clipboard on`."
            )

    def action_keep(self) -> None:
        """Append the text to the run's kept samples."""
        if (chosen := self._chosen_text()) is None:
            return
        panel, sample, _ = chosen
        assert panel.source is not None
        settings, _ = self.query_one(SlidersPanel).request()
        path = keep_sample(
            panel.source.run,
            self.session.root,
            state_dir(),
            step=panel.column.step,
            prompt=panel.view.prompt,
            text=panel.column.text(sample),
            sample=sample,
            settings=settings,
        )
        self.notify(f"Appended to {path}.")

    def action_tint(self) -> None:
        """Tint tokens by their probability, or show plain text."""
        tinted = not self.text_panels[0].view.tinted
        for panel in self.text_panels:
            panel.view.tinted = tinted
            panel.view.repaint()
