"""Every action of the screens, once: bindings, footer, help, palette and docs/tui.md are made from this table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from textual.binding import Binding

MODES = ("watch", "presets", "generate", "compare", "machine")
"""The five screens, in the order of their keys 1 to 5."""

SWALLOWED_KEYS = frozenset(
    {"ctrl+enter", "ctrl+m", "ctrl+i", "ctrl+h", "ctrl+b", "ctrl+s", "ctrl+z", "ctrl+j", "ctrl+left_square_bracket"}
)
"""Keys that tmux or a terminal keeps for itself, or sends as another key: no action may use them."""


@dataclass(frozen=True)
class Action:
    """One thing that a user can do.

    Attributes:
        id: Unique name, `screen.verb` or `app.verb`; key overrides in the settings refer to it.
        key: Textual's key names, several separated by commas.
        command: What Textual runs: a method `action_<command>` of the screen (or of the app for `app.` actions).
        label: One or two words for the footer.
        help: One sentence for the help screen and the command palette; also the footer's tooltip.
        screens: The screens that have it; empty: all.
        footer: Whether the footer has room for it.
        shown_key: How the key is written, where its name is not what a keyboard says.
        footer_key: How the footer writes it, where one entry stands for two actions.
        states: The states of the selected run in which the action can do something; empty: all.
    """

    id: str
    key: str
    command: str
    label: str
    help: str
    screens: tuple[str, ...] = ()
    footer: bool = True
    shown_key: str = ""
    footer_key: str = ""
    states: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The label as the command palette shows it."""
        return self.label[:1].upper() + self.label[1:]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys, one each."""
        return tuple(key.strip() for key in self.key.split(","))


ACTIVE_STATES = ("running", "paused", "stale")
RUN_SCREENS = ("watch", "compare", "machine")

ACTIONS: tuple[Action, ...] = (
    # The selected run.
    Action(
        "run.pause",
        "p",
        "run_request('pause')",
        "pause",
        "Pause the run after its current step.",
        RUN_SCREENS,
        states=("running", "stale"),
    ),
    Action(
        "run.resume", "u", "run_request('resume')", "resume", "Resume a paused run.", RUN_SCREENS, states=("paused",)
    ),
    Action(
        "run.checkpoint",
        "c",
        "run_request('checkpoint')",
        "checkpoint",
        "Save a checkpoint now.",
        RUN_SCREENS,
        states=ACTIVE_STATES,
    ),
    Action(
        "run.stop",
        "s",
        "run_request('stop')",
        "stop",
        "Save a checkpoint and stop the run.",
        RUN_SCREENS,
        states=ACTIVE_STATES,
    ),
    Action(
        "run.rename",
        "N",
        "rename_run",
        "rename",
        "Rename a run that is not training.",
        RUN_SCREENS,
        footer=False,
    ),
    Action(
        "run.delete",
        "delete,D",
        "delete_run",
        "delete",
        "Delete a run and its checkpoints, after confirmation.",
        RUN_SCREENS,
        footer=False,
        shown_key="D",
    ),
    # The chart.
    Action(
        "chart.x_axis",
        "x",
        "chart('x')",
        "x-axis",
        "Change the x-axis: step, epoch, tokens or time.",
        ("watch", "compare"),
    ),
    Action(
        "chart.y_scale",
        "y",
        "chart('log')",
        "y log",
        "Switch the y-axis between logarithmic and linear.",
        ("watch", "compare"),
    ),
    Action(
        "chart.smooth",
        "m",
        "chart('smooth')",
        "smooth",
        "Change the smoothing of the train curve: none, 0.6, 0.9 or 0.97; the raw curve stays visible.",
        ("watch", "compare"),
    ),
    Action(
        "chart.metric",
        "v",
        "chart('metric')",
        "metric",
        "Change the metric: perplexity, loss, learning rate, gradient norm, tokens per second or accuracy.",
        ("watch", "compare"),
    ),
    Action(
        "chart.zoom_in",
        "plus,equals_sign",
        "zoom(0.5)",
        "zoom",
        "Zoom in around the cursor.",
        ("watch",),
        shown_key="+",
        footer_key="+/-",
    ),
    Action(
        "chart.zoom_out",
        "minus",
        "zoom(2.0)",
        "zoom out",
        "Zoom out around the cursor.",
        ("watch",),
        footer=False,
        shown_key="-",
    ),
    Action("chart.zoom_reset", "0", "zoom_reset", "all", "Show the whole curve.", ("watch",), footer=False),
    Action(
        "chart.pan_left",
        "shift+left,less_than_sign",
        "pan(-0.25)",
        "pan left",
        "Move the view to earlier steps.",
        ("watch",),
        footer=False,
        shown_key="<",
    ),
    Action(
        "chart.pan_right",
        "shift+right,greater_than_sign",
        "pan(0.25)",
        "pan right",
        "Move the view to later steps.",
        ("watch",),
        footer=False,
        shown_key=">",
    ),
    Action(
        "chart.cursor_left",
        "left",
        "cursor(-1)",
        "cursor",
        "Move the chart cursor left; the samples follow it.",
        ("watch",),
        shown_key="←",
        footer_key="←→",
    ),
    Action(
        "chart.cursor_right",
        "right",
        "cursor(1)",
        "cursor right",
        "Move the chart cursor right; the samples follow it.",
        ("watch",),
        footer=False,
        shown_key="→",
    ),
    # The list of runs.
    Action("runs.up", "up,k", "move(-1)", "up", "Select the run above.", ("watch",), footer=False, shown_key="↑ k"),
    Action(
        "runs.down", "down,j", "move(1)", "down", "Select the run below.", ("watch",), footer=False, shown_key="↓ j"
    ),
    Action(
        "runs.page_up",
        "pageup",
        "move(-10)",
        "ten up",
        "Move the selection up by ten runs.",
        ("watch",),
        footer=False,
        shown_key="pgup",
    ),
    Action(
        "runs.page_down",
        "pagedown",
        "move(10)",
        "ten down",
        "Move the selection down by ten runs.",
        ("watch",),
        footer=False,
        shown_key="pgdn",
    ),
    Action("runs.first", "home", "move_to(0)", "first", "Select the first run.", ("watch",), footer=False),
    Action("runs.last", "end", "move_to(1000000)", "last", "Select the last run.", ("watch",), footer=False),
    Action("runs.open", "enter", "open_run", "open", "Show only this run on the chart.", ("watch",)),
    Action(
        "runs.overlay",
        "space",
        "toggle_overlay",
        "overlay",
        "Add the selected run to the chart or the comparison, or remove it.",
        ("watch", "compare"),
    ),
    Action(
        "runs.filter",
        "slash",
        "filter_runs",
        "filter",
        "Show only runs whose name, state, architecture, optimizer, corpus or warning contains a text.",
        ("watch",),
        shown_key="/",
    ),
    Action("runs.sort", "o", "cycle_sort", "sort", "Sort the runs by the next column.", ("watch",), footer=False),
    Action("runs.reverse", "O", "reverse_sort", "reverse", "Reverse the sort order.", ("watch",), footer=False),
    Action(
        "runs.generate",
        "g",
        "generate_with_run",
        "generate",
        "Generate text with the best checkpoint of this run.",
        RUN_SCREENS,
    ),
    # Presets.
    Action(
        "presets.start",
        "s",
        "start",
        "start",
        "Train this preset, with your changes, as a new run (Enter in the list).",
        ("presets",),
    ),
    Action(
        "presets.edit",
        "e",
        "edit",
        "edit",
        "Edit the selected setting (Enter in the settings); Esc discards the edit.",
        ("presets",),
    ),
    Action(
        "presets.value",
        "space",
        "next_value",
        "next value",
        "Change to the next value, if the setting has a fixed set of values.",
        ("presets",),
    ),
    Action("presets.corpus", "c", "choose_corpus", "corpus", "Choose the corpus to train on.", ("presets",)),
    Action(
        "presets.differ",
        "d",
        "differ",
        "diff",
        "Show how the settings differ from another preset or run.",
        ("presets",),
    ),
    Action("presets.reset", "r", "reset", "reset", "Reset the selected setting to the preset's value.", ("presets",)),
    Action(
        "presets.reset_all",
        "R",
        "reset_all",
        "reset all",
        "Reset all settings to the preset's values.",
        ("presets",),
        footer=False,
    ),
    Action(
        "presets.all",
        "h",
        "toggle_all",
        "all settings",
        "Show or hide settings that have no effect in this configuration.",
        ("presets",),
    ),
    # Compare.
    Action("compare.runs", "a", "choose_runs", "runs", "Choose the runs to compare.", ("compare",)),
    # Generate.
    Action(
        "generate.checkpoints",
        "a",
        "choose_checkpoints",
        "checkpoints",
        "Choose up to four checkpoints to generate side by side.",
        ("generate",),
    ),
    Action(
        "generate.again",
        "g",
        "generate",
        "generate",
        "Continue the prompt with every chosen checkpoint (Enter in the prompt).",
        ("generate",),
    ),
    Action(
        "generate.earlier",
        "up",
        "prompt_history(1)",
        "earlier prompt",
        "Previous prompt (when the prompt has focus).",
        ("generate",),
        footer=False,
        shown_key="↑",
    ),
    Action(
        "generate.later",
        "down",
        "prompt_history(-1)",
        "later prompt",
        "Next prompt (when the prompt has focus).",
        ("generate",),
        footer=False,
        shown_key="↓",
    ),
    Action(
        "generate.token_left",
        "left",
        "token(-1)",
        "token",
        "Move the cursor to the previous token and show its alternatives.",
        ("generate",),
        shown_key="←",
        footer_key="←→",
    ),
    Action(
        "generate.token_right",
        "right",
        "token(1)",
        "next token",
        "Move the cursor to the next token and show its alternatives.",
        ("generate",),
        footer=False,
        shown_key="→",
    ),
    Action(
        "generate.copy",
        "c",
        "copy",
        "copy",
        "Copy the text at the cursor, or the first one, to the clipboard.",
        ("generate",),
    ),
    Action(
        "generate.keep",
        "k",
        "keep",
        "keep",
        "Append the text to kept-samples.jsonl in the run's folder.",
        ("generate",),
    ),
    Action(
        "generate.tint",
        "i",
        "tint",
        "tint",
        "Color the tokens by their probability, or show plain text.",
        ("generate",),
    ),
    # Machine.
    Action(
        "machine.next_run",
        "n",
        "next_run",
        "next run",
        "Show the memory of the next run that is training.",
        ("machine",),
    ),
    Action(
        "machine.restart", "r", "restart_record", "reset", "Clear the histories and restart the averages.", ("machine",)
    ),
    # Everywhere.
    Action("app.watch", "1", "app.open('watch')", "Watch", "Open Watch: runs, curves, samples.", footer=False),
    Action(
        "app.presets",
        "2",
        "app.open('presets')",
        "Presets",
        "Open Presets: choose, edit and train a preset.",
        footer=False,
    ),
    Action(
        "app.generate",
        "3",
        "app.open('generate')",
        "Generate",
        "Open Generate: one prompt, up to four checkpoints.",
        footer=False,
    ),
    Action(
        "app.compare",
        "4",
        "app.open('compare')",
        "Compare",
        "Open Compare: the chosen runs in one table.",
        footer=False,
    ),
    Action(
        "app.machine",
        "5",
        "app.open('machine')",
        "Machine",
        "Open Machine: GPUs, CPU, processes and memory.",
        footer=False,
    ),
    Action(
        "app.leave",
        "escape",
        "leave",
        "leave",
        "Go back one step: stop generating, hide the cursor, or leave a field.",
        footer=False,
        shown_key="esc",
    ),
    Action(
        "app.next_panel",
        "right_square_bracket",
        "next_panel(1)",
        "panel",
        "Go to the next panel.",
        footer=False,
        shown_key="]",
    ),
    Action(
        "app.previous_panel",
        "left_square_bracket",
        "next_panel(-1)",
        "previous panel",
        "Go to the previous panel.",
        footer=False,
        shown_key="[",
    ),
    Action(
        "app.layout",
        "l",
        "app.cycle_layout",
        "layout",
        "Change the layout: all panels, a large curve, or one panel at a time.",
        footer=False,
    ),
    Action("app.theme", "t", "app.toggle_theme", "theme", "Switch between light and dark colors.", footer=False),
    Action("app.help", "question_mark", "app.help", "help", "Show every key and what it does.", shown_key="?"),
    Action("app.palette", "ctrl+p", "app.command_palette", "commands", "Find any action by name.", shown_key="^p"),
    Action("app.quit", "q,ctrl+q", "app.quit", "quit", "Close the screen; training continues.", shown_key="q"),
)


def actions_for(mode: str) -> list[Action]:
    """The actions that a screen has, its own first."""
    return [action for action in ACTIONS if not action.screens or mode in action.screens]


def bindings_for(mode: str) -> list[Binding]:
    """A screen's key bindings, as Textual wants them."""
    return [
        Binding(
            action.key,
            action.command,
            action.label,
            show=action.footer,
            key_display=action.shown_key or None,
            tooltip=action.help,
            id=action.id,
        )
        for action in actions_for(mode)
    ]


def shown_key(action: Action, overrides: dict[str, str] | None = None, *, footer: bool = False) -> str:
    """The key as it is written for people: `+` rather than `plus`."""
    names = {"delete": "del", "space": "space", "escape": "esc"}
    if overrides and action.id in overrides:
        return overrides[action.id]
    if footer and action.footer_key:
        return action.footer_key
    return action.shown_key or " ".join(names.get(key, key) for key in action.keys)


def find_action(action_id: str) -> Action:
    """The action of that id.

    Raises:
        KeyError: there is none.
    """
    for action in ACTIONS:
        if action.id == action_id:
            return action
    raise KeyError(action_id)


def help_sections(actions: Iterable[Action] = ACTIONS) -> dict[str, list[Action]]:
    """The actions in groups, by the first part of their id."""
    sections: dict[str, list[Action]] = {}
    for action in actions:
        sections.setdefault(SECTION_TITLES[action.id.partition(".")[0]], []).append(action)
    return sections


SECTION_TITLES = {
    "run": "Selected run",
    "chart": "Chart",
    "runs": "List of runs",
    "presets": "Presets",
    "generate": "Generate",
    "compare": "Compare",
    "machine": "Machine",
    "app": "Everywhere",
}
