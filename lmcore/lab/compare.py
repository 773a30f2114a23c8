"""Runs side by side: one table, their curves, and the settings that differ. Plain data; the command line and the screen
draw it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple

from lmcore.config import setting_names, why_ignored
from lmcore.errors import LmError
from lmcore.measures import SPLITS
from lmcore.runs.events import Event, is_number
from lmcore.runs.history import History
from lmcore.runs.run import Run
from lmcore.runs.summary import finite_perplexity
from lmcore.text import natural_key

CURVE_FIELDS = {
    "train": ("step", "epoch", "tokens", "seconds", "loss", "epoch_loss", "lr", "grad_norm", "tokens_per_second"),
    "val": ("step", "epoch", "tokens", "seconds", "loss", "perplexity", "word_perplexity", "bits_per_byte", "accuracy"),
}
MAX_POINTS = 2000
ABBREVIATIONS = {"perplexity": "ppl", "word_perplexity": "word ppl", "bits_per_byte": "bits/byte"}
PUBLISHED_NOTE = (
    "publ.: the perplexity as the study publishes it, exp of the mean over batches, where a short last batch counts as "
    "a full one; it reads lower than the exact one, the more so the shorter the split. -: only a part of the split was "
    "scored."
)


class Comparability(NamedTuple):
    """What may be ranked: `tokens` (all perplexities), `text` (only word perplexity and bits per byte) or `nothing`;
    and a sentence.
    """

    level: str
    note: str


@dataclass(frozen=True)
class Comparison:
    """`rows` by architecture, layers, optimizer; `best_by` is the column that their `best` flags come from, None if
    nothing ranks them.

    `curves[run][split][field]` are lists of equal length, split `train` or `val`; `differences[setting][run]` is a
    value, None where it is unset or has no effect; `substitutions[run]` are sentences on what stood in for something
    that was asked for.
    """

    rows: list[dict[str, Any]]
    best_by: str | None
    comparability: Comparability
    curves: dict[str, dict[str, dict[str, list[float | None]]]]
    differences: dict[str, dict[str, Any]]
    substitutions: dict[str, list[str]]

    @property
    def published(self) -> bool:
        """Whether published perplexities are to be shown: some run has one, and perplexities may be compared at all."""
        return self.comparability.level != "text" and any(
            row[f"published_{split}_perplexity"] is not None for row in self.rows for split in SPLITS
        )

    @property
    def figures(self) -> dict[str, str]:
        """The figures that a table shows of each run, in order: the column of `rows`, and its title."""
        measures = ["word_perplexity", "bits_per_byte"] if self.comparability.level == "text" else ["perplexity"]
        found = {}
        for split in SPLITS:
            for measure in measures if split != "train" else ["perplexity"]:
                found[f"{split}_{measure}"] = f"{split} {ABBREVIATIONS[measure]}"
            if self.published:
                found[f"published_{split}_perplexity"] = f"publ. {split}"
        return found


def compare(runs: Sequence[Run]) -> Comparison:
    """Compare runs.

    A row has the keys of `Run.summary`, and for each of val (the best evaluation) and test `*_word_perplexity` and
    `*_bits_per_byte`; `best` marks the lowest of each architecture. `published_*_perplexity` of train, val and test is
    that of `published_loss`, for runs with `eval.published_mean`.
    """
    histories = {run.name: run.history(max_train=MAX_POINTS) for run in runs}
    rows = sorted((_row(run, histories[run.name]) for run in runs), key=_place)
    comparability = comparable(runs)
    best_by = _ranking_column(rows, comparability.level)
    for row in rows:
        row["best"] = best_by is not None and row[best_by] == min(
            other[best_by] for other in rows if other["architecture"] == row["architecture"]
        )
    return Comparison(
        rows=rows,
        best_by=best_by,
        comparability=comparability,
        curves={name: _curves(history) for name, history in histories.items()},
        differences=_with_an_effect(setting_differences({run.name: run.config_values() for run in runs}), runs),
        substitutions={name: found for name, history in histories.items() if (found := _substitutions(history))},
    )


def comparable(runs: Sequence[Run]) -> Comparability:
    """Whether the runs were scored on the same text, and in the same tokens."""
    texts, tokens = set(), set()
    for run in runs:
        info, config = run.info(), run.config_values()
        data = config.get("data", {})
        # The hash is that of the splits themselves, wherever they were cut.
        text = info.get("corpus_hash") or (data.get("corpus"), data.get("val_fraction"), data.get("test_fraction"))
        texts.add(text)
        tokens.add((text, info.get("tokenizer_hash") or json.dumps(config.get("tokenizer"), sort_keys=True)))
    if len(texts) > 1:
        return Comparability(
            "nothing", "These runs were scored on different texts or splits: their scores cannot be ranked."
        )
    if len(tokens) > 1:
        note = (
            "These runs have different tokenizers: compare word perplexity or bits per byte, "
            "not token perplexity or loss."
        )
        return Comparability("text", note)
    return Comparability(
        "tokens", "These runs have the same text, splits and tokenizer: their perplexities can be compared."
    )


def setting_differences(configs: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Only the settings that differ: `{"section.key": {run: value}}`, None where a run does not have it."""
    flat = {name: _flatten(values) for name, values in configs.items()}
    keys = dict.fromkeys(key for values in flat.values() for key in values)
    found = {key: {name: values.get(key) for name, values in flat.items()} for key in keys}
    return {
        key: values
        for key, values in found.items()
        if any(value != next(iter(values.values())) for value in values.values())
    }


def _with_an_effect(differences: dict[str, dict[str, Any]], runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """The differences with None for what has no effect in a run, such as the number of heads of an LSTM."""
    found = {name: dict(values) for name, values in differences.items()}
    known = set(setting_names())
    for run in runs:
        try:
            config = run.config()
        except LmError:  # of another version of lm
            continue
        for name in found.keys() & known:
            if why_ignored(config, name) is not None:
                found[name][run.name] = None
    return {name: values for name, values in found.items() if any(value is not None for value in values.values())}


def published_loss(loss: float, tokens: int, batch_size: int, block_size: int) -> float:
    """The mean over batches of (NLL of the batch / (batch_size * block_size)), as some studies publish their loss.

    It counts a short last batch as if it were full, and so reads lower than the exact `loss`, the mean over all
    `tokens` that were scored: a little in a long split, by far in one of few batches.
    """
    batches = ceil(ceil(tokens / block_size) / batch_size)
    return loss * tokens / (batches * batch_size * block_size)


def _row(run: Run, history: History) -> dict[str, Any]:
    row = run.summary()
    for split, event in (("val", history.latest.best), ("test", history.latest.test)):
        for measure in ("word_perplexity", "bits_per_byte"):
            row[f"{split}_{measure}"] = (event or {}).get(measure)
    losses = _published_losses(row, run.config_values(), history)
    return row | {f"published_{split}_perplexity": finite_perplexity(loss) for split, loss in losses.items()}


def _published_losses(row: dict[str, Any], config: dict[str, Any], history: History) -> dict[str, float | None]:
    losses: dict[str, float | None] = {"train": None, "val": None, "test": None}
    if config.get("eval", {}).get("published_mean") is not True:
        return losses
    training, block_size = config["training"], config["model"]["block_size"]
    # The first tokens of a split end in a short batch of their own, which the study never had.
    limits = {config["eval"].get(key) for key in ("max_tokens", "final_max_tokens")}
    for split, event in (("val", history.latest.best), ("test", history.latest.test)):
        tokens = (event or {}).get("tokens_scored")
        if row[f"{split}_loss"] is not None and is_number(tokens) and tokens > 0 and tokens not in limits:
            losses[split] = published_loss(row[f"{split}_loss"], int(tokens), training["batch_size"], block_size)
    filled = _filled(history.latest.train, training["batch_size"] * training.get("accumulate", 1) * block_size)
    if row["train_loss"] is not None and filled is not None:
        losses["train"] = row["train_loss"] * filled
    return losses


def _filled(train: Event | None, places: int) -> float | None:
    """Which share of the places of its batches a run has filled with tokens so far; `places` are those of a step."""
    tokens, step = (train or {}).get("tokens"), (train or {}).get("step")
    return tokens / (step * places) if is_number(tokens) and is_number(step) and step > 0 else None


def _substitutions(history: History) -> list[str]:
    return [str(event.get("message")) for event in history.distinct_warnings() if event.get("what") == "substitution"]


def _place(row: dict[str, Any]) -> tuple[Any, ...]:
    return (row["architecture"] or "", row["n_layer"] or 0, row["optimizer"] or "", natural_key(row["name"]))


def _ranking_column(rows: list[dict[str, Any]], level: str) -> str | None:
    """The first measure that may rank and that every run has: of the test if all were tested, else of validation."""
    measures = {"tokens": ["perplexity"], "text": ["word_perplexity", "bits_per_byte"], "nothing": []}[level]
    columns = [f"{split}_{measure}" for split in ("test", "val") for measure in measures]
    return next((column for column in columns if rows and all(row[column] is not None for row in rows)), None)


def _curves(history: History) -> dict[str, dict[str, list[float | None]]]:
    events = {"train": history.train, "val": history.evaluations("val")}
    curves = {
        split: {field: [event.get(field) for event in events[split]] for field in fields}
        for split, fields in CURVE_FIELDS.items()
    }
    curves["train"]["perplexity"] = [finite_perplexity(_train_loss(event)) for event in events["train"]]
    return curves


def _train_loss(event: Event) -> float | None:
    """The epoch's running average, as in the table; else the mean since the last report."""
    return next((loss for loss in (event.get("epoch_loss"), event.get("loss")) if is_number(loss)), None)


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
