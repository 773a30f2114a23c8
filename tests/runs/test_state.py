"""A run's state is derived from its events and its process, here with real processes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from lmcore.config import Config
from lmcore.errors import UsageError
from lmcore.runs import Run, create_run, identity
from lmcore.runs import summary as summary_module
from lmcore.runs.process import is_alive, started

ROOT = Path(__file__).resolve().parents[2]
TRAINING = """
import sys, time
from pathlib import Path
from lmcore.runs import Run, identity
run = Run(Path(sys.argv[1]))
run.events.write("start", resumed_from=None, total_steps=100, **identity())
run.events.write("train", step=1, loss=2.0)
print("started", flush=True)
time.sleep(60)
"""


@pytest.fixture
def run() -> Run:
    return create_run("r", Config(), {"preset": "quick"})


@pytest.fixture
def training(run: Run) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", TRAINING, str(run.path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def append(run: Run, kind: str, **fields: Any) -> None:
    with run.events_path.open("a") as file:
        file.write(json.dumps({"kind": kind, "time": time.time(), **fields}) + "\n")


def test_created_then_running_then_crashed_when_killed(run: Run, training: subprocess.Popen[str]) -> None:
    assert create_run("other", Config(), {}).state() == "created"
    assert run.state() == "running"
    training.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    # Not waited for: until its parent asks, a killed process is a zombie, which is as dead.
    while run.state() == "running" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert run.state() == "crashed"
    assert not run.is_active()


def test_a_recycled_pid_is_not_taken_for_the_training(run: Run) -> None:
    mine = identity()
    append(run, "start", **(mine | {"pid_started": mine["pid_started"] - 60}))
    assert run.state() == "crashed"
    append(run, "start", **mine)
    assert run.state() == "running"


def test_paused_by_the_last_heartbeat_of_this_start(run: Run) -> None:
    append(run, "start", **identity())
    append(run, "heartbeat", paused=True)
    assert run.state() == "paused"
    append(run, "heartbeat", paused=False)
    assert run.state() == "running"
    append(run, "heartbeat", paused=True)
    append(run, "start", resumed_from=0, **identity())
    assert run.state() == "running"


@pytest.mark.parametrize(
    ("why", "state"),
    [
        ("done", "finished"),
        ("max_minutes", "finished"),
        ("early_stopping", "finished"),
        ("stopped", "stopped"),
        ("interrupted", "stopped"),
        ("diverged", "crashed"),
        ("error", "crashed"),
    ],
)
def test_what_the_finish_says_counts_until_the_next_start(run: Run, why: str, state: str) -> None:
    append(run, "start", **identity())
    append(run, "finish", why=why)
    assert run.state() == state
    append(run, "start", resumed_from=1, **identity())
    assert run.state() == "running"


def test_silent_for_a_minute_is_stale(run: Run) -> None:
    old = time.time() - 61
    append(run, "start", **identity() | {"time": old})
    assert run.state() == "stale"
    assert run.is_active(), "its process lives"
    append(run, "heartbeat", paused=False)
    assert run.state() == "running"


def test_another_host_cannot_be_asked_and_is_believed_for_a_minute(run: Run) -> None:
    far = {"host": "elsewhere.example", "pid": 1, "pid_started": 1}
    append(run, "start", **far)
    assert run.state() == "running"
    append(run, "start", **far | {"time": time.time() - 61})
    assert run.state() == "stale"
    assert not run.is_active()


def test_a_process_is_alive_by_pid_and_start_time() -> None:
    pid = os.getpid()
    assert is_alive(pid, started(pid))
    assert is_alive(pid, None)
    assert not is_alive(pid, 1)
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert started(child.pid) is None
    assert not is_alive(child.pid, None)
    assert not is_alive(child.pid, started(pid))


def test_a_start_time_is_in_unix_seconds_and_survives_a_small_change_of_the_clock() -> None:
    before = time.time()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        now = started(child.pid)
        assert now is not None
        assert before - 2 < now < time.time() + 2  # the boot, from which the system counts, is known to a second
        assert is_alive(child.pid, json.loads(json.dumps(now)))
        assert is_alive(child.pid, now + 0.5)
        assert is_alive(child.pid, now - 0.5)
        assert not is_alive(child.pid, now + 10)
        assert not is_alive(child.pid, now - 10)
    finally:
        child.communicate(b"\n")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="clock ticks were recorded where there is /proc")
def test_the_clock_ticks_of_earlier_versions_still_name_their_process() -> None:
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    assert is_alive(os.getpid(), ticks)
    assert not is_alive(os.getpid(), ticks + 10 * os.sysconf("SC_CLK_TCK"))
    assert not is_alive(os.getpid(), max(0, ticks - 10 * os.sysconf("SC_CLK_TCK")))
    assert not is_alive(2**22 + 1, ticks)


def test_a_process_that_may_not_be_asked_is_rather_alive_than_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: psutil.Process) -> float:
        raise psutil.AccessDenied(self.pid)

    monkeypatch.setattr(psutil.Process, "create_time", denied)
    assert started(os.getpid()) is None
    assert is_alive(os.getpid(), 1.0)


def test_requests_only_reach_a_training(run: Run, training: subprocess.Popen[str]) -> None:
    idle = create_run("idle", Config(), {})
    with pytest.raises(UsageError, match="not training"):
        idle.request("pause")
    assert not idle.control_path.exists()
    assert len(run.request("pause")) == 16
    with pytest.raises(UsageError, match="pause, resume, checkpoint, stop"):
        run.request("explode")


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("known_start", [True, False], ids=["start_at", "foreign"])
@pytest.mark.parametrize("bites", [None, (500, 1000)], ids=["as it is", "small bites"])
def test_the_end_of_a_long_file_tells_what_reading_all_of_it_tells(
    run: Run, seed: int, known_start: bool, bites: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events of up to three sessions, so long that the deciding ones lie anywhere before the tail, also across the
    edges of bites.
    """
    if bites is not None:
        monkeypatch.setattr(summary_module, "TAIL_BYTES", bites[0])
        monkeypatch.setattr(summary_module, "SEARCH_BYTES", bites[1])
    rng = random.Random(seed)
    step, clock, at = 0, time.time() - 5000, 0
    with run.events_path.open("w") as file:
        for session in range(rng.randint(1, 3)):
            resumed = None if session == 0 else rng.randint(step // 2, step)
            step, at = resumed or 0, file.tell()
            lines = [{"kind": "start", "resumed_from": resumed, "total_steps": 1000 + session, **identity()}]
            for _ in range(rng.randint(1, 900)):
                step += 1
                lines.append({"kind": "train", "step": step, "loss": rng.random(), "filler": "x" * 200})
                if rng.random() < 0.02:
                    lines.append(
                        {"kind": "eval", "step": step, "split": "val", "loss": rng.random(), "best": rng.random() < 0.2}
                    )
                if rng.random() < 0.01:
                    lines.append(
                        {"kind": "sample", "step": step, "text": 'says "kind": "start", "eval"' * rng.choice([1, 3000])}
                    )
                if rng.random() < 0.01:
                    lines.append(
                        {"kind": "heartbeat", "step": step, "paused": False} | ({"start_at": at} if known_start else {})
                    )
            for line in lines:
                clock += 1
                file.write(json.dumps({"time": clock, **line}) + "\n")
    seen, history = run.latest(), run.history()
    assert seen == history.latest
    assert seen.train == history.train[-1]
    assert seen.last_time == clock
    assert run.state() == "stale"
