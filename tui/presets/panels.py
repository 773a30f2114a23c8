"""The list of presets, the settings of one with a line to edit them, and what the run would need."""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from lmcore.config import (
    Config,
    differences,
    setting_applies,
    setting_choices,
    setting_help,
    setting_names,
    setting_value,
    why_ignored,
)
from lmcore.lab.estimate import Machine, Memory, Time
from lmcore.presets import Preset, advice
from lmcore.text import harmless, human_bytes, human_time
from tui.presets.draft import Draft
from tui.theme import ascii_only
from tui.widgets.cells import fit
from tui.widgets.panel import Panel
from tui.widgets.values import value_text


class PresetList(Panel):
    """The presets with one line each."""

    TITLE = "Presets"

    def compose_panel(self) -> ComposeResult:
        yield OptionList(markup=False, id="presets")

    def show(self, presets: list[Preset], chosen: str) -> None:
        """Fill the list."""
        width = max(cell_len(preset.name) for preset in presets)
        lines = [
            Option(Content.assemble(f"{fit(preset.name, width)}  ", (preset.summary, "$secondary")), id=preset.name)
            for preset in presets
        ]
        options = self.query_one(OptionList)
        options.set_options(lines)
        names = [preset.name for preset in presets]
        options.highlighted = names.index(chosen) if chosen in names else names.index("quick")


class SettingsPanel(Panel):
    """The settings in their groups, each with its meaning; below, the line that edits the one at the cursor.

    Settings without an effect in this configuration are hidden, unless they were changed or all are to be shown.
    """

    TITLE = "Settings"
    DEFAULT_CSS = """
    SettingsPanel #edit { height: 1; }
    SettingsPanel #edit-name { width: auto; padding: 0 1 0 0; color: $accent; }
    SettingsPanel #value { width: 24; background: $panel; }
    SettingsPanel #meaning { width: 1fr; padding: 0 1; color: $secondary; text-wrap: nowrap; text-overflow: ellipsis; }
    SettingsPanel #problem { height: auto; max-height: 3; color: $error; display: none; }
    SettingsPanel.-wrong #problem { display: block; }
    """

    class Edited(Message):
        """The text of a setting was edited."""

        def __init__(self, name: str, text: str) -> None:
            super().__init__()
            self.name, self.text = name, text

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(id=id)
        self.draft: Draft | None = None
        self.show_all = False
        self._listed: list[str] = []

    def compose_panel(self) -> ComposeResult:
        yield OptionList(markup=False, id="settings")
        with Horizontal(id="edit"):
            yield Static(id="edit-name", markup=False)
            yield Input(compact=True, id="value")
            yield Static(id="meaning", markup=False)
        yield Static(id="problem", markup=False)

    @property
    def current(self) -> str | None:
        """The setting at the cursor."""
        option = self.query_one(OptionList).highlighted_option
        return option.id if option is not None else None

    def show(self, draft: Draft) -> None:
        """Show another draft; the cursor stays on its setting."""
        self.draft = draft
        self.border_title = Content(
            f"{draft.preset.name}{' - ' if ascii_only() else ' — '}{harmless(draft.preset.summary)}"
        )
        self._listed = self._to_show()
        hidden = len(setting_names()) - len(self._listed)
        self.border_subtitle = f"{hidden} without effect hidden (h)" if hidden else ""
        options = self.query_one(OptionList)
        here = self.current
        row = options.highlighted or 1
        lines: list[Option] = []
        group = ""
        for name in self._listed:
            section = name.partition(".")[0]
            if section != group:
                group = section
                lines.append(Option(Content.styled(section, "bold $accent"), disabled=True))
            lines.append(Option(self._line(name), id=name))
        options.set_options(lines)
        options.highlighted = options.get_option_index(here) if here in self._listed else min(row, len(lines) - 1)
        self.show_edit()

    def _to_show(self) -> list[str]:
        assert self.draft is not None
        draft = self.draft
        return [
            name
            for name in setting_names()
            if self.show_all or name in draft.edits or setting_applies(draft.config, name)
        ]

    def changed(self, name: str) -> None:
        """Draw one setting again, and all of them where it decides which others have an effect."""
        if self.draft is not None and self._to_show() != self._listed:
            self.show(self.draft)
        elif name in self._listed:
            self.query_one("#settings", OptionList).replace_option_prompt(name, self._line(name))

    def _line(self, name: str) -> Content:
        assert self.draft is not None
        draft = self.draft
        changed = name in draft.edits
        usual = draft.text(name) == value_text(setting_value(Config(), name))
        mark = ("* " if ascii_only() else "• ") if changed else "  "
        style = "bold $warning" if changed else "$foreground 65%" if usual else "bold $foreground"
        reason = why_ignored(draft.config, name)
        ignored = "" if reason is None else f"has no effect ({reason}) "
        return Content.assemble(
            (mark, "$warning"),
            f"{name.partition('.')[2]:<21}",
            (fit(harmless(draft.text(name), keep_newlines=False), 18) + " ", style),
            (ignored, "$warning"),
            (setting_help(name), "$secondary"),
        )

    def show_edit(self) -> None:
        """Put the setting at the cursor into the line below the list."""
        if self.draft is None or self.current is None:
            return
        self.query_one("#edit-name", Static).update(self.current)
        field = self.query_one("#value", Input)
        with field.prevent(Input.Changed):
            field.value = self.draft.text(self.current)
        possible = setting_choices(self.current)
        between = ", " if ascii_only() else " · "
        self.query_one("#meaning", Static).update(between.join(possible) if possible else setting_help(self.current))
        self.show_problem(self.draft.problem)

    def show_problem(self, problem: str) -> None:
        """Show what is wrong; an empty text hides the line."""
        self.query_one("#problem", Static).update(harmless(problem, keep_newlines=False))
        self.set_class(bool(problem), "-wrong")

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        self.show_edit()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.current is not None:
            self.post_message(self.Edited(self.current, event.value))


@dataclass
class Plan:
    """What is known of the run that would be started. `parameters`: None while counting, (None, None) before the text
    is read; not `exact`: at most so many.
    """

    parameters: tuple[int | None, int | None] | None = None
    exact: bool = True
    counting: str = ""
    memory: Memory | None = None
    machine: Machine | None = None
    time: Time | None = None


class PlanPanel(Panel):
    """Parameters, memory, time, advice, and differences from another preset or run."""

    TITLE = "Plan"
    DEFAULT_CSS = "PlanPanel VerticalScroll { scrollbar-size: 1 1; } PlanPanel #plan { height: auto; }"

    def compose_panel(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(id="plan", markup=False)

    def on_mount(self) -> None:
        self.border_subtitle = "enter: start"

    def show(self, draft: Draft, plan: Plan, against: tuple[str, Config] | None) -> None:
        """Show what is known."""
        lines = [self._parameters(plan), *self._memory(plan), self._time(plan)]
        warn = "!" if ascii_only() else "⚠"
        if draft.problem:
            lines.append(Content.styled(f"{warn} {harmless(draft.problem, keep_newlines=False)}", "$error"))
        lines += [
            Content.styled(f"{warn} {said.level}: {said.message}", "$error" if said.level == "wrong" else "$warning")
            for said in advice(draft.config)
        ]
        lines += self._differences(draft, against)
        if draft.preset.notes:
            paragraphs = "\n\n".join(" ".join(part.split()) for part in harmless(draft.preset.notes).split("\n\n"))
            lines += [Content(""), Content.styled(paragraphs, "$secondary")]
        self.query_one("#plan", Static).update(Content("\n").join(lines))

    def _parameters(self, plan: Plan) -> Content:
        if plan.parameters is None:
            return Content.assemble((plan.counting or "counting the parameters …", "$secondary"))
        total, learnable = plan.parameters
        if total is None or learnable is None:
            return Content("parameters unknown until the text is read: it determines the vocabulary")
        counts = (f"{total:,}", "bold"), " parameters, ", (f"{learnable:,}", "bold"), " learnable"
        return Content.assemble("" if plan.exact else "at most ", *counts)

    def _memory(self, plan: Plan) -> list[Content]:
        about = "~" if ascii_only() else "≈"
        if plan.memory is None or plan.machine is None:
            return []
        memory, machine = plan.memory, plan.machine
        if machine.total is None:
            verdict = Content("")
        elif memory.total > machine.total:
            verdict = Content.styled(
                f" {'x' if ascii_only() else '✗'} Does not fit: reduce training.batch_size", "bold $error"
            )
        elif machine.used is not None and machine.gpu and memory.total > machine.total - machine.used:
            verdict = Content.styled(
                f" Fits only if other processes free memory: {human_bytes(machine.used)} in use", "$warning"
            )
        else:
            verdict = Content.styled(f" {'ok' if ascii_only() else '✓'} Fits", "bold $success")
        of = f" of {human_bytes(machine.total)} ({machine.name})" if machine.total is not None else ""
        parts = {
            name: getattr(memory, name) for name in ("weights", "gradients", "optimizer", "activations", "runtime")
        }
        return [
            Content.assemble(f"{about} {human_bytes(memory.total)}{of}", verdict),
            Content.styled(
                "  " + ", ".join(f"{name} {human_bytes(value)}" for name, value in parts.items()), "$secondary"
            ),
        ]

    def _time(self, plan: Plan) -> Content:
        if plan.time is None:
            return Content("")
        if plan.time.seconds is None:
            return Content.styled(plan.time.why, "$secondary")
        about = "~" if ascii_only() else "≈"
        return Content.assemble(f"{about} {human_time(plan.time.seconds)}", (f"  {plan.time.why}", "$secondary"))

    def _differences(self, draft: Draft, against: tuple[str, Config] | None) -> list[Content]:
        arrow = "->" if ascii_only() else "→"
        name, other = against or (draft.preset.name, draft.preset.config)
        found = differences(other, draft.config)
        if not found:
            return [] if against is None else [Content(""), Content(f"No differences from {name}.")]
        changed = [
            f"  {setting} {value_text(before)} {arrow} {value_text(after)}"
            for setting, (before, after) in found.items()
        ]
        return [
            Content(""),
            Content.styled(f"Differences from {harmless(name)}:", "$secondary"),
            *(Content(harmless(line)) for line in changed),
        ]
