"""Runs side by side: one table, their curves, and the settings that differ. Plain data; the command line and the screen
draw it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lmcore.runs.history import History
from lmcore.runs.run import Run, first_known, perplexity

CURVE_FIELDS = {
    "train": ("step", "epoch", "tokens", "seconds", "loss", "epoch_loss", "lr", "grad_norm", "tokens_per_second"),
    "val": ("step", "epoch", "tokens", "seconds", "loss", "perplexity", "word_perplexity", "bits_per_byte", "accuracy"),
}
MAX_POINTS = 2000


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
    value, None where unset.
    """

    rows: list[dict[str, Any]]
    best_by: str | None
    comparability: Comparability
    curves: dict[str, dict[str, dict[str, list[float | None]]]]
    differences: dict[str, dict[str, Any]]


def compare(runs: Sequence[Run]) -> Comparison:
    """Compare runs.

    A row has the keys of `Run.summary`, and for each of val (the best evaluation) and test `*_word_perplexity` and
    `*_bits_per_byte`; `best` marks the lowest of each architecture.
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
        differences=setting_differences({run.name: run.config_values() for run in runs}),
    )


def comparable(runs: Sequence[Run]) -> Comparability:
    """Whether the runs were scored on the same text, and in the same tokens."""
    texts, tokens = set(), set()
    for run in runs:
        info, config = run.info(), run.config_values()
        data = config.get("data", {})
        text = (info.get("corpus_hash") or data.get("corpus"), data.get("val_fraction"), data.get("test_fraction"))
        texts.add(text)
        tokens.add((text, info.get("tokenizer_hash") or json.dumps(config.get("tokenizer"), sort_keys=True)))
    if len(texts) > 1:
        return Comparability("nothing", "These runs were scored on different texts or splits: no figure ranks them.")
    if len(tokens) > 1:
        note = "These runs have different tokenizers: compare word perplexity or bits per byte, not token perplexity or loss."
        return Comparability("text", note)
    return Comparability("tokens", "These runs share text, split and tokenizer: their perplexities can be compared.")


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


def _row(run: Run, history: History) -> dict[str, Any]:
    row = run.summary()
    tests = [event for event in history.eval if event.get("split") == "test"]
    for split, event in (("val", history.best()), ("test", tests[-1] if tests else None)):
        for measure in ("word_perplexity", "bits_per_byte"):
            row[f"{split}_{measure}"] = (event or {}).get(measure)
    return row


def _place(row: dict[str, Any]) -> tuple[str, int, str, str]:
    return (row["architecture"] or "", row["n_layer"] or 0, row["optimizer"] or "", row["name"])


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
    curves["train"]["perplexity"] = [
        perplexity(first_known(event.get("epoch_loss"), event.get("loss"))) for event in events["train"]
    ]
    return curves


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
