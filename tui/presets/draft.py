"""A preset with changes: what is edited, whether it is valid, and what it differs in."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from lmcore.config import Config, setting_choices
from lmcore.errors import UsageError
from lmcore.presets import Preset


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

        The change is kept also when it is wrong: two settings that depend on each other can only be changed one after
        the other.
        """
        if text == value_text(setting(self.preset.config, name)):
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
        return self.edits.get(name, value_text(setting(self.preset.config, name)))

    def reset(self, name: str | None = None) -> None:
        """Take one change back, or all."""
        for edited in [name] if name else list(self.edits):
            self.change(edited, value_text(setting(self.preset.config, edited)))

    def assignments(self) -> list[str]:
        """The changes for the command line."""
        return [f"{name}={text}" for name, text in self.edits.items()]


def fits_alone(draft: Draft, name: str, text: str) -> bool:
    """Whether a value is possible by itself, whatever other settings say: those of a section are complained about as
    `[section]`.
    """
    try:
        draft.preset.config.with_settings({name: text})
    except UsageError as error:
        return error.message.startswith(f"[{name.partition('.')[0]}]")
    return True


def setting(config: Config, name: str) -> Any:
    """The value of `section.key`."""
    section, _, key = name.partition(".")
    return getattr(getattr(config, section), key)


def value_text(value: Any) -> str:
    """A value as it is typed: text bare, the rest as in TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return json.dumps(list(value), ensure_ascii=False)
    return str(value)


def choices(name: str) -> list[str]:
    """What a setting can be, where it is one of a few words; else nothing."""
    return setting_choices(name)
