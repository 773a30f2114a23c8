"""Presets: named, commented configs to start from; and what does not fit together in a config."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lmcore.config import Config, setting_applies, setting_names, setting_value, why_ignored
from lmcore.errors import UsageError, did_you_mean
from lmcore.text import natural_key

# In a wheel the presets lie inside the package, in a checkout beside it.
_HOUSE = Path(__file__).resolve().parent
PRESETS_DIR = _HOUSE / "_presets" if (_HOUSE / "_presets").is_dir() else _HOUSE.parent / "presets"


@dataclass(frozen=True)
class Preset:
    """A config with a name, one line on what it is, and the notes a student reads first."""

    name: str
    summary: str
    notes: str
    config: Config
    path: Path


@dataclass(frozen=True)
class Advice:
    """Something in a config that does not fit together: *caution* (be sure that you want it), *avoid*, or *wrong*."""

    level: Literal["caution", "avoid", "wrong"]
    message: str


def preset_names() -> list[str]:
    """Names of the presets that come with `lm`, `exp2` before `exp10`."""
    return sorted((path.stem for path in PRESETS_DIR.glob("*.toml")), key=natural_key)


def list_presets() -> list[Preset]:
    """All presets that come with `lm`."""
    return [load_preset(name) for name in preset_names()]


def load_preset(name: str) -> Preset:
    """A preset by name, or one of the user's own by the path of its TOML file.

    Raises:
        UsageError: no preset has that name or path, or its content is not a config.
    """
    path = Path(name) if name.endswith(".toml") else PRESETS_DIR / f"{name}.toml"
    if not path.is_file() or (not name.endswith(".toml") and name not in preset_names()):
        hint = did_you_mean(name, preset_names(), "`lm presets list` shows them all.")
        raise UsageError(f"There is no preset '{name}'.", hint)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"The preset {path} is not valid TOML: {error}.", "Correct that line.") from None
    summary, notes = str(values.pop("summary", "")), str(values.pop("notes", ""))
    return Preset(path.stem, summary, notes.strip(), Config.from_dict(values), path)


def advice(config: Config) -> list[Advice]:
    """What in this config does not fit together, and why; empty when all is well."""
    return [*_regularization(config), *_optimization(config), *_without_effect(config)]


def _regularization(config: Config) -> list[Advice]:
    model, training = config.model, config.training
    found = []
    if model.dropout >= 0.3 and training.label_smoothing > 0:
        found.append(
            Advice(
                "caution",
                "Heavy dropout together with label smoothing can cause underfitting: start with one of them.",
            )
        )
    if training.l1 > 0:
        found.append(
            Advice(
                "avoid",
                "An L1 penalty drives the many small weights that a language model needs to zero: "
                "prefer weight decay with adamw.",
            )
        )
    if model.freeze_embedding and model.embedding == "random":
        found.append(
            Advice("caution", "The token embedding is random and frozen: set model.freeze_embedding=false to train it.")
        )
    if model.freeze_positions and model.embedding == "random" and setting_applies(config, "model.freeze_positions"):
        found.append(
            Advice(
                "caution", "The position embedding is random and frozen: set model.freeze_positions=false to train it."
            )
        )
    return found


def _optimization(config: Config) -> list[Advice]:
    model, optimizer, schedule = config.model, config.optimizer, config.schedule
    found = []
    if optimizer.name == "adam_l2":
        found.append(
            Advice(
                "wrong",
                "Adam with L2 divides the decay by the size of the gradient, so weights with large gradients hardly "
                "decay: use adamw, which decays all weights alike.",
            )
        )
    adaptive = optimizer.name in ("adam", "adam_l2", "adamw")
    post_norm = model.norm_position == "post" and setting_applies(config, "model.norm_position")
    if post_norm and model.n_layer > 1 and adaptive and optimizer.lr >= 5e-4 and not schedule.warmup_steps:
        found.append(
            Advice(
                "caution",
                f"A post-norm transformer at learning rate {optimizer.lr:g} without warm-up often does not get below "
                "the loss of a unigram model: set schedule.warmup_steps.",
            )
        )
    if optimizer.name == "sgd" and optimizer.lr < 0.01:
        found.append(
            Advice(
                "caution",
                f"Plain SGD at learning rate {optimizer.lr:g} learns very slowly: language models need 0.1 to 30, "
                "with gradient clipping.",
            )
        )
    return found


def _without_effect(config: Config) -> list[Advice]:
    """Settings that were changed from their default and do nothing beside the others."""
    defaults = Config()
    ignored: dict[str, list[str]] = {}
    for name in setting_names():
        reason = why_ignored(config, name)
        if reason is not None and setting_value(config, name) != setting_value(defaults, name):
            ignored.setdefault(reason, []).append(name)
    return [
        Advice("caution", f"{', '.join(names)} {'has' if len(names) == 1 else 'have'} no effect with {reason}.")
        for reason, names in ignored.items()
    ]
