"""`lm tui`: train, watch, control, generate and compare, on the screen."""

from __future__ import annotations

import gc
import sys
from pathlib import Path


def run_app(run: str | None = None, root: Path | None = None) -> int:
    """Open the screen, on `run` if it is given; returns the exit code (2 outside a terminal)."""
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        print("lm tui needs a terminal. Use `lm watch RUN` for the same information as plain text.", file=sys.stderr)
        return 2
    # What is allocated before the first paint stays: collecting garbage meanwhile would delay the paint by a tenth.
    # The app turns it on again.
    gc.disable()
    from lmcore.errors import LmError
    from tui.app import LmApp

    try:
        app = LmApp(root=root, run=run)
    except LmError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    app.run()
    return app.return_code or 0
