"""Presets: choose one, read and edit its settings, see what it needs, and train it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import work
from textual.app import ComposeResult
from textual.message import Message
from textual.widgets import Input, OptionList
from textual.worker import get_current_worker

from lmcore.config import setting_choices
from lmcore.errors import LmError
from lmcore.lab.estimate import Evidence, estimate_memory, estimate_time, machine_for
from lmcore.presets import Preset, list_presets
from tui.engine.client import Engine, EngineSaid
from tui.presets.draft import Draft, fits_alone
from tui.presets.panels import Plan, PlanPanel, PresetList, SettingsPanel
from tui.session.messages import TelemetryChanged
from tui.widgets.base_screen import BaseScreen
from tui.widgets.choose import Choice, Choose
from tui.widgets.dialogs import AskName, name_problem

if TYPE_CHECKING:
    from textual.timer import Timer

    from lmcore.config import Config
    from tui.session import Session

COUNT_AFTER_SECONDS = 0.3
"""Parameters are counted when typing has paused for so long."""


class PresetsRead(Message):
    """All presets were read."""

    def __init__(self, presets: list[Preset]) -> None:
        super().__init__()
        self.presets = presets


class EvidenceFound(Message):
    """What earlier runs say about the speed of this machine."""

    def __init__(self, evidence: list[Evidence]) -> None:
        super().__init__()
        self.evidence = evidence


class ToChooseFrom(Message):
    """A list was read for a dialog: `what` is corpus or other."""

    def __init__(self, what: str, choices: list[Choice]) -> None:
        super().__init__()
        self.what, self.choices = what, choices


class TrainingStarted(Message):
    """A run was started; `problem` is what it printed if it ended at once."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__()
        self.name, self.problem = name, problem


class PresetsScreen(BaseScreen):
    """Presets on the left, settings on the right, memory and time below."""

    MODE = "presets"
    AUTO_FOCUS = "#presets"
    CSS = """
    PresetsScreen #body { layout: grid; grid-size: 2 2; grid-columns: 1fr 2fr; grid-rows: 3fr 2fr; }
    PresetsScreen.-fold #body { layout: vertical; }
    PresetsScreen #preset-list { row-span: 2; }
    PresetsScreen OptionList { height: 1fr; border: none; padding: 0; background: $background; scrollbar-size: 1 1; }
    PresetsScreen OptionList { text-wrap: nowrap; text-overflow: ellipsis; }
    PresetsScreen OptionList:focus { background-tint: $background 0%; }
    PresetsScreen OptionList > .option-list--option-disabled { color: $accent; }
    PresetsScreen OptionList > .option-list--option-highlighted { background: $block-cursor-background; }
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.engine = Engine(self.post_message)
        self.presets: dict[str, Preset] = {}
        self.draft: Draft | None = None
        self._drafts: dict[str, Draft] = {}
        self.plan = Plan()
        self.against: tuple[str, Config] | None = None
        self._evidence: list[Evidence] = []
        self._job: int | None = None
        self._counting: Timer | None = None
        self._before_edit: tuple[str, str] | None = None

    def compose_panels(self) -> ComposeResult:
        yield PresetList(id="preset-list")
        yield SettingsPanel(id="preset-settings")
        yield PlanPanel(id="preset-plan")

    def on_mount(self) -> None:
        self.read_presets()

    def on_screen_suspend(self) -> None:
        # It holds torch, and nothing is counted while this screen is closed.
        if len(self.app.screen_stack) == 1:
            self.engine.close()
            self._job = None

    def on_unmount(self) -> None:
        self.engine.close()

    @property
    def settings_panel(self) -> SettingsPanel:
        """The settings of the chosen preset."""
        return self.query_one(SettingsPanel)

    # What is read off the UI thread.

    @work(thread=True, exclusive=True, group="presets", exit_on_error=False)
    def read_presets(self) -> None:
        """Read all presets."""
        self.post_message(PresetsRead(list_presets()))

    def on_presets_read(self, message: PresetsRead) -> None:
        self.presets = {preset.name: preset for preset in message.presets}
        self.query_one(PresetList).show(message.presets, self.session.settings.preset)

    @work(thread=True, exclusive=True, group="evidence", exit_on_error=False)
    def gather_evidence(self) -> None:
        """Ask earlier runs how fast this machine is."""
        from lmcore.lab.evidence import gather
        from lmcore.runs import list_runs

        self.post_message(EvidenceFound(gather(list_runs(self.session.root))))

    def on_evidence_found(self, message: EvidenceFound) -> None:
        self._evidence = message.evidence
        self._reckon()

    def on_screen_resume(self) -> None:
        self.gather_evidence()
        if self.draft is not None and self.plan.parameters is None:
            self._count_soon()

    def receive(self, message: Message) -> None:
        if isinstance(message, TelemetryChanged):
            self._reckon()

    # The chosen preset and the changes to it.

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        if event.option_list.id == "presets" and event.option.id is not None:
            self.choose(event.option.id)

    def choose(self, name: str) -> None:
        """Show a preset, with the changes that were made to it before."""
        if self.draft is not None and self.draft.preset.name == name:
            return
        self.session.settings.preset = name
        self.draft = self._drafts.setdefault(name, Draft(self.presets[name]))
        self._redraw()

    def _redraw(self) -> None:
        assert self.draft is not None
        panel = self.settings_panel
        with panel.guard():
            panel.show(self.draft)
        self._count_soon()

    def on_settings_panel_edited(self, message: SettingsPanel.Edited) -> None:
        if self.draft is None:
            return
        problem = self.draft.change(message.name, message.text)
        self.settings_panel.changed(message.name)
        self.settings_panel.show_problem(problem)
        self._count_soon()

    def action_edit(self) -> None:
        """Edit the setting at the cursor."""
        panel = self.settings_panel
        if self.draft is None or panel.current is None:
            return
        if self.folded:
            self.show_panel(1, focus=False)
        self._before_edit = (panel.current, self.draft.text(panel.current))
        field = panel.query_one("#value", Input)
        field.focus()
        field.action_end()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if self.draft is None or self._before_edit is None:
            return
        name = self._before_edit[0]
        if fits_alone(self.draft, name, event.value):
            self._before_edit = None
            self.settings_panel.query_one("#settings").focus()
        else:
            self.notify("That value is not valid. Press Esc to discard it.", severity="warning")

    def action_leave(self) -> None:
        """In a field that is being edited: discard the edit."""
        if self._before_edit is not None and self.draft is not None:
            name, text = self._before_edit
            self._before_edit = None
            self._set(name, text)
            self.settings_panel.query_one("#settings").focus()
        else:
            super().action_leave()

    def action_next_value(self) -> None:
        """The next of the fixed values that the setting at the cursor can have."""
        name = self.settings_panel.current
        if self.draft is None or name is None or not (possible := setting_choices(name)):
            self.notify("This setting has no fixed set of values. Press e to edit it.", severity="information")
            return
        here = possible.index(self.draft.text(name)) if self.draft.text(name) in possible else -1
        self._set(name, possible[(here + 1) % len(possible)])

    def action_toggle_all(self) -> None:
        """Show or hide the settings that have no effect."""
        panel = self.settings_panel
        panel.show_all = not panel.show_all
        if self.draft is not None:
            with panel.guard():
                panel.show(self.draft)

    def action_reset(self) -> None:
        """Reset the setting at the cursor to the value of the preset."""
        if self.draft is not None and (name := self.settings_panel.current) is not None:
            self.draft.reset(name)
            self._redraw()

    def action_reset_all(self) -> None:
        """Reset all settings to the values of the preset."""
        if self.draft is not None:
            self.draft.reset()
            self._redraw()

    def _set(self, name: str, text: str) -> None:
        assert self.draft is not None
        self.draft.change(name, text)
        self.settings_panel.changed(name)
        self.settings_panel.show_edit()
        self._count_soon()

    # Parameters, memory, time.

    def _count_soon(self) -> None:
        self.plan.parameters = None
        self._reckon()
        if self._counting is not None:
            self._counting.stop()
        self._counting = self.set_timer(COUNT_AFTER_SECONDS, self._count)

    def _count(self) -> None:
        if self.draft is not None:
            self.plan.counting = ""
            self._job = self.engine.send("count", config=self.draft.config.to_dict())

    def on_engine_said(self, message: EngineSaid) -> None:
        if message.job != self._job:
            return
        if message.what == "count":
            self.plan.parameters = (message.values["total"], message.values["learnable"])
            self.plan.exact = message.values["exact"]
        elif message.what in ("failed", "lost"):
            self.plan.counting = message.values["message"]
        self._reckon()

    def _reckon(self) -> None:
        """Estimate memory and time from what is known, and show it."""
        if self.draft is None:
            return
        config, machine = self.draft.config, self.session.machine
        total, learnable = self.plan.parameters or (None, None)
        self.plan.memory = self.plan.machine = None
        if machine is not None:
            self.plan.machine = machine_for(config.training.device, machine.gpus, machine.cpu)
            if total is not None and learnable is not None:
                self.plan.memory = estimate_memory(config, total, learnable, gpu=self.plan.machine.gpu)
        self.plan.time = estimate_time(config, total, self._evidence)
        panel = self.query_one(PlanPanel)
        with panel.guard():
            panel.show(self.draft, self.plan, self.against)

    # Corpus, differences.

    def action_choose_corpus(self) -> None:
        """Choose the corpus to train on."""
        self.list_corpora()

    @work(thread=True, exclusive=True, group="corpora", exit_on_error=False)
    def list_corpora(self) -> None:
        """Look for corpora."""
        from lmcore.data import list_corpora
        from lmcore.text import human_bytes

        found = []
        for corpus in list_corpora():
            size = human_bytes(corpus.bytes) if corpus.bytes else ""
            said = [corpus.kind, size, "" if corpus.available else "not downloaded yet", corpus.problem or corpus.about]
            found.append(Choice(corpus.name, corpus.name, " · ".join(part for part in said if part)))
        self.post_message(ToChooseFrom("corpus", found))

    def action_differ(self) -> None:
        """Choose another preset or run to show the differences from."""
        runs = [
            Choice(f"run:{row.name}", row.name, f"run · {row.architecture} {row.optimizer}")
            for row in self.session.rows
        ]
        presets = [
            Choice(f"preset:{preset.name}", preset.name, f"preset · {preset.summary}")
            for preset in self.presets.values()
        ]
        nothing = [Choice("", "(the preset itself)", "show only your changes")]
        self.post_message(ToChooseFrom("other", [*nothing, *presets, *runs]))

    def on_to_choose_from(self, message: ToChooseFrom) -> None:
        if self.draft is None:
            return
        if message.what == "corpus":
            now = self.draft.text("data.corpus")
            self.app.push_screen(
                Choose(
                    "Choose a corpus. To use a file or folder, edit data.corpus (e).", message.choices, chosen=[now]
                ),
                self._take_corpus,
            )
        else:
            self.app.push_screen(
                Choose(f"Show how {self.draft.preset.name} differs from:", message.choices),
                self._set_against,
            )

    def _take_corpus(self, answer: list[str] | None) -> None:
        if answer:
            self._set("data.corpus", answer[0])

    def _set_against(self, answer: list[str] | None) -> None:
        if answer is None:
            return
        kind, _, name = answer[0].partition(":")
        try:
            config = self.presets[name].config if kind == "preset" else self._config_of_run(name) if kind else None
        except LmError as error:
            self.notify(str(error), severity="error")
            return
        self.against = (name, config) if config is not None else None
        self._reckon()

    def _config_of_run(self, name: str) -> Config:
        """What this version knows of the settings, which is enough to compare them; else the reason why not."""
        run = self.session.run(name)
        return run.known_config() or run.config()

    # Starting.

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        if event.option_list.id == "presets":
            self.action_start()
        else:
            self.action_edit()

    def action_start(self) -> None:
        """Ask for the run's name, then train."""
        from lmcore.runs import next_name

        if self.draft is None:
            return
        if self.draft.problem:
            self.notify(self.draft.problem, severity="error", title="Not started")
            return
        draft = self.draft
        name = next_name(draft.preset.name, self.session.root)
        changes = (
            f" with {len(draft.edits)} changed setting{'s' if len(draft.edits) != 1 else ''}" if draft.edits else ""
        )
        question = f"Train {draft.preset.name}{changes}. Name of the run:"
        self.app.push_screen(AskName(question, name, self._name_problem), lambda answer: self._start(draft, answer))

    def _name_problem(self, name: str) -> str:
        exists = f"There is already a run named {name}." if (self.session.root / name).exists() else ""
        return name_problem(name) or exists

    def _start(self, draft: Draft, name: str | None) -> None:
        if name:
            self.notify("Reading the corpus. Watch opens when training starts.", title=f"Starting {name}")
            self.start_run(draft.preset.name, name, draft.assignments())

    @work(thread=True, group="start", exit_on_error=False)
    def start_run(self, preset: str, name: str, assignments: list[str]) -> None:
        """Start the run and wait until its folder exists."""
        from tui.presets.launch import start_training, wait_for_run

        root = self.session.root
        worker = get_current_worker()
        process, log = start_training(preset, name, assignments, root)
        problem = wait_for_run(process, log, root / name, lambda: worker.is_cancelled)
        self.post_message(TrainingStarted(name, problem))

    def on_training_started(self, message: TrainingStarted) -> None:
        if message.problem:
            self.notify(message.problem, title=f"{message.name} did not start", severity="error", timeout=15)
            return
        self.session.selected = message.name
        self.session.rescan()
        if self.app.screen is self:
            self.session.open_screen("watch")
        else:
            self.notify("Training has started.", title=message.name)
