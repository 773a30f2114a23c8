"""Signals to a real training process: nothing is lost, and resuming gives the weights of an undisturbed run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lmcore.config import Config
from lmcore.runs import EventTail, Run, create_run
from lmcore.training import prepare, train
from lmcore.training.control import Interrupts
from tests.training.conftest import LSTM, Configure, Start

HOUSE = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
from pathlib import Path
from lmcore.runs import Run
from lmcore.training import prepare, train
run = Run(Path(sys.argv[1]))
summary = train(prepare(run.config()), run)
sys.exit(128 + summary["signal"] if summary["signal"] else 0)
"""


def long(configure: Configure) -> Config:
    settings = {
        **LSTM,
        "model.dropout": 0.2,
        "training.max_steps": 500,
        "training.eval_every": 100,
        "training.checkpoint_every": 50,
    }
    return configure({**settings, "training.log_every": 10})


def disturbed(run: Run, number: int, after_step: int, times: int = 1) -> int:
    """Train `run` in a process of its own and send it a signal once `after_step` steps are logged; its exit code."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(run.path)], cwd=HOUSE, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    try:
        tail, deadline = EventTail(run.events_path), time.monotonic() + 50
        while not any(event["kind"] == "train" and event["step"] >= after_step for event in tail.poll()):
            assert process.poll() is None, "it ended too early"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        for _ in range(times):
            process.send_signal(number)
        return process.wait(timeout=30)
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_disturbed_process_can_be_resumed_to_the_same_weights(
    number: int, configure: Configure, start: Start
) -> None:
    config = long(configure)
    run = create_run("disturbed", config, {})
    code = disturbed(run, number, after_step=120)
    if number == signal.SIGKILL:
        assert code == -signal.SIGKILL
        assert run.state() == "crashed"
    else:
        assert code == 128 + number
        assert run.state() == "stopped"
        assert run.history().checkpoints[-1]["reason"] == "interrupted"
        assert run.history().finish[-1]["why"] == "interrupted"
    assert run.history().train[-1]["step"] < 500
    train(prepare(config), run, resume=True)

    whole = start(config, "whole").run
    for file in ("model.safetensors", "trainer.safetensors"):
        one, other = load_file(run.checkpoint("last") / file), load_file(whole.checkpoint("last") / file)
        assert all(torch.equal(one[name], other[name]) for name in one | other)
    losses = [[(event["step"], event["loss"]) for event in one.history().train] for one in (run, whole)]
    assert losses[0] == losses[1]


@pytest.mark.slow
def test_a_second_signal_while_saving_changes_nothing(configure: Configure) -> None:
    run = create_run("twice", long(configure), {})
    assert disturbed(run, signal.SIGINT, after_step=60, times=2) == 130
    assert run.history().checkpoints[-1]["reason"] == "interrupted"


def test_the_third_signal_ends_at_once_and_handlers_are_restored() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupts.signal == signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_within_an_evaluation_leaves_it_to_the_resumed_run(configure: Configure, start: Start) -> None:
    config = configure(training__eval_every=5, eval__max_tokens=0)

    def report(event: dict[str, object]) -> None:
        if event["kind"] == "train" and event["step"] == 5:  # the evaluation of step 5 comes next
            os.kill(os.getpid(), signal.SIGTERM)

    half = start(config, "half", report=report)
    assert (half.summary["why"], half.summary["signal"], half.summary["steps"]) == ("interrupted", signal.SIGTERM, 5)
    assert half.events("eval") == []
    whole = start(config, "whole")
    resumed = start(config, "half", resume=True)
    assert [event["loss"] for event in resumed.events("eval")] == [event["loss"] for event in whole.events("eval")]
    assert resumed.summary["best_step"] == whole.summary["best_step"]
    assert resumed.run.checkpoint("best").name == whole.run.checkpoint("best").name


def test_an_interrupt_within_the_last_scoring_leaves_it_to_the_resumed_run(configure: Configure, start: Start) -> None:
    config = configure(eval__max_tokens=0)

    def report(event: dict[str, object]) -> None:
        if event["kind"] == "checkpoint" and event["reason"] == "final":
            os.kill(os.getpid(), signal.SIGINT)

    cut = start(config, "cut", report=report)
    assert (cut.summary["why"], cut.summary["signal"], cut.summary["steps"]) == ("interrupted", signal.SIGINT, 12)
    assert cut.summary["test_loss"] is None
    resumed = start(config, "cut", resume=True)
    assert (resumed.summary["why"], resumed.summary["steps"]) == ("done", 12)
    assert resumed.summary["test_loss"] is not None


def test_an_interrupt_between_the_final_scores_keeps_those_that_were_made(configure: Configure, start: Start) -> None:
    def report(event: dict[str, object]) -> None:
        if event["kind"] == "eval" and event["final"] and event["split"] == "val":
            os.kill(os.getpid(), signal.SIGINT)

    config = configure(eval__max_tokens=100)
    cut = start(config, "cut", report=report)
    final = [event for event in cut.events("eval") if event["final"]]
    assert [event["split"] for event in final] == ["val"]
    assert cut.summary["why"] == "interrupted"
    assert cut.summary["val_loss"] == final[0]["loss"]
    assert cut.summary["test_loss"] is None
