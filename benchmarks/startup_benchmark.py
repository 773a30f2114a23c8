"""How long a command takes to answer: whole process, from start to exit.

    python benchmarks/startup_benchmark.py [--runs 500]

`lm runs` lists a folder with as many finished runs as asked for.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lmcore.config import Config
from lmcore.runs import create_run


def make_runs(root: Path, count: int) -> None:
    """Finished runs with a few events each."""
    for number in range(count):
        run = create_run(f"run{number}", Config(), {"argv": []}, root=root)
        run.events.write(
            "start",
            pid=os.getpid(),
            total_steps=100,
            parameters={"total": 1000, "learnable": 1000},
            architecture="transformer×4 adamw",
        )
        for step in range(10, 101, 10):
            run.events.write("train", step=step, epoch=step / 100, tokens=step * 768, seconds=step / 10, loss=4.0)
        run.events.write("finish", step=100, why="done", message="", summary={})


def seconds(command: list[str], environment: dict[str, str], repeats: int) -> list[float]:
    """Wall-clock time of each process, after one that is not counted."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return times[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15, help="process starts per command")
    parser.add_argument("--runs", type=int, default=20, help="runs in the folder that `lm runs` lists")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    lm = [str(Path(sys.executable).with_name("lm"))]
    if not Path(lm[0]).exists():
        lm = [sys.executable, "-c", "from cli import main; main()"]
    with tempfile.TemporaryDirectory() as folder:
        make_runs(Path(folder), arguments.runs)
        environment = os.environ | {"LM_RUNS": folder}
        for command in (["--help"], ["runs"], ["runs", "list", "--json"], ["presets", "list"]):
            times = seconds([*lm, *command], environment, arguments.repeats)
            row = "lm " + " ".join(command)
            if arguments.json:
                print(
                    json.dumps({"row": row, "median_seconds": statistics.median(times), "seconds": times}), flush=True
                )
            else:
                print(f"{row:<24} median {statistics.median(times):.3f} s   worst {max(times):.3f} s", flush=True)


if __name__ == "__main__":
    main()
