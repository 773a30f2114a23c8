"""A run that was stopped and resumed is the run that was never stopped: same losses, same weights, bit for bit."""

from __future__ import annotations

import itertools
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lmcore.config import Config, parse_assignments
from lmcore.errors import LmError, UsageError
from lmcore.runs import Run, create_run, find_run, runs_root
from lmcore.training import prepare, train
from tests.training.conftest import LSTM, Configure, Start, Trained

AWD = {
    **LSTM,
    "model.dropout": 0.2,
    "model.weight_drop": 0.3,
    "model.locked_dropout": True,
    "training.temporal_reg": 1.0,
}
CASES: dict[str, dict[str, Any]] = {
    "lstm with carried state and dropout": {**AWD, "optimizer.grad_clip": 0.5},
    "lstm across epochs, accumulating": {
        **LSTM,
        "model.dropout": 0.2,
        "training.batch_size": 64,
        "training.accumulate": 3,
    },
    "transformer windows, accumulating": {
        "model.dropout": 0.2,
        "training.accumulate": 2,
        "schedule.name": "cosine",
        "schedule.warmup_steps": 4,
    },
    "random offsets across epochs": {"data.random_offset": True, "training.batch_size": 128},
    "ema": {"training.average": "ema", "training.ema_decay": 0.9, "model.dropout": 0.1},
    "averaging triggered": {
        "training.average": "asgd",
        "training.asgd_patience": 1,
        "optimizer.lr": 2.0,
        "optimizer.name": "sgd",
        "training.eval_every": 1,
    },
    "muon": {"optimizer.name": "muon", "optimizer.weight_decay": 0.1},
    "momentum on plateau": {
        "optimizer.name": "momentum",
        "schedule.name": "plateau",
        "schedule.plateau_patience": 1,
        "training.eval_every": 2,
    },
    "gradual unfreezing": {"training.unfreeze_every": 3},
    "bfloat16": {"training.precision": "bf16"},
    "float16 with loss scaling": {"training.precision": "fp16"},
    "logs in between": {"training.log_every": 5},
}


def stopped(configure: Configure, settings: dict[str, Any], at: int, name: str) -> Trained:
    """Train to step `at` with the schedule of the whole run, and stop there on request."""
    run: list[Run] = []

    def report(event: dict[str, Any]) -> None:
        if event["kind"] == "checkpoint" and event["step"] == at:
            run[0].request("stop")

    config = configure({**settings, "training.checkpoint_every": at})
    run.append(create_run(name, config, {}))
    return Trained(run[0], train(prepare(config), run[0], report=report))


def weights(run: Run, file: str = "model.safetensors") -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = load_file(run.checkpoint("last") / file)
    return tensors


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("case", CASES)
def test_a_resumed_run_is_the_same_run(case: str, configure: Configure, start: Start) -> None:
    config = configure({**CASES[case], "training.checkpoint_every": 7})
    whole = start(config, "whole")
    half = stopped(configure, CASES[case], 7, "parts")
    assert (half.summary["why"], half.summary["steps"]) == ("stopped", 7)
    parts = start(config, "parts", resume=True)

    assert parts.summary["why"] == "done"
    assert parts.losses() == whole.losses()
    assert len(parts.losses()) > 1
    assert equal(weights(parts.run), weights(whole.run))
    assert equal(weights(parts.run, "trainer.safetensors"), weights(whole.run, "trainer.safetensors"))
    for key in ("steps", "tokens", "train_loss", "val_loss", "test_loss", "best_step"):
        assert parts.summary[key] == whole.summary[key], key
    averaging = any(name.startswith("average:trained/") for name in weights(whole.run, "trainer.safetensors"))
    assert averaging == ("training.average" in CASES[case])
    evaluations = [
        [(event["step"], event["split"], event["loss"]) for event in trained.events("eval")]
        for trained in (parts, whole)
    ]
    assert evaluations[0] == evaluations[1]


def test_averaged_weights_are_saved_as_the_model_and_the_trained_ones_beside(
    configure: Configure, start: Start
) -> None:
    averaged = start(configure(training__average="ema", training__ema_decay=0.9), "ema")
    plain = start(configure(), "plain")
    beside = {
        name.removeprefix("average:trained/"): tensor
        for name, tensor in weights(averaged.run, "trainer.safetensors").items()
        if "average:trained/" in name
    }
    assert equal(beside, {name: tensor for name, tensor in weights(plain.run).items() if name in beside})
    assert not equal(weights(averaged.run), weights(plain.run))


def test_a_run_stopped_before_its_first_checkpoint_begins_again(configure: Configure, start: Start) -> None:
    config = configure(training__max_steps=2, training__eval_every=0)
    run = create_run("early", config, {})
    again = start(config, "early", resume=True)
    assert again.events("start")[0]["resumed_from"] == 0
    assert again.summary["steps"] == 2
    assert run.checkpoint("best") == run.checkpoint("last")


def test_more_steps_can_be_asked_for(configure: Configure, start: Start) -> None:
    start(configure(training__max_steps=5), "more")
    longer = start(configure(training__max_steps=8), "more", resume=True)
    assert longer.summary["steps"] == 8
    assert [event["step"] for event in longer.events("train")] == list(range(1, 9))
    assert longer.run.config().training.max_steps == 8


def test_another_model_or_text_is_refused(configure: Configure, start: Start, text: Path) -> None:
    start(configure(), "fixed")
    with pytest.raises(UsageError, match=r"model\.n_embd, training\.batch_size"):
        start(configure(model__n_embd=32, training__batch_size=8), "fixed", resume=True)
    text.write_text(text.read_text()[:4000])
    with pytest.raises(LmError, match="not the one"):
        start(configure(training__max_steps=20), "fixed", resume=True)


def test_a_damaged_checkpoint_is_refused_and_an_intact_one_named(configure: Configure, start: Start) -> None:
    trained = start(configure(training__checkpoint_every=5), "damaged")
    last = trained.run.checkpoint("last")
    (last / "trainer.safetensors").write_bytes(b"\0" * 10)
    with pytest.raises(LmError, match=r"trainer\.safetensors") as error:
        start(configure(training__max_steps=20), "damaged", resume=True)
    assert "is intact" in error.value.hint


RECORDED = Path(__file__).parent / "recorded" / "run-of-0.1.0"
# Of a run with the same settings that was never stopped: (step, mean loss of two steps), as version 0.1.0 wrote it.
RECORDED_LOSSES = [(10, 2.99483323097229), (12, 2.9954137802124023)]


def test_a_checkpoint_of_an_older_version_goes_on_as_it_would_have(text: Path, start: Start) -> None:
    folder = runs_root() / "old"
    shutil.copytree(RECORDED, folder)
    config = folder / "config.toml"
    config.write_text(config.read_text().replace('corpus = "text.txt"', f'corpus = "{text}"'))
    longer = find_run("old").config().with_settings({"training.max_steps": 12})
    resumed = start(longer, "old", resume=True)
    losses = {event["step"]: event["loss"] for event in resumed.events("train")}
    for step, loss in RECORDED_LOSSES:
        assert losses[step] == pytest.approx(loss, abs=1e-6)
    assert resumed.summary["val_loss"] == pytest.approx(2.9940024389320588, abs=1e-6)


@pytest.mark.parametrize(
    ("schedule", "old", "new", "floor"),
    [("wsd", 10, 20, True), ("cosine", 10, 20, True), ("linear", 10, 20, False), ("one_cycle", 10, 20, True)],
)
def test_a_longer_run_whose_learning_rate_rises_again_says_so_and_how_to_keep_it_low(
    schedule: str, old: int, new: int, floor: bool, configure: Configure, start: Start
) -> None:
    settings = {"schedule.name": schedule, "schedule.min_lr_ratio": 0.0 if floor else 0.05}
    start(configure({**settings, "training.max_steps": old}), "warm")
    longer = start(configure({**settings, "training.max_steps": new}), "warm", resume=True)
    (message,) = [event["message"] for event in longer.events("warning") if event["what"] == "config"]
    assert f"ends at step {new} instead of {old}" in message
    after = [event["lr"] for event in longer.events("train") if event["step"] > old]
    assert max(after) > 2e-4

    # The command that it offers does what it says.
    command = shlex.split(message.partition("`")[2].partition("`")[0])
    assert command[:4] == ["lm", "train", "--resume", "warm"]
    start(configure({**settings, "training.max_steps": old}), "low")
    low = start(run_config("low", command), "low", resume=True)
    after = [event["lr"] for event in low.events("train") if event["step"] > old]
    assert len(after) == new - old
    assert 0 < max(after) <= 1.01e-4
    assert not [event for event in low.events("warning") if event["what"] == "config"]


def run_config(name: str, command: list[str]) -> Config:
    """The settings of a run, changed as the `--set` options of a command say."""
    assignments = [word for option, word in itertools.pairwise(command) if option == "--set"]
    return find_run(name).config().with_settings(dict(parse_assignments(assignments)))


@pytest.mark.parametrize(
    "settings", [{"schedule.name": "constant"}, {"schedule.name": "cosine", "schedule.decay_steps": 8}]
)
def test_a_rate_that_does_not_depend_on_the_length_is_no_reason_for_a_warning(
    settings: dict[str, Any], configure: Configure, start: Start
) -> None:
    start(configure({**settings, "training.max_steps": 8}), "same")
    longer = start(configure({**settings, "training.max_steps": 12}), "same", resume=True)
    assert not longer.events("warning")


def test_a_schedule_still_at_its_peak_is_no_reason_for_a_warning(configure: Configure, start: Start) -> None:
    settings = {"schedule.name": "wsd", "training.max_steps": 20}
    stopped(configure, settings, 4, "peak")
    longer = start(configure({**settings, "training.max_steps": 30}), "peak", resume=True)
    assert not longer.events("warning")
