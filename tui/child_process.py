"""Python processes that the screens start: they run this installation, whatever lies in the user's folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[1]
"""The folder that holds `cli.py`, `lmcore` and `tui`."""


def python_module(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module of ours. With `-P`, a `cli.py` or `torch.py` in the current folder, where a
    user keeps texts and scripts, does not take the place of the real one.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def environment(**changes: str) -> dict[str, str]:
    """This process's environment with changes, and with our folder first on Python's path."""
    places = [str(HOUSE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, **changes, "PYTHONPATH": os.pathsep.join(places)}
