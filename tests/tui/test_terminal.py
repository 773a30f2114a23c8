"""The whole program in a real terminal: start from Presets, watch, pause, generate, kill the screen, find the run
alive, stop it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmcore.runs import Run

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not here")]
ROOT = Path(__file__).resolve().parents[2]
CODE = "import sys; from tui import run_app; sys.exit(run_app())"


class Tmux:
    """A tmux server of its own with one pane of 160x50, in which the screen runs."""

    def __init__(self, folder: Path) -> None:
        self._socket = str(folder / "socket")
        self._folder = folder

    def open(self) -> None:
        """Start the screen."""
        places = {
            "LM_RUNS": self._folder / "runs",
            "LM_STATE": self._folder / "state",
            "LM_CACHE": self._folder / "cache",
            "OMP_NUM_THREADS": 1,
        }
        # A shell would outlive the screen; exec makes the pane's process the screen itself.
        command = [
            "env",
            *(f"{name}={value}" for name, value in places.items()),
            "LC_ALL=C.UTF-8",
            sys.executable,
            "-c",
            CODE,
        ]
        self._tmux("-f", "/dev/null", "new-session", "-d", "-s", "lm", "-x", "160", "-y", "50", *command)

    def pid(self) -> int:
        """The screen's process."""
        return int(self._tmux("list-panes", "-t", "lm", "-F", "#{pane_pid}"))

    def press(self, *keys: str) -> None:
        """Press keys, by tmux's names."""
        self._tmux("send-keys", "-t", "lm", *keys)

    def text(self) -> str:
        """What is on the screen."""
        return self._tmux("capture-pane", "-p", "-t", "lm")

    def wait_for(self, *texts: str, seconds: float = 60.0) -> str:
        """Wait until one of the texts is on the screen; all of it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            shown = self.text()
            if any(text in shown for text in texts):
                return shown
            time.sleep(0.1)
        pytest.fail(f"none of {texts} appeared on\n{self.text()}")

    def close(self) -> None:
        """End the server, if it is still there."""
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], capture_output=True, check=False, timeout=20)

    def _tmux(self, *arguments: str) -> str:
        # The environment is given in so many words: readline, once imported, hides COLUMNS and LINES of its own in the
        # inherited one.
        done = subprocess.run(
            ["tmux", "-S", self._socket, *arguments],
            cwd=ROOT,
            env=dict(os.environ),
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
        return done.stdout


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[Tmux]:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "tui.json").write_text(json.dumps({"preset": "quick", "mode": "presets"}))
    tmux = Tmux(tmp_path)
    tmux.open()
    yield tmux
    tmux.close()
    run = Run(tmp_path / "runs" / "quick-1")
    start = run.latest().start
    if start and run.is_active():
        os.kill(start["pid"], signal.SIGKILL)


def steps(run: Run) -> int:
    return int(run.summary()["step"] or 0)


def wait_until_beyond(run: Run, step: int, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while steps(run) <= step:
        assert time.monotonic() < end, f"the training stays at step {steps(run)}"
        time.sleep(0.1)


def test_a_run_is_started_watched_controlled_generated_with_and_outlives_the_screen(
    screen: Tmux, tmp_path: Path
) -> None:
    run = Run(tmp_path / "runs" / "quick-1")
    screen.wait_for("quick")
    screen.press("s")
    screen.wait_for("Name of the run")
    screen.press("Enter")
    screen.wait_for("▶", seconds=90)
    wait_until_beyond(run, 0)
    shown = screen.wait_for("train")
    assert "quick-1" in shown
    wait_until_beyond(run, steps(run) + 20)
    assert any(0x2800 < ord(c) < 0x2900 for c in screen.text())

    screen.press("c")
    screen.wait_for("checkpoint: done")
    screen.press("p")
    screen.wait_for("‖")
    assert run.state() == "paused"
    screen.press("g")
    screen.wait_for("Prompt")
    screen.press("The statement", "Enter")
    screen.wait_for("tok/s", "tokens/s", seconds=90)
    for key in ("Escape", "Escape", "1"):
        # One at a time: an escape together with the next key is another key to a terminal.
        screen.press(key)
        time.sleep(0.5)
    screen.wait_for("▸ Watch")
    screen.press("u")
    screen.wait_for("▶")

    os.kill(screen.pid(), signal.SIGKILL)
    time.sleep(0.5)
    assert run.is_active()
    wait_until_beyond(run, steps(run))

    screen.open()
    screen.wait_for("▶")
    screen.press("1")
    screen.wait_for("quick-1")
    screen.press("s")
    screen.wait_for("■ stopped")
    assert run.state() == "stopped"
    assert run.checkpoint("last").is_dir()
