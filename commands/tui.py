"""`lm tui`: the screens, with a run selected."""

from __future__ import annotations


def open_screens(run: str | None) -> int:
    """Show the screens until the user leaves; returns the exit code.

    Raises:
        UsageError: there is no such run.
    """
    from lmcore.runs import find_run
    from tui import run_app

    return run_app(find_run(run).name if run else None)
