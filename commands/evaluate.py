"""`lm eval`: a split's score under a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from commands.input.names import corpus_setting, find_checkpoint
from commands.output.console import note, note_data, put_json
from commands.output.tables import put_facts
from lmcore.config import Config, parse_assignments, why_ignored
from lmcore.errors import UsageError, did_you_mean
from lmcore.measures import SPLITS
from lmcore.text import harmless

if TYPE_CHECKING:
    from lmcore.training import EvalResult

# The settings that decide how a trained model is scored. eval.max_tokens is for evaluations during training.
SETTINGS = ("eval.batch_size", "eval.stride", "eval.final_max_tokens", "eval.carry_state")


def score_split(
    name: str,
    corpus: str | None,
    split: str,
    which: str | None,
    assignments: list[str],
    chosen: dict[str, Any],
    *,
    as_json: bool,
) -> None:
    """Print how well a run's checkpoint predicts a split of its own corpus, or of another text in the same tokens.

    `assignments` are `eval.KEY=VALUE`; `chosen` are settings by name, from options of their own.
    """
    if split not in SPLITS:
        raise UsageError(f"There is no split '{split}'.", did_you_mean(split, SPLITS, f"Choose {_either(SPLITS)}."))
    given = parse_assignments(assignments)
    _refuse_other_settings(given)
    _, folder = find_checkpoint(name, which)
    settings = {**given, **chosen}
    config = _config(folder, corpus).with_settings(settings)
    for setting in settings:
        if reason := why_ignored(config, setting):
            note(f"note: {setting} has no effect with {reason}.")
    result = _evaluate(config, folder, split)
    figures = {
        "tokens": result.tokens,
        "loss": result.loss,
        "perplexity": result.perplexity,
        "word_perplexity": result.word_perplexity,
        "bits_per_byte": result.bits_per_byte,
    }
    if as_json:
        put_json(figures)
        return
    shown = {
        key: "-" if value is None else f"{value:,}" if key == "tokens" else f"{value:,.4f}"
        for key, value in figures.items()
    }
    put_facts([("checkpoint", str(folder)), ("text", f"{config.data.corpus}, {split}"), *shown.items()])


def _refuse_other_settings(given: dict[str, str]) -> None:
    for name in given:
        if name == "eval.max_tokens":
            raise UsageError(
                "eval.max_tokens applies during training only.", "Set eval.final_max_tokens to score fewer tokens."
            )
        if name not in SETTINGS:
            raise UsageError(
                f"lm eval cannot change '{name}': it scores the model as it was trained.",
                did_you_mean(name, SETTINGS, f"It can change {_either(SETTINGS)}."),
            )


def _either(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _config(folder: Path, corpus: str | None) -> Config:
    """The settings of the run that the checkpoint belongs to, with the text asked for."""
    stored = folder.resolve().parent / "config.toml"
    if not stored.is_file() and corpus is None:
        raise UsageError(f"{folder} is not in a run's folder, so its text is unknown.", "Choose a text with --data.")
    config = Config.from_file(stored) if stored.is_file() else Config()
    return config.with_settings({"data.corpus": corpus_setting(corpus)}) if corpus else config


def _evaluate(config: Config, folder: Path, split: str) -> EvalResult:
    from lmcore.data import load_tokenizer, tokenize_corpus
    from lmcore.models import load_model
    from lmcore.models.device import pick_device
    from lmcore.training.device import pick_precision
    from lmcore.training.scoring import evaluate_as

    device = pick_device(config.training.device)
    data = tokenize_corpus(config, load_tokenizer(folder), report=note_data)
    for warning in [*data.substitutions, *data.warnings]:
        note(f"note: {harmless(warning)}")
    if len(data.splits[split].tokens) < 2:
        raise UsageError(f"{data.name} has no {split} split to score.", "Choose another one with --split.")
    model = load_model(folder, device=str(device))
    precision = pick_precision(config.training.precision, device)
    return evaluate_as(config, model, data.splits[split], device, precision, final=True)
