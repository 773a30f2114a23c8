"""`lm train`: settings put together, the run, and its summary."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from commands.input.settings import assemble, offering_offline
from commands.output.console import note, note_data, put_json
from commands.output.progress import Progress
from commands.output.tables import put_facts
from lmcore.config import parse_assignments
from lmcore.errors import UsageError
from lmcore.text import harmless, human_bytes, human_time

if TYPE_CHECKING:
    from lmcore.runs import Run
    from lmcore.training import Setup

HOUSE = Path(__file__).resolve().parent.parent


def start_run(
    preset: str,
    corpus: str | None,
    name: str | None,
    assignments: list[str],
    chosen: dict[str, Any],
    *,
    offline: bool,
    as_json: bool,
) -> int:
    """Train a new run; returns the exit code."""
    from lmcore.runs import create_run, next_name, runs_root

    config, stem = assemble(preset, corpus, assignments, chosen)
    substitutions: list[str] = []
    if offline:
        from lmcore.offline import without_network

        config, substitutions = without_network(config)
    run_name = name or next_name(stem)
    refuse_taken(run_name)
    _say_where("training", run_name, runs_root() / run_name)
    run = None
    try:
        with _sigterm_unwinds():
            from lmcore.training import prepare

            with offering_offline():
                setup = prepare(config, note_data)
            setup.substitutions.extend(substitutions)
            run = create_run(run_name, config, who_made_it(stem, setup))
            with offering_offline(keep_hint=True):
                return _train(setup, run, resume=False, as_json=as_json)
    except BaseException as error:
        if (run is None or discard_untrained(run)) and not isinstance(error, Exception):
            note("Interrupted before the first step: the run was not kept.")
        raise


def continue_run(
    name: str, refused: dict[str, str | None], assignments: list[str], chosen: dict[str, Any], *, as_json: bool
) -> int:
    """Train a run on from its last checkpoint; returns the exit code."""
    from lmcore.runs import find_run

    for option, value in refused.items():
        if value is not None:
            raise UsageError(
                f"{option} cannot be combined with --resume: the run keeps its own value.",
                "Leave it out, or start a new run.",
            )
    run = find_run(name)
    if run.is_active():
        raise UsageError(
            f"The run '{run.name}' is still training.",
            f"Follow it with `lm watch {run.name}`, or stop it with `lm control {run.name} stop`.",
        )
    settings: dict[str, Any] = {**parse_assignments(assignments), **chosen}
    config = run.config().with_settings(settings)
    _say_where("continuing", run.name, run.path)
    with _sigterm_unwinds():
        from lmcore.training import prepare
        from lmcore.training.resume import check_unchanged

        if run.checkpoints():
            check_unchanged(run.config(), config)  # before another text is read for nothing
        return _train(prepare(config, note_data), run, resume=True, as_json=as_json)


def who_made_it(preset: str, setup: Setup) -> dict[str, Any]:
    """What `run.json` records: enough to make the run again."""
    training, data = setup.config.training, setup.data
    packages = ("lm-tui", "torch", "numpy", "tokenizers")
    return {
        "preset": preset,
        "argv": sys.argv,
        "host": platform.node(),
        "versions": {"python": platform.python_version(), **{package: _installed(package) for package in packages}},
        "git_commit": _git_commit(),
        "device": training.device,
        "seed": training.seed,
        "corpus_hash": data.corpus_hash,
        "tokenizer_hash": data.tokenizer_hash,
    }


def refuse_taken(name: str) -> None:
    """Say at once, not after the text was read, that a run of this name exists, or that the name is not valid.

    Raises:
        UsageError: one of the two.
    """
    from lmcore.runs.store import check_name, runs_root

    check_name(name)
    place = runs_root() / name
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise UsageError(
            f"There is already a run '{name}'.",
            f"Continue it with `lm train --resume {name}`, or choose another name with --run.",
        )


def discard_untrained(run: Run) -> bool:
    """Remove a run that ended before its first step, so that its name is free again; whether it was one."""
    from lmcore.runs import remove_run

    if not run.path.exists() or run.checkpoints() or run.latest().train is not None or run.is_active():
        return False
    remove_run(run)
    return True


def _train(setup: Setup, run: Run, *, resume: bool, as_json: bool) -> int:
    from lmcore.training import train

    progress = Progress()
    try:
        summary = train(setup, run, resume=resume, report=progress.report)
    finally:
        progress.clear()
    why, interrupted_by = summary.pop("why"), summary.pop("signal")
    if as_json:
        put_json(summary)
    else:
        put_facts(_readable(summary))
    finish = run.latest().finish or {}
    note(harmless(str(finish.get("message") or ""), keep_newlines=False))
    if why in ("interrupted", "stopped"):
        note(f"Continue with `lm train --resume {run.name}`.")
    if interrupted_by is not None:
        return 128 + int(interrupted_by)
    return 1 if why == "diverged" else 0


def _say_where(doing: str, name: str, path: Path) -> None:
    note(f"{doing} {name} in {harmless(str(path), keep_newlines=False)}")


def _readable(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """The summary's figures with their units; what is not known is left out."""
    units = {"seconds": human_time, "peak_memory_bytes": human_bytes}
    names = {"seconds": "time", "peak_memory_bytes": "peak memory", "tokens_per_second": "tokens/s"}
    facts = []
    for key, value in summary.items():
        if value is None:
            continue
        if key in units:
            text = units[key](value)
        elif isinstance(value, float):
            text = f"{value:,.0f}" if key == "tokens_per_second" else f"{value:,.4f}"
        else:
            text = f"{value:,}" if isinstance(value, int) else str(value)
        facts.append((names.get(key, key.replace("_", " ")), text))
    return facts


@contextmanager
def _sigterm_unwinds() -> Iterator[None]:
    """Until the run handles SIGTERM itself, let it unwind like Ctrl-C, so that nothing incomplete stays behind."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _installed(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    """The commit of this checkout; None when it is none, or git is missing."""
    if not (HOUSE / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", os.fspath(HOUSE), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
