"""A config for people: every setting with its meaning."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from commands.output.console import BOLD, DIM, columns, note_data, paint, put, put_json, wrap
from commands.output.tables import put_facts
from lmcore.text import harmless

if TYPE_CHECKING:
    from lmcore.config import Config
    from lmcore.presets import Preset


def list_all(*, as_json: bool) -> None:
    """Print the presets, one line each."""
    from lmcore.presets import list_presets

    presets = list_presets()
    if as_json:
        put_json([{"name": preset.name, "summary": preset.summary} for preset in presets])
    else:
        put_facts([(preset.name, preset.summary) for preset in presets])


def show(name: str, *, as_json: bool) -> None:
    """Print one preset."""
    from lmcore.presets import load_preset

    preset = load_preset(name)  # a wrong name is said before torch is imported
    from lmcore.training.parameters import expected_parameters

    parameters = expected_parameters(preset.config, note_data)
    if as_json:
        put_json(
            {
                "name": preset.name,
                "summary": preset.summary,
                "config": preset.config.to_dict(),
                "parameters": parameters,
            }
        )
    else:
        put_preset(preset, parameters)


def put_preset(preset: Preset, parameters: dict[str, int | bool | None]) -> None:
    """Write a preset with its notes and every setting's value and meaning; values that differ from the default stand
    out.
    """
    put(paint(f"{preset.name}: {preset.summary}", BOLD, sys.stdout))
    for line in wrap(harmless(preset.notes), columns()):
        put(line)
    put()
    if parameters["total"] is None:
        put("parameters  unknown until the text is read: it determines the vocabulary")
    else:
        bound = "" if parameters["exact"] else "at most "
        put(f"parameters  {bound}{parameters['total']:,} total, {bound}{parameters['learnable']:,} learnable")
    put_settings(preset.config)


def put_settings(config: Config) -> None:
    """Write every setting under its section: value, then meaning."""
    from lmcore.config import Config as Default
    from lmcore.config import setting_help, why_ignored

    default = Default().to_dict()
    for section, settings in config.to_dict().items():
        put()
        put(paint(f"[{section}]", BOLD, sys.stdout))
        for key, value in settings.items():
            shown = f"{key} = {show_value(value)}"
            changed = value != default[section][key]
            gap = " " * max(2, 36 - len(shown))
            reason = why_ignored(config, f"{section}.{key}")
            note = f"(no effect: {reason}) " if reason else ""
            meaning = paint(note + setting_help(f"{section}.{key}"), DIM, sys.stdout)
            put(f"{paint(shown, BOLD if changed else '', sys.stdout)}{gap}{meaning}")


def show_value(value: Any) -> str:
    """A setting's value as it is written in TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{harmless(value, keep_newlines=False)}"'
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(show_value(item) for item in value)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
