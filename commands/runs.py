"""`lm runs`: the list, one run's facts, and renaming and removing."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import typer

from commands.names import expand_ranges
from commands.output.console import YELLOW, columns, is_terminal, note, paint, put, put_json, wrap
from commands.output.tables import Column, put_facts, put_table
from commands.watch import describe_warning
from lmcore.errors import UsageError
from lmcore.runs import find_run, list_runs, remove_run, rename_run, runs_root
from lmcore.text import human_bytes, human_count, human_time

if TYPE_CHECKING:
    from lmcore.runs import History, Run
    from lmcore.runs.events import Event

CURVE_POINTS = 2000


def list_all(*, as_json: bool) -> None:
    """Print every run's line, the run in which something happened last at the end."""
    summaries = sorted((run.summary() for run in list_runs()), key=lambda summary: summary["when"])
    if as_json:
        put_json(summaries)
        return
    if not summaries:
        note(f"There are no runs in {runs_root()} yet. Train one: `lm train --preset quick`.")
        return
    headings = [
        Column("run"),
        Column("state"),
        Column("model"),
        Column("optimizer"),
        Column("step", number=True),
        Column("val ppl", number=True),
        Column("test ppl", number=True),
        Column("time", number=True),
        Column("changed", number=True),
    ]
    put_table(
        headings, [_row(summary) for summary in summaries], dispensable=("time", "optimizer", "test ppl", "model")
    )


def show(name: str, *, as_json: bool) -> None:
    """Print what is known of one run."""
    run = find_run(name)
    summary = run.summary()
    history = run.history(max_train=CURVE_POINTS)
    checkpoints = [{"step": checkpoint.step, "path": str(checkpoint.path)} for checkpoint in run.checkpoints()]
    if as_json:
        warnings = [{key: event.get(key) for key in ("step", "what", "message")} for event in history.warnings]
        put_json(
            {
                **summary,
                "warnings": warnings,
                "checkpoints": checkpoints,
                "info": run.info(),
                "config": run.config_values(),
            }
        )
        return
    put_facts(_facts(run, summary, history, [str(checkpoint["step"]) for checkpoint in checkpoints]))
    _put_warnings(history)
    _put_curves(history)
    _put_changed_settings(run)


def rename(name: str, new: str) -> None:
    """Rename a run."""
    run = find_run(name)
    note(f"{run.name} is now {rename_run(run, new).name}")


def remove(names: list[str], *, sure: bool) -> None:
    """Remove runs, after asking; all names are looked up first, so that a wrong one removes nothing."""
    runs = [find_run(name) for name in expand_ranges(names)]
    listed = ", ".join(run.name for run in runs)
    if not sure:
        if not is_terminal(sys.stdin):
            raise UsageError(
                f"Deleting {listed} needs confirmation, but standard input is not a terminal.",
                "Add --yes to delete without confirmation.",
            )
        if not typer.confirm(f"Delete {listed} and all checkpoints? This cannot be undone.", err=True):
            raise typer.Exit(1)
    for run in runs:
        remove_run(run)
        note(f"deleted {run.name}")


def model_name(summary: dict[str, Any]) -> str:
    """`transformer x4`."""
    return f"{summary.get('architecture') or '?'} x{summary.get('n_layer') or '?'}"


def number(value: float | None, digits: int = 2) -> str:
    """A figure with thousands separated, `-` when it is not known."""
    return "-" if value is None else f"{value:,.{digits}f}"


def _row(summary: dict[str, Any]) -> list[str]:
    step, total = summary["step"], summary["total_steps"]
    return [
        summary["name"],
        summary["state"],
        model_name(summary),
        summary["optimizer"] or "?",
        "-" if step is None else f"{step:,}/{total:,}" if total else f"{step:,}",
        number(summary["val_perplexity"]),
        number(summary["test_perplexity"]),
        "-" if summary["seconds"] is None else human_time(summary["seconds"]),
        f"{human_time(max(0.0, time.time() - summary['when'])).split()[0]} ago",
    ]


def _facts(run: Run, summary: dict[str, Any], history: History, steps: list[str]) -> list[tuple[str, str]]:
    row = dict(zip(("run", "state", "model", "optimizer", "step"), _row(summary), strict=False))
    facts = [*row.items(), ("folder", str(run.path)), ("corpus", str(summary["dataset"] or "?"))]
    if summary["parameters"]:
        facts.append(("parameters", f"{summary['parameters']:,} total, {summary['learnable']:,} learnable"))
    facts += [
        ("train perplexity", f"{number(summary['train_perplexity'])} (running average of the epoch, dropout on)"),
        (
            "val perplexity",
            f"{number(summary['val_perplexity'])}"
            + (f" at step {summary['best_step']:,}" if summary["best_step"] is not None else "")
            + _scored(history.latest.best),
        ),
        ("test perplexity", number(summary["test_perplexity"]) + _scored(history.latest.test)),
        ("bits per byte", number(summary["bits_per_byte"], 4)),
    ]
    if summary["seconds"] is not None:
        facts.append(("time", human_time(summary["seconds"])))
    if summary["tokens_per_second"]:
        facts.append(("speed", f"{human_count(summary['tokens_per_second'])} tokens/s"))
    if summary["memory_bytes"]:
        facts.append(("memory", human_bytes(summary["memory_bytes"])))
    facts.append(("checkpoints", ", ".join(steps) or "none"))
    return facts


def _scored(evaluation: Event | None) -> str:
    tokens = (evaluation or {}).get("tokens_scored")
    return f", on {tokens:,} tokens" if isinstance(tokens, int) else ""


def _put_warnings(history: History) -> None:
    warnings = history.distinct_warnings()
    if warnings:
        put()
    for event in warnings:
        for line in wrap(describe_warning(event), columns()):
            put(paint(line, YELLOW, sys.stdout))


def _put_curves(history: History) -> None:
    from commands.output.curves import Curve, put_figure

    curves = []
    for label, events in (("train", history.train), ("val", history.evaluations("val"))):
        steps, losses = [event["step"] for event in events], [event.get("loss") for event in events]
        curves.append(Curve(label, steps, losses, validation=label == "val", group=0))
    if any(curve.x for curve in curves):
        put()
        put_figure(curves, title="loss", x_label="step", y_label="nats per token", height=14)


def _put_changed_settings(run: Run) -> None:
    """Only what is not the default: the rest says nothing about this run."""
    from commands.presets import show_value
    from lmcore.config import Config, differences

    changed = differences(Config(), run.config())
    put()
    put_facts([(name, show_value(value)) for name, (_, value) in changed.items()])
