"""The benchmark scripts run, and what they print is what was timed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

HOUSE = Path(__file__).resolve().parents[2]


def run(script: str, *arguments: str) -> list[dict[str, Any]]:
    environment = os.environ | {"PYTHONPATH": str(HOUSE), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HOUSE / "benchmarks" / script), *arguments, "--json"]
    output = subprocess.run(command, cwd=HOUSE, env=environment, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in output.splitlines()]


def test_pairs_are_timed_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.pairs import compare

    order: list[str] = []
    clock = iter(range(1000))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))

    def peer() -> None:
        order.append("peer")
        next(clock)

    comparison = compare("row", 10, lambda: order.append("ours"), peer, pairs=2, warmup=1)
    assert order == ["peer", "ours", "ours", "peer", "peer", "ours"]
    assert (comparison.ours, comparison.peer, comparison.ratio) == ([1.0, 1.0], [2.0, 2.0], 2.0)
    assert comparison.figures()["tokens_per_second"] == {"ours": 10.0, "peer": 5.0}


@pytest.mark.slow
def test_steps_of_a_transformer_and_of_an_lstm() -> None:
    rows = run("step_benchmark.py", "4x128", "2x200", "--pairs", "1", "--threads", "1")
    assert [row["row"] for row in rows] == ["4x128", "2x200"]
    for row in rows:
        (seconds,) = row["ours"]
        assert seconds > 0
        assert row["ratio"] is None


@pytest.mark.slow
def test_encoding() -> None:
    (row,) = run("encode_benchmark.py", "--megabytes", "1", "--tokenizer", "char")
    assert row["tokens"] >= 900_000


@pytest.mark.slow
def test_start_up() -> None:
    rows = run("startup_benchmark.py", "--repeats", "1", "--runs", "2")
    assert [row["row"] for row in rows][:2] == ["lm --help", "lm runs"]
