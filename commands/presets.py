"""`lm presets`: the list, one preset with every setting explained, and a copy of it to edit."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commands.output.console import BOLD, DIM, columns, note, note_data, paint, put, put_json, wrap
from commands.output.tables import put_facts, put_hanging
from commands.output.values import show_value
from lmcore.errors import UsageError
from lmcore.text import harmless

if TYPE_CHECKING:
    from lmcore.config import Config
    from lmcore.presets import Preset

_HEADER = re.compile(r"\s*\[\s*(\w+)\s*\]\s*(?:#.*)?")
_MEANING_COLUMN = 34


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

    preset = load_preset(name)  # an unknown name is refused before torch is imported
    from lmcore.training.parameter_counts import expected_parameters

    parameters = expected_parameters(preset.config, note_data)
    if as_json:
        put_json(
            {
                "name": preset.name,
                "summary": preset.summary,
                "path": str(preset.path),
                "config": preset.config.to_dict(),
                "parameters": parameters,
            }
        )
    else:
        put_preset(preset, parameters)


def copy(name: str, target: str, *, force: bool) -> None:
    """Write a preset to a file (`-`: stdout) as TOML to edit.

    Raises:
        UsageError: no such preset; the file's name does not end in .toml; or it exists and `force` is not set.
    """
    from lmcore.presets import load_preset

    text = commented_toml(load_preset(name))
    if target == "-":
        put(text, end="")
        return
    path = Path(target).expanduser()
    if path.suffix != ".toml":
        raise UsageError(
            f"'{target}' does not end in .toml, so --preset would take it for a name.",
            f"Choose a name such as {path.name or name}.toml, or - for stdout.",
        )
    if path.exists() and not force:
        raise UsageError(f"{target} already exists.", "Choose another name, or overwrite it with --force.")
    path.write_text(text, encoding="utf-8")
    note(f"copied {name} to {path}: edit it, then `lm train --preset {path}`")


def commented_toml(preset: Preset) -> str:
    """The preset's own file with its comments; in each section the settings that it leaves at their defaults are added
    as comments with their meaning, ready to be uncommented. As TOML it says the same as the preset.
    """
    text = preset.path.read_text(encoding="utf-8")
    values = tomllib.loads(text)
    lines = text.rstrip().split("\n")
    for section, defaults in preset.config.to_dict().items():
        left = [
            _commented(section, key, value) for key, value in defaults.items() if key not in values.get(section, {})
        ]
        if section not in values:
            lines += ["", f"[{section}]", *left]
        elif (end := _end_of_section(lines, section)) is not None:
            lines[end:end] = left
    return "\n".join(lines) + "\n"


def put_preset(preset: Preset, parameters: dict[str, int | bool | None]) -> None:
    """Write a preset with its notes, and each setting's value and meaning; values other than the default are bold."""
    from lmcore.presets import PRESETS_DIR

    put(paint(f"{preset.name}: {harmless(preset.summary, keep_newlines=False)}", BOLD, sys.stdout))
    for paragraph in preset.notes.split("\n\n"):
        for line in wrap(harmless(paragraph, keep_newlines=False), columns()):
            put(line)
        put()
    if parameters["total"] is None:
        count = "unknown until the text is read: it determines the vocabulary"
    else:
        bound = "" if parameters["exact"] else "at most "
        count = f"{bound}{parameters['total']:,} total, {bound}{parameters['learnable']:,} learnable"
    facts = [("parameters", count), ("file", str(preset.path))]
    if preset.path.parent == PRESETS_DIR:
        facts.append(("copy it", f"lm presets copy {preset.name} mine.toml"))
    put_facts(facts)
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
            style = BOLD if value != default[section][key] else ""
            reason = why_ignored(config, f"{section}.{key}")
            meaning = (f"(no effect: {reason}) " if reason else "") + setting_help(f"{section}.{key}")
            put_hanging(shown, meaning, _MEANING_COLUMN, style, DIM)


def _commented(section: str, key: str, value: Any) -> str:
    from lmcore.config import setting_help

    return f"{f'# {key} = {show_value(value)}':<{_MEANING_COLUMN}}# {setting_help(f'{section}.{key}')}"


def _end_of_section(lines: list[str], section: str) -> int | None:
    """The index after the last setting of `[section]`; None where the file writes its settings in another way."""
    headers = {i: match[1] for i, line in enumerate(lines) if (match := _HEADER.fullmatch(line))}
    begin = next((i for i, name in headers.items() if name == section), None)
    if begin is None:
        return None
    end = next((i for i in headers if i > begin), len(lines))
    while end > begin and not lines[end - 1].strip():
        end -= 1
    return end
