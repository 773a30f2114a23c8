"""A preset with the changes made to it: what was edited, and whether the result is valid."""

from __future__ import annotations

from dataclasses import dataclass, field

from lmcore.config import setting_value
from lmcore.errors import UsageError
from lmcore.presets import Preset
from tui.widgets.values import value_text


@dataclass
class Draft:
    """A preset and the settings that were changed in it, as they were typed.

    Attributes:
        config: The newest valid config.
        problem: What is wrong with the changes, in two sentences; empty when they are valid.
    """

    preset: Preset
    edits: dict[str, str] = field(default_factory=dict)
    problem: str = ""

    def __post_init__(self) -> None:
        self.config = self.preset.config

    def change(self, name: str, text: str) -> str:
        """Set a setting; returns what is wrong with all changes together, or an empty text.

        An invalid change is kept too: two settings that depend on each other can only be changed one after the other.
        """
        if text == value_text(setting_value(self.preset.config, name)):
            self.edits.pop(name, None)
        else:
            self.edits[name] = text
        try:
            self.config = self.preset.config.with_settings(self.edits)
            self.problem = ""
        except UsageError as error:
            self.problem = str(error)
        return self.problem

    def text(self, name: str) -> str:
        """A setting as it can be edited."""
        return self.edits.get(name, value_text(setting_value(self.preset.config, name)))

    def reset(self, name: str | None = None) -> None:
        """Reset one setting to the value of the preset, or all."""
        for edited in [name] if name else list(self.edits):
            self.change(edited, value_text(setting_value(self.preset.config, edited)))

    def assignments(self) -> list[str]:
        """The changes for the command line."""
        return [f"{name}={text}" for name, text in self.edits.items()]


def fits_alone(draft: Draft, name: str, text: str) -> bool:
    """Whether a value is valid by itself, whatever the other settings are: an error about several settings of a section
    begins with `[section]`.
    """
    try:
        draft.preset.config.with_settings({name: text})
    except UsageError as error:
        return error.message.startswith(f"[{name.partition('.')[0]}]")
    return True
