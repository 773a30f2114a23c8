"""Presets: choose one, read and change its settings, and start."""

from __future__ import annotations

from textual import work
from textual.app import ComposeResult
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tui.panel import Panel
from tui.screens.base import BaseScreen


class PresetList(Panel):
    """The presets with one line each."""

    TITLE = "Presets"

    def compose_panel(self) -> ComposeResult:
        yield OptionList(markup=False)


class SettingsPanel(Panel):
    """The settings of the chosen preset."""

    TITLE = "Settings"

    def compose_panel(self) -> ComposeResult:
        yield Static(markup=False)


class PresetsScreen(BaseScreen):
    """Presets on the left, settings on the right."""

    MODE = "presets"

    def compose_panels(self) -> ComposeResult:
        yield PresetList(id="preset-list")
        yield SettingsPanel(id="preset-settings")

    def on_mount(self) -> None:
        self.load_list()

    @work(thread=True, exclusive=True, exit_on_error=False)
    def load_list(self) -> None:
        """Read the presets off the UI thread."""
        from lmcore.presets import list_presets

        self.app.call_from_thread(self.show_list, [(preset.name, preset.summary, preset.config.to_toml()) for preset in list_presets()])

    def show_list(self, presets: list[tuple[str, str, str]]) -> None:
        """Fill the list."""
        self._toml = {name: toml for name, _, toml in presets}
        self.query_one(OptionList).add_options([Option(f"{name:<14}{summary}", id=name) for name, summary, _ in presets])

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        panel = self.query_one(SettingsPanel)
        with panel.guard():
            panel.query_one(Static).update(self._toml[str(event.option.id)])
