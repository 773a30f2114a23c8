"""Which checkpoints generate: a run and `best` or `last`, looked up each time, because a run that trains saves more."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lmcore.errors import LmError, UsageError
from lmcore.runs import Run, find_run, list_runs
from tui.widgets.choose import Choice

MOST = 4
"""Texts side by side."""


@dataclass(frozen=True)
class Source:
    """A run's best or last checkpoint."""

    run: str
    which: str = "best"

    @classmethod
    def parse(cls, text: str) -> Source:
        """From `run:which`."""
        run, _, which = text.partition(":")
        return cls(run, which or "best")

    def __str__(self) -> str:
        return f"{self.run}:{self.which}"

    def folder(self, root: Path | None) -> Path:
        """Its folder now; before the first evaluation there is no best one, and the last one is taken instead.

        Raises:
            UsageError: the run was deleted, or has no checkpoint yet.
        """
        run = find_run(self.run, root)
        return run.checkpoint("last" if _step(run, self.which) is None else self.which)


def checkpoint_choices(root: Path | None) -> list[Choice]:
    """The best and the last checkpoint of every run that has one, the newest runs first; one line where both are the
    same.
    """
    choices = []
    for run in sorted(list_runs(root), key=Run.when, reverse=True):
        best, last = _step(run, "best"), _step(run, "last")
        if best is not None:
            choices.append(Choice(f"{run.name}:best", run.name, f"best · step {best:,}"))
        if last is not None and last != best:
            choices.append(Choice(f"{run.name}:last", run.name, f"last · step {last:,}"))
    return choices


def default_source(root: Path | None, selected: str | None) -> Source | None:
    """The selected run's checkpoint, else that of the run that was active last."""
    runs = sorted(list_runs(root), key=Run.when, reverse=True)
    for run in sorted(runs, key=lambda run: run.name != selected):
        for which in ("best", "last"):
            if _step(run, which) is not None:
                return Source(run.name, which)
    return None


def folders(sources: list[Source], root: Path | None) -> list[str]:
    """The folders of all of them.

    Raises:
        UsageError: there is none, or one was deleted.
    """
    if not sources:
        raise UsageError(
            "There is no checkpoint to generate with.", "Start a run in Presets (2), or wait for its first checkpoint."
        )
    return [str(source.folder(root)) for source in sources]


def _step(run: Run, which: str) -> int | None:
    try:
        folder = run.checkpoint(which)
    except LmError:
        return None
    digits = folder.name.rpartition("-")[2]
    return int(digits) if digits.isdigit() else None
