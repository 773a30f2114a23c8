"""Runs that trained on this machine: what they tell about the next one."""

from __future__ import annotations

from lmcore.errors import LmError
from lmcore.lab.estimate import Evidence
from lmcore.runs import Run
from lmcore.runs.process import host

MOST = 40
"""Newest runs that are looked into."""


def gather(runs: list[Run]) -> list[Evidence]:
    """What the newest of these runs tell; those of other machines, or too short to have a speed, tell nothing."""
    newest = sorted(runs, key=Run.when, reverse=True)[:MOST]
    return [found for run in newest if (found := _look(run)) is not None]


def _look(run: Run) -> Evidence | None:
    try:
        start = run.latest().start or {}
        summary = run.summary()
        config = run.config_values()
    except (LmError, OSError):
        return None
    speed = summary.get("tokens_per_second")
    if start.get("host") != host() or not speed:
        return None
    steps, tokens = start.get("steps_per_epoch"), start.get("tokens_per_step")
    return Evidence(
        run.name,
        config,
        float(speed),
        steps * tokens if steps and tokens else None,
        summary.get("parameters"),
        run.when(),
    )
