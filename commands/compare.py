"""`lm compare`: one table, the settings that differ, the curves, and with a prompt the texts side by side."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from commands.input.names import checkpoint_of, expand_ranges
from commands.input.prompt import read_prompt
from commands.input.sampler_options import change_settings
from commands.output.console import (
    BOLD,
    DIM,
    YELLOW,
    cell_width,
    columns,
    is_terminal,
    note,
    pad,
    paint,
    put,
    put_json,
    wrap,
)
from commands.output.curves import Curve, put_figure
from commands.output.tables import Cell, Column, put_table
from commands.output.values import model_name, number, show_value
from lmcore.errors import UsageError
from lmcore.runs import find_run
from lmcore.text import harmless, human_bytes, human_count, human_time

if TYPE_CHECKING:
    from lmcore.config import GenerationConfig
    from lmcore.lab.compare import Comparison
    from lmcore.runs import Run

AXES = {"epoch": "epoch", "time": "seconds", "step": "step", "tokens": "tokens"}
UNITS = {"epoch": "epoch", "time": "minutes of training", "step": "step", "tokens": "tokens"}
MEASURES = {
    "perplexity": "perplexity",
    "word_perplexity": "word perplexity",
    "bits_per_byte": "bits per byte",
}
RUNS_IN_A_FIGURE = 4
NARROWEST_COLUMN = 28
WIDEST_VALUE = 32


def compare_runs(names: list[str], prompt: str | None, axis: str, given: dict[str, Any], *, as_json: bool) -> None:
    """Compare runs by name, path or range; `given` are the sampler settings of the command line, for `prompt`."""
    from lmcore.lab import compare

    if axis not in AXES:
        raise UsageError(f"There is no axis '{axis}'.", f"Choose one of {', '.join(AXES)}.")
    if given and prompt is None:
        raise UsageError(
            f"--{next(iter(given)).replace('_', '-')} has no effect without --prompt.",
            "Add --prompt TEXT to continue a text with each run, or leave the option out.",
        )
    prompt = None if prompt is None else read_prompt(prompt)
    settings = None if prompt is None else _sampler_settings(given)
    runs = _find_all(names)
    comparison = compare(runs)
    texts = None if prompt is None or settings is None else _generate_all(runs, prompt, settings)
    if as_json:
        answer: dict[str, Any] = {
            "rows": comparison.rows,
            "best_by": comparison.best_by,
            "comparability": comparison.comparability._asdict(),
            "differences": comparison.differences,
            "substitutions": comparison.substitutions,
        }
        if texts is not None and settings is not None:
            answer |= {"prompt": prompt, "texts": texts}
            answer["generation"] = settings.model_dump(mode="json", exclude={"prompts"})
        put_json(answer)
        return
    _put_rows(comparison)
    _put_differences(comparison)
    _put_curves(comparison, axis)
    if texts is not None:
        _put_texts(prompt or "", texts)


def _find_all(names: list[str]) -> list[Run]:
    """The runs of these names; of a range, those that exist.

    Raises:
        UsageError: a name without a run, or a range without any.
    """
    from lmcore.runs import list_runs

    known = {run.name for run in list_runs()}
    found = []
    for name in names:
        expanded = expand_ranges([name])
        if len(expanded) == 1:
            found.append(find_run(name))
            continue
        there = [each for each in expanded if each in known]
        if not there:
            raise UsageError(f"No run matches {name}.", "`lm runs` lists all runs.")
        if missing := [each for each in expanded if each not in known]:
            note(f"note: skipped {', '.join(missing)}: no such run.")
        found += [find_run(each) for each in there]
    return list({run.path: run for run in found}.values())


def _put_rows(comparison: Comparison) -> None:
    from lmcore.lab.compare import PUBLISHED_NOTE

    headings = [
        Column("run"),
        Column("model"),
        Column("optimizer"),
        Column("parameters", True),
        Column("learnable", True),
        *(Column(title, True) for title in comparison.figures.values()),
        Column("best step", True),
        Column("time", True),
        Column("tok/s", True),
        Column("memory", True),
    ]
    put_table(headings, [_row(row, comparison) for row in comparison.rows])
    put()
    caption = [comparison.comparability.note]
    if comparison.best_by:
        split, _, measure = comparison.best_by.partition("_")
        caption.append(f"Bold or *: the lowest {split} {MEASURES[measure]} of each architecture.")
    caption.append(
        "ppl: perplexity, exp(loss). train: the running average of the last epoch, with dropout on. "
        "val: at the best step. time: training time."
    )
    if comparison.published:
        caption.append(PUBLISHED_NOTE)
    for line in wrap(" ".join(caption), columns()):
        put(paint(line, DIM, sys.stdout))
    for name, messages in comparison.substitutions.items():
        for message in messages:
            for line in wrap(harmless(f"{name}: {message}", keep_newlines=False), columns()):
                put(paint(line, YELLOW, sys.stdout))


def _row(row: dict[str, Any], comparison: Comparison) -> list[str | Cell]:
    figures = [
        Cell(number(row[key], 4 if key.endswith("bits_per_byte") else 2), row["best"] and key == comparison.best_by)
        for key in comparison.figures
    ]
    return [
        Cell(row["name"], row["best"]),
        model_name(row),
        row["optimizer"] or "?",
        _count(row["parameters"]),
        _count(row["learnable"]),
        *figures,
        _count(row["best_step"]),
        "-" if row["seconds"] is None else human_time(row["seconds"]),
        "-" if row["tokens_per_second"] is None else human_count(row["tokens_per_second"]),
        "-" if row["memory_bytes"] is None else human_bytes(row["memory_bytes"]),
    ]


def _put_differences(comparison: Comparison) -> None:
    names = [row["name"] for row in comparison.rows]
    if len(names) < 2 or not comparison.differences:
        return
    settings = Column("setting that differs")
    texts = {name: {key: _value(values[name]) for key, values in comparison.differences.items()} for name in names}
    widths = {name: max(cell_width(text) for text in [name, *texts[name].values()]) for name in names}
    first = max(cell_width(text) for text in [settings.heading, *comparison.differences])
    for group in _side_by_side(widths, first):
        put()
        rows = [[key, *(texts[name][key] for name in group)] for key in comparison.differences]
        put_table([settings, *(Column(name) for name in group)], rows)


def _value(value: Any) -> str:
    """A setting; of a long one its end, which tells paths apart."""
    text = "-" if value is None else harmless(show_value(value), keep_newlines=False)
    return text if len(text) <= WIDEST_VALUE else "…" + text[1 - WIDEST_VALUE :]


def _side_by_side(widths: dict[str, int], first: int) -> list[list[str]]:
    """Runs in groups whose columns fit beside a first one, where someone looks at the width."""
    if not is_terminal(sys.stdout) and "COLUMNS" not in os.environ:
        return [list(widths)]
    groups: list[list[str]] = [[]]
    left = columns() - first
    for name, width in widths.items():
        if groups[-1] and width + 2 > left:
            groups.append([])
            left = columns() - first
        groups[-1].append(name)
        left -= width + 2
    return groups


def _put_curves(comparison: Comparison, axis: str) -> None:
    """Perplexity of train (thin) and validation (marked) over the axis, a few runs in each figure."""
    field = AXES[axis]
    scale = 60.0 if axis == "time" else 1.0
    names = [row["name"] for row in comparison.rows]
    for first in range(0, len(names), RUNS_IN_A_FIGURE):
        curves = []
        for group, name in enumerate(names[first : first + RUNS_IN_A_FIGURE]):
            for split, label in (("train", "train"), ("val", "val")):
                points = comparison.curves[name][split]
                x = [None if value is None else value / scale for value in points[field]]
                curves.append(Curve(f"{name} {label}", x, points["perplexity"], validation=split == "val", group=group))
        put()
        put_figure(
            curves, title="Perplexity, train and validation", x_label=UNITS[axis], y_label="perplexity", log_y=True
        )


def _sampler_settings(given: dict[str, Any]) -> GenerationConfig:
    from lmcore.config import GenerationConfig

    return change_settings(GenerationConfig(), given)


def _generate_all(runs: list[Run], prompt: str, settings: GenerationConfig) -> dict[str, str]:
    """Each run's continuation from its best checkpoint, with the same settings and random numbers."""
    from lmcore.generation import load_generator

    texts = {}
    for run in runs:
        if not run.checkpoints():
            note(f"note: {run.name} has no checkpoint yet, so it cannot generate text.")
            continue
        generator = load_generator(checkpoint_of(run))
        for notice in generator.notices(prompt):
            note(f"note: {run.name}: {harmless(notice)}")
        texts[run.name] = "".join(token.text for token in generator.generate(prompt, settings))
    return texts


def _put_texts(prompt: str, texts: dict[str, str]) -> None:
    """Side by side where each column keeps a readable width, else one below the other."""
    if not texts:
        return
    put()
    width = (columns() + 3) // len(texts) - 3
    shown = {name: harmless(prompt + text) for name, text in texts.items()}
    if width < NARROWEST_COLUMN or len(texts) == 1:
        for name, text in shown.items():
            put(paint(name, BOLD, sys.stdout))
            for line in wrap(text, columns()):
                put(line)
        return
    blocks = [wrap(text, width) for text in shown.values()]
    put(" | ".join(paint(pad(name, width), BOLD, sys.stdout) for name in shown).rstrip())
    for i in range(max(len(block) for block in blocks)):
        put(" | ".join(pad(block[i] if i < len(block) else "", width) for block in blocks).rstrip())


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
