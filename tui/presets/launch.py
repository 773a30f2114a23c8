"""Starting `lm train` so that it outlives the screen."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from lmcore.runs.run import is_run
from tui.child_process import environment, python_module
from tui.settings import state_dir

TAIL_LINES = 4


def command(preset: str, name: str, assignments: list[str]) -> list[str]:
    """The command line that trains `preset` with these changes as run `name`."""
    changes = [part for assignment in assignments for part in ("--set", assignment)]
    return python_module("cli", "train", "--preset", preset, "--run", name, *changes)


def start_training(preset: str, name: str, assignments: list[str], root: Path) -> tuple[subprocess.Popen[bytes], Path]:
    """Start it in a session of its own, so that neither the terminal nor the screen can end it; the process, and the
    file it prints to.

    Raises:
        OSError: the log cannot be written.
    """
    log = state_dir() / "started" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        process = subprocess.Popen(
            command(preset, name, assignments),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=environment(LM_RUNS=str(root.resolve())),
            start_new_session=True,
        )
    # Waited for in the background, so that it leaves no zombie while the screen is open.
    threading.Thread(target=process.wait, daemon=True).start()
    return process, log


def wait_for_run(
    process: subprocess.Popen[bytes],
    log: Path,
    folder: Path,
    given_up: Callable[[], bool],
    *,
    poll_seconds: float = 0.1,
) -> str:
    """Wait until the run's folder exists, or the process has ended without one; what it printed then, else nothing."""
    while not is_run(folder) and not given_up():
        if process.poll() is not None and not is_run(folder):
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-TAIL_LINES:]
            return "\n".join(said) or f"The run exited immediately with code {process.returncode}."
        time.sleep(poll_seconds)
    return ""
