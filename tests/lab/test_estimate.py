"""Memory and time of a config: closed forms, and the speeds of runs that were here before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lmcore.config import Config
from lmcore.lab.estimate import UNKNOWN, Evidence, activation_values, estimate_memory, estimate_time, machine_for
from lmcore.lab.evidence import gather
from lmcore.runs import Run, identity
from lmcore.telemetry import Cpu, Gpu, GpuReport
from tests.tui.recorded import finish, record, start, train

GIB = 2**30

TRANSFORMER = {
    "model.n_layer": 2,
    "model.n_embd": 64,
    "model.block_size": 32,
    "training.batch_size": 4,
    "training.precision": "fp32",
}


def test_memory_in_closed_form() -> None:
    config = Config().with_settings({**TRANSFORMER, "optimizer.name": "adamw"})
    memory = estimate_memory(config, 1000, 800, gpu=False, vocab_size=10)
    assert (memory.weights, memory.gradients, memory.optimizer) == (4000, 3200, 6400)
    # Two blocks of 17 E and 2 E around them, for 4 x 32 tokens in float32; twice the logits of 10 words.
    assert memory.activations == 128 * 4 * (2 * 17 * 64 + 2 * 64) + 2 * 128 * 4 * 10
    assert memory.total == sum((memory.weights, memory.gradients, memory.optimizer, memory.activations, memory.runtime))


@pytest.mark.parametrize(
    ("settings", "part", "factor"),
    [
        ({"optimizer.name": "sgd"}, "optimizer", 0.0),
        ({"optimizer.name": "momentum"}, "optimizer", 0.5),
        ({"training.average": "ema"}, "weights", 2.0),
        ({"training.batch_size": 8}, "activations", 2.0),
        ({"training.precision": "bf16"}, "activations", 0.5),
    ],
)
def test_memory_follows_the_settings(settings: dict[str, Any], part: str, factor: float) -> None:
    config = Config().with_settings(TRANSFORMER)
    before = estimate_memory(config, 1000, 1000, gpu=False, vocab_size=0)
    after = estimate_memory(config.with_settings(settings), 1000, 1000, gpu=False, vocab_size=0)
    assert getattr(after, part) == factor * getattr(before, part)


def test_which_memory_a_device_means() -> None:
    cards, cpu = (
        GpuReport((Gpu(0, memory_total_bytes=8 * GIB), Gpu(1, memory_total_bytes=24 * GIB))),
        Cpu(None, (), 1 * GIB, 16 * GIB),
    )
    totals = {device: machine_for(device, cards, cpu).total for device in ("auto", "cuda", "cuda:1", "cpu")}
    assert totals == {"auto": 8 * GIB, "cuda": 8 * GIB, "cuda:1": 24 * GIB, "cpu": 16 * GIB}
    assert machine_for("auto", GpuReport(), cpu).total == 16 * GIB


def evidence(config: Config, **changes: Any) -> Evidence:
    usual = {
        "name": "exp12-1",
        "tokens_per_second": 1000.0,
        "tokens_per_epoch": 50_000.0,
        "parameters": 10,
        "when": 1.0,
    }
    return Evidence(config=config.to_dict(), **{**usual, **changes})


def test_time_is_known_from_a_run_of_the_same_model() -> None:
    config = Config().with_settings({"training.epochs": 2})
    assert estimate_time(config, 10, [evidence(config)]).seconds == 2 * 50_000 / 1000
    assert "exp12-1" in estimate_time(config, 10, [evidence(config)]).why
    newer = evidence(config, tokens_per_second=2000.0, when=2.0)
    assert estimate_time(config, 10, [evidence(config), newer]).seconds == 50.0


def test_time_is_scaled_to_a_model_of_another_size_but_not_far() -> None:
    config = Config().with_settings({"training.max_steps": 100, "training.batch_size": 10, "model.block_size": 100})
    other = evidence(config.with_settings({"model.n_layer": 1}))
    assert estimate_time(config, 20, [other]).seconds == pytest.approx(2 * 100_000 / 1000)
    assert "scaled" in estimate_time(config, 20, [other]).why
    assert estimate_time(config, 1000, [other]) == UNKNOWN
    assert estimate_time(config, None, [other]) == UNKNOWN


def test_time_is_not_guessed() -> None:
    config = Config().with_settings({"training.epochs": 2})
    assert estimate_time(config, 10, []) == UNKNOWN
    assert estimate_time(config, 10, [evidence(config.with_settings({"training.device": "cuda"}))]) == UNKNOWN
    # Epochs of another text have another length.
    assert estimate_time(config.with_settings({"data.corpus": "other"}), 10, [evidence(config)]) == UNKNOWN
    limited = config.with_settings({"training.max_minutes": 3})
    assert estimate_time(limited, 10, []).seconds == 180


def test_only_runs_of_this_machine_are_evidence(tmp_path: Path) -> None:
    here = {**identity(), "pid": 1}
    record(tmp_path, "here", [start(**here), train(10), finish(10)])
    record(tmp_path, "elsewhere", [start(host="another"), train(10), finish(10)])
    record(tmp_path, "short", [start(**here)])
    found = gather([Run(tmp_path / name) for name in ("here", "elsewhere", "short")])
    assert [(one.name, one.tokens_per_second, one.tokens_per_epoch) for one in found] == [("here", 5120.0, 51_200)]


@pytest.mark.parametrize(
    ("settings", "per_layer"),
    [
        ({"model.architecture": "rnn"}, 3 * 100 + 64),
        ({"model.architecture": "gru"}, 5 * 100 + 64),
        ({"model.architecture": "lstm"}, 6 * 100 + 64),
        ({"model.architecture": "transformer"}, 9 * 64 + 2 * 256),
        ({"model.n_inner": 100}, 9 * 64 + 2 * 100),
        ({"model.activation": "swiglu"}, 9 * 64 + 3 * 176),
        ({"model.attention": "euclidean"}, 9 * 64 + 2 * 256 + 3 * 4 * 64),
    ],
)
def test_activations_of_each_architecture(settings: dict[str, Any], per_layer: int) -> None:
    wide = {"model.n_embd": 64, "model.n_hidden": 100, "model.tied": False, "model.n_layer": 3}
    assert activation_values(Config().with_settings({**wide, **settings}).model) == 3 * per_layer + 2 * 64
