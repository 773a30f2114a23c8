"""A config for people: every setting with its meaning, and how many parameters its model has."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from cli_parts.console import BOLD, DIM, columns, note_data, paint, put, put_json, wrap
from cli_parts.tables import put_facts
from lmcore.errors import LmError
from lmcore.text import harmless

if TYPE_CHECKING:
    from lmcore.config import Config
    from lmcore.presets import Preset

PUBLISHED_VOCABULARIES = {"gpt1": 40_478, "gpt2": 50_257}


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

    preset = load_preset(name)
    parameters = count_parameters(preset.config)
    if as_json:
        put_json({"name": preset.name, "summary": preset.summary, "config": preset.config.to_dict(), "parameters": parameters})
    else:
        put_preset(preset, parameters)


def vocabulary_size(config: Config) -> int | None:
    """Rows of the embedding: from the settings, or from the text where only that tells and it is at hand; else None."""
    from lmcore.data import load_data, load_tokenizer
    from lmcore.data.corpora import find_corpus
    from lmcore.data.vocabularies import DEFAULT_BPE_SIZE

    tokenizer = config.tokenizer
    if config.model.vocab_size:
        return config.model.vocab_size
    if tokenizer.kind in PUBLISHED_VOCABULARIES:
        return PUBLISHED_VOCABULARIES[tokenizer.kind] + tokenizer.pad_first
    if tokenizer.kind == "bpe":
        return tokenizer.vocab_size or DEFAULT_BPE_SIZE
    try:
        if tokenizer.kind == "file":
            return load_tokenizer(tokenizer.path).vocab_size
        return load_data(config, report=note_data).tokenizer.vocab_size if find_corpus(config.data.corpus) else None
    except LmError:
        return None


def count_parameters(config: Config) -> dict[str, int | None]:
    """`total` and `learnable` of the config's model, built without memory; None where the vocabulary is not known before the text is read."""
    vocabulary = vocabulary_size(config)
    if vocabulary is None:
        return {"total": None, "learnable": None}
    from lmcore.models import build_model

    total, learnable = build_model(config.model, vocabulary, device="meta").parameter_counts()
    return {"total": total, "learnable": learnable}


def put_preset(preset: Preset, parameters: dict[str, int | None]) -> None:
    """Write a preset with its notes and every setting's value and meaning; values that differ from the default stand out."""
    put(paint(f"{preset.name}: {preset.summary}", BOLD, sys.stdout))
    for line in wrap(harmless(preset.notes), columns()):
        put(line)
    put()
    if parameters["total"] is None:
        put("parameters  known once the text is read: the vocabulary comes from it")
    else:
        put(f"parameters  {parameters['total']:,} total, {parameters['learnable']:,} learnable")
    put_settings(preset.config)


def put_settings(config: Config) -> None:
    """Write every setting under its section: value, then meaning."""
    from lmcore.config import Config as Default
    from lmcore.config import setting_help

    default = Default().to_dict()
    for section, settings in config.to_dict().items():
        put()
        put(paint(f"[{section}]", BOLD, sys.stdout))
        for key, value in settings.items():
            shown = f"{key} = {show_value(value)}"
            changed = value != default[section][key]
            gap = " " * max(2, 36 - len(shown))
            meaning = paint(setting_help(f"{section}.{key}"), DIM, sys.stdout)
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
