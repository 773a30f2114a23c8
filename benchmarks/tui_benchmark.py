"""How fast the screen is: `python benchmarks/tui_benchmark.py [--json]`.

First paint (from the start of a fresh interpreter in a real terminal), redraw of a chart of 10,000 and of 1,000,000
points, opening a directory of 500 runs with 5 million events (time and memory), and the processor time of an idle
screen. Each figure has its target.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import pty
import select
import shutil
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

START = "import sys; from tui import run_app; sys.exit(run_app())"
# Wall-clock time on a busy machine says little: the processor time to the same moment stands beside it.
TARGETS = {
    "first_paint_seconds": 0.6,
    "first_paint_cpu_seconds": 0.6,
    "redraw_10k_ms": 10.0,
    "redraw_1m_ms": 30.0,
    "append_and_redraw_1m_ms": 30.0,
    "open_500_runs_seconds": 2.0,
    "open_500_runs_cpu_seconds": 2.0,
    "open_500_runs_mb": 300.0,
    "idle_percent_of_a_core": 2.0,
    "key_to_response_ms": 50.0,
}


class Terminal:
    """`lm tui` in a pseudo-terminal of 160x50, as a person would start it."""

    def __init__(self, runs: Path, state: Path) -> None:
        environment = {
            **os.environ,
            "LM_RUNS": str(runs),
            "LM_STATE": str(state),
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
        }
        environment.pop("NO_COLOR", None)
        self.began = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            os.execve(sys.executable, [sys.executable, "-c", START], environment)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
        self.output = b""

    def read_until(self, text: bytes, seconds: float = 60.0) -> float:
        """Seconds since the start until `text` was painted."""
        while text not in self.output:
            if not self._read(self.began + seconds - time.perf_counter()):
                raise TimeoutError(f"{text!r} did not appear; the last output was {self.output[-300:]!r}")
        return time.perf_counter() - self.began

    def settle(self, seconds: float) -> None:
        """Read along for some seconds."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            self._read(end - time.perf_counter())

    def key(self, key: bytes) -> float:
        """Milliseconds from a key to the first byte of the answer."""
        self.settle(0.4)
        began = time.perf_counter()
        os.write(self.fd, key)
        self._read(5.0)
        return 1000 * (time.perf_counter() - began)

    def cpu_seconds(self) -> float:
        """Processor time used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        """Greatest resident memory so far."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024

    def close(self) -> None:
        """Leave by q."""
        os.write(self.fd, b"q")
        self.settle(1.0)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self.fd], [], [], max(seconds, 0.0))
        if ready:
            try:
                self.output = (self.output + os.read(self.fd, 1 << 16))[-(1 << 20) :]
            except OSError:
                return False
        return bool(ready)


def first_paint(work: Path, runs: Path, times: int = 5) -> tuple[float, float]:
    """Median wall-clock and processor seconds from a fresh interpreter to the painted border of the list; byte code is
    compiled already.
    """
    found = []
    for number in range(times + 1):
        terminal = Terminal(runs, work / f"state-{number}")
        found.append((terminal.read_until(b"Runs"), terminal.cpu_seconds()))
        terminal.close()
    return statistics.median(wall for wall, _ in found[1:]), statistics.median(cpu for _, cpu in found[1:])


def redraw(points: int, times: int = 20) -> tuple[float, float]:
    """Median milliseconds to draw train (raw and smoothed) and validation curves on 200x50 cells, and to append ten
    points and draw.
    """
    import numpy as np

    from tui.charts.decimate import Pyramid
    from tui.charts.plot import Mark, Plot, Series, draw
    from tui.charts.smoothing import Ema

    generator = np.random.default_rng(0)
    x = np.arange(points + 10 * times, dtype=np.float64)
    y = np.exp(4 + 6 * np.exp(-8 * x / points) + generator.normal(0, 0.1, len(x)))
    y[points // 3 : points // 3 + points // 100] = np.nan
    raw, smooth, average, val = Pyramid(), Pyramid(), Ema(0.9), Pyramid()
    raw.extend(y[:points])
    smooth.extend(average.push(y[:points]))
    steps = slice(points // 20, points, points // 20)
    val.extend(y[steps])
    marks = [Mark("best", x[points // 2], 60.0)]
    drawn, appended = [], []
    for number in range(times):
        end = points + 10 * number
        plot = Plot(
            [
                Series("raw", x[:end], raw, ghost=True),
                Series("train", x[:end], smooth, 0, "●"),
                Series("valid", x[steps], val, 0, "●", dashed=True, mark_points=True),
            ],
            marks,
            log_y=True,
            cursor=points / 4,
        )
        began = time.perf_counter()
        canvas = draw(plot, 200, 50).canvas
        lines = [canvas.runs(row) for row in range(50)]
        drawn.append(1000 * (time.perf_counter() - began))
        assert len(lines) == 50
        began = time.perf_counter()
        fresh = y[end : end + 10]
        raw.extend(fresh)
        smooth.extend(average.push(fresh))
        plot.series[0].x = plot.series[1].x = x[: end + 10]
        draw(plot, 200, 50)
        appended.append(1000 * (time.perf_counter() - began))
    return statistics.median(drawn), statistics.median(appended)


def make_runs(root: Path, runs: int, events: int) -> None:
    """Directories of finished runs, with so many events each."""
    from lmcore.config import Config
    from lmcore.runs import create_run

    start = {
        "kind": "start",
        "time": 1.7e9,
        "pid": 1 << 22,
        "pid_started": 1,
        "host": os.uname().nodename,
        "resumed_from": None,
        "total_steps": 10 * events,
    }
    lines = [json.dumps({**start, "parameters": {"total": 1_000_000, "learnable": 1_000_000}})]
    for number in range(1, events - 1):
        step = 10 * number
        event = {
            "kind": "train",
            "time": 1.7e9 + number,
            "step": step,
            "epoch": number / 1000,
            "tokens": 4096 * step,
            "seconds": float(number),
        }
        event |= {
            "loss": 4 + 5 / number,
            "epoch_loss": 4.5,
            "lr": 1e-3,
            "grad_norm": 0.8,
            "tokens_per_second": 41_000.0,
            "memory_bytes": 3_500_000_000,
        }
        if number % 500 == 0:
            event |= {"kind": "eval", "split": "val", "perplexity": 90.0, "best": True}
        lines.append(json.dumps(event))
    lines.append(
        json.dumps(
            {"kind": "finish", "time": 1.7e9 + events, "step": 10 * events, "why": "done", "message": "", "summary": {}}
        )
    )
    text = "\n".join(lines) + "\n"
    for number in range(runs):
        run = create_run(f"run-{number}", Config(), {"preset": "quick"}, root)
        run.events_path.write_text(text, encoding="utf-8")


def measure(work: Path, runs: int, events: int) -> dict[str, float]:
    """All figures."""
    small, large = work / "small", work / "large"
    make_runs(small, 3, 1000)
    make_runs(large, runs, events)
    figures: dict[str, float] = {}
    figures["first_paint_seconds"], figures["first_paint_cpu_seconds"] = first_paint(work, small)
    figures["redraw_10k_ms"], _ = redraw(10_000)
    figures["redraw_1m_ms"], figures["append_and_redraw_1m_ms"] = redraw(1_000_000)
    terminal = Terminal(large, work / "state-large")
    # Every run is counted in the top line, and the first one's curve is drawn.
    terminal.read_until(f"{runs} runs".encode())
    figures["open_500_runs_seconds"] = terminal.read_until("── train".encode())
    figures["open_500_runs_cpu_seconds"] = terminal.cpu_seconds()
    terminal.settle(3.0)
    figures["open_500_runs_mb"] = terminal.memory_mb()
    before, began = terminal.cpu_seconds(), time.perf_counter()
    terminal.settle(20.0)
    figures["idle_percent_of_a_core"] = 100 * (terminal.cpu_seconds() - before) / (time.perf_counter() - began)
    figures["key_to_response_ms"] = statistics.median(
        terminal.key(key) for key in (b"j", b"k", b"x", b"y", b"j", b"m", b"k", b"x", b"x")
    )
    terminal.close()
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--events", type=int, default=10_000, help="events in each run")
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="lm-tui-"))
    try:
        figures = measure(work, options.runs, options.events)
    finally:
        shutil.rmtree(work)
    if options.json:
        print(
            json.dumps(
                {"figures": figures, "targets": TARGETS, "python": sys.version.split()[0], "cores": os.cpu_count()}
            )
        )
        return
    for name, value in figures.items():
        print(f"{name:26} {value:10.2f}   target {TARGETS[name]:g}   {'ok' if value <= TARGETS[name] else 'MISSED'}")


if __name__ == "__main__":
    main()
