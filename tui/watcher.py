"""Reading the runs directory for the screen: cheap rows for all runs, whole curves for the chosen ones only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RunRow:
    """One line of the run list: everything in it is cheap to read."""

    name: str
    state: str
    architecture: str
    step: int
    total_steps: int
    val_perplexity: float | None
    modified: float
