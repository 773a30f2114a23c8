"""Training speed while the screen is open: `python benchmarks/tui_attached_benchmark.py [--json]`.

One run (4 layers, 128 wide, both cores) trains while the screen is opened on it and closed in turn; its tokens per
second with the screen, as a percentage of the mean of those just before and just after. Target: 98 %.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.tui_benchmark import ROOT, Terminal

TARGET_PERCENT = 98.0
OPENING_SECONDS = 4.0  # the screen's own start is not what is measured


def start_training(runs: Path, text: Path) -> subprocess.Popen[bytes]:
    """A run that does nothing but training steps."""
    settings = ["training.eval_every=1000000", "training.log_every=5", "generation.prompts=[]"]
    command = [
        sys.executable,
        "-m",
        "cli",
        "train",
        "--preset",
        "char-shakespeare",
        "--data",
        str(text),
        "--run",
        "plays",
        "--max-steps",
        "1000000",
    ]
    for setting in settings:
        command += ["--set", setting]
    environment = {**os.environ, "LM_RUNS": str(runs)}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def tokens_per_second(events: Path, began: float, ended: float) -> float:
    """Of the steps between two moments of the wall clock."""
    reports = [event for line in events.read_text().splitlines() if (event := json.loads(line))["kind"] == "train"]
    inside = [event for event in reports if began <= event["time"] <= ended]
    first, last = inside[0], inside[-1]
    return float((last["tokens"] - first["tokens"]) / (last["time"] - first["time"]))


def measure(work: Path, pairs: int, seconds: float) -> list[float]:
    """For each time the screen was open: percent of the speed around it."""
    text = work / "text.txt"
    text.write_text("the cat sat on the mat, and the dog ran after it.\n" * 20_000)
    events = work / "runs" / "plays" / "events.jsonl"
    training = start_training(work / "runs", text)
    windows = []
    try:
        while not events.exists() or '"kind": "train"' not in events.read_text():
            time.sleep(0.2)
        time.sleep(5)
        for number in range(2 * pairs + 1):
            terminal = Terminal(work / "runs", work / f"state-{number}") if number % 2 else None
            if terminal is None:
                time.sleep(OPENING_SECONDS)
            else:
                terminal.settle(OPENING_SECONDS)
            began = time.time()
            if terminal is None:
                time.sleep(seconds)
            else:
                terminal.settle(seconds)
            windows.append((began, time.time()))
            if terminal is not None:
                terminal.close()
    finally:
        training.send_signal(signal.SIGTERM)
        training.wait()
    speeds = [tokens_per_second(events, began, ended) for began, ended in windows]
    return [100 * speeds[i] / statistics.mean((speeds[i - 1], speeds[i + 1])) for i in range(1, len(speeds), 2)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=4, help="how often the screen is opened")
    parser.add_argument("--seconds", type=float, default=15.0, help="how long it stays open")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        found = measure(Path(work), arguments.pairs, arguments.seconds)
    median = statistics.median(found)
    if arguments.json:
        print(json.dumps({"attached_percent": found, "median": median, "target": TARGET_PERCENT}))
    else:
        each = ", ".join(f"{percent:.1f}" for percent in found)
        print(f"tokens/s with the screen attached: {median:.1f}% of those without it")
        print(f"each: {each}; target: {TARGET_PERCENT:g}%")


if __name__ == "__main__":
    main()
