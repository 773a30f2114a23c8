"""Runs by name: create, list, find, rename, remove."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmcore.errors import LmError, UsageError, did_you_mean
from lmcore.runs.lines import to_json, write_error
from lmcore.runs.run import CONFIG_FILE, INFO_FILE, Run, headline_of, is_run
from lmcore.text import natural_key

if TYPE_CHECKING:
    from lmcore.config import Config

MAX_NAME = 100
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


def runs_root() -> Path:
    """Where runs are: `$LM_RUNS`, else `./checkpoints`."""
    return Path(os.environ.get("LM_RUNS") or "checkpoints").expanduser()


def check_name(name: str) -> None:
    """Refuse what is not a valid run name.

    Raises:
        UsageError: other characters than letters, digits, `.`, `_`, `-`; a leading dot or dash; over 100 characters.
    """
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise UsageError(
            f"{name[:MAX_NAME]!r} is not a valid run name.",
            f"Use letters, digits, '.', '_' and '-', at most {MAX_NAME} characters; begin with a letter, digit or '_'.",
        )


def create_run(name: str, config: Config, info: dict[str, Any], root: Path | None = None) -> Run:
    """Make a run directory with `config.toml` and `run.json`.

    `info` is who made it (docs/design.md); tables show its `preset`. `created` (Unix seconds) is added.

    Raises:
        UsageError: `name` is not valid, or that run already exists.
        LmError: the directory cannot be written.
    """
    check_name(name)
    root = runs_root() if root is None else root
    place = root / name
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise _already_there(place)
    hidden = root / f".{name}.new.{os.getpid()}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        hidden.mkdir()
        (hidden / CONFIG_FILE).write_text(config.to_toml(), encoding="utf-8")
        headline = headline_of(config.to_dict())
        values = json.loads(to_json({"created": round(time.time(), 3), **info, "headline": headline}))
        (hidden / INFO_FILE).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
        hidden.rename(place)
    except OSError as error:
        shutil.rmtree(hidden, ignore_errors=True)
        if is_run(place):
            raise _already_there(place) from None
        raise write_error(place, error) from error
    return Run(place)


def list_runs(root: Path | None = None) -> list[Run]:
    """All runs, by name, numbers in it by value: exp2 before exp10."""
    root = runs_root() if root is None else root
    try:
        entries = [Path(entry.path) for entry in os.scandir(root) if not entry.name.startswith(".") and entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted((Run(path) for path in entries if is_run(path)), key=lambda run: natural_key(run.name))


def find_run(name_or_path: str | Path, root: Path | None = None) -> Run:
    """A run by name, or by the path of its directory.

    Raises:
        UsageError: there is no such run; the hint names the most similar one.
    """
    root = runs_root() if root is None else root
    text = str(name_or_path)
    if text and text not in (".", "..") and "/" not in text and is_run(root / text):
        return Run(root / text)
    if text and is_run(Path(text)):
        return Run(Path(text).resolve())
    names = [run.name for run in list_runs(root)]
    otherwise = "`lm runs` lists all runs." if names else "Start one with `lm train`."
    hint = did_you_mean(text, names, otherwise, cutoff=0.5)
    raise UsageError(f"There is no run '{text}' in {root}.", hint)


def newest_run(root: Path | None = None) -> Run:
    """The run in which something happened last.

    Raises:
        UsageError: there are no runs.
    """
    runs = list_runs(root)
    if not runs:
        raise UsageError(f"There are no runs in {runs_root() if root is None else root}.", "Start one with `lm train`.")
    return max(runs, key=lambda run: run.when())


def next_name(stem: str, root: Path | None = None) -> str:
    """The first free name of `stem-1`, `stem-2`, ... after the highest that is taken."""
    root = runs_root() if root is None else root
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip(".-")[: MAX_NAME - 10] or "run"
    pattern = re.compile(re.escape(stem) + r"-(\d{1,9})")
    try:
        taken = [int(match[1]) for name in os.listdir(root) if (match := pattern.fullmatch(name))]
    except FileNotFoundError:
        taken = []
    return f"{stem}-{max(taken, default=0) + 1}"


def rename_run(run: Run, new: str) -> Run:
    """Give a run another name; returns it at its new place.

    Raises:
        UsageError: it is running, `new` is not valid, or a run of that name exists.
    """
    check_name(new)
    _refuse_while_running(run, "renamed")
    place = run.path.with_name(new)
    if place.exists():
        raise UsageError(f"There is already a run '{new}'.", "Choose another name.")
    try:
        run.path.rename(place)
    except OSError as error:
        raise LmError(
            f"{run.path} could not be renamed: {error.strerror}.",
            "Check that you have permission to write in its parent folder.",
        ) from error
    return Run(place)


def remove_run(run: Run) -> None:
    """Delete a run with its checkpoints.

    Raises:
        UsageError: it is running.
        LmError: it cannot be deleted.
    """
    _refuse_while_running(run, "removed")
    hidden = run.path.with_name(f".{run.name}.gone.{os.getpid()}")
    try:
        run.path.rename(hidden)
        shutil.rmtree(hidden)
    except OSError as error:
        raise LmError(
            f"{run.path} could not be removed: {error.strerror}.",
            "Check that you have permission to write in it and in its parent folder.",
        ) from error


def _refuse_while_running(run: Run, what: str) -> None:
    if run.is_active():
        raise UsageError(
            f"The run '{run.name}' is still training and cannot be {what}.",
            f"Stop it first: `lm control {run.name} stop`.",
        )


def _already_there(place: Path) -> UsageError:
    return UsageError(
        f"There is already a run '{place.name}' in {place.parent}.",
        f"Continue it with `--resume {place.name}`, or choose another name with `--run NAME`.",
    )
