"""Heartbeats, running means, time, memory, utilization and forecasts."""

from __future__ import annotations

import math
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lmcore.config import Config, ModelConfig
from lmcore.errors import LmError
from lmcore.models import build_model
from lmcore.runs import create_run
from lmcore.training.device import wait_for
from lmcore.training.health import new_warnings
from lmcore.training.journal import Journal
from lmcore.training.memory import memory_bytes, peak_memory_bytes
from lmcore.training.meter import LossMeter, Stopwatch
from lmcore.training.mfu import peak_flops, utilization
from tests.training.conftest import Configure, Start

CPU = torch.device("cpu")


def test_the_heart_beats_while_the_training_is_busy_and_stops_after_it(configure: Configure) -> None:
    run = create_run("beating", configure(), {})
    events: list[dict[str, Any]] = []
    with Journal(run, events.append, CPU, seconds=0.02) as journal:
        journal.step, journal.paused = 7, True
        time.sleep(0.3)
    count = len(events)
    assert count >= 3
    assert {(event["kind"], event["step"], event["paused"]) for event in events} == {("heartbeat", 7, True)}
    assert events[-1]["memory_bytes"] > 10**7
    time.sleep(0.1)
    assert len(events) == count
    assert not any(thread.name == "heartbeat" for thread in threading.enumerate())


def test_a_heart_that_cannot_write_ends_without_a_word(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    run = create_run("full", configure(), {})

    def write(kind: str, **fields: Any) -> dict[str, Any]:
        raise LmError("The disk is full.")

    monkeypatch.setattr(run.events, "write", write)
    with Journal(run, None, CPU, seconds=0.01) as journal:
        time.sleep(0.1)
        with pytest.raises(LmError):
            journal.write("train", step=1)


def test_words_of_the_prompts_that_the_vocabulary_lacks_are_named(configure: Configure, start: Start) -> None:
    prompts = ("the cat", "Xylophon the")
    settings = {"tokenizer.kind": "word", "tokenizer.min_frequency": 2, "generation.prompts": prompts}
    trained = start(configure({**settings, "training.max_steps": 1}))
    said = [event["message"] for event in trained.events("warning") if event["what"] == "data"]
    (sentence,) = [message for message in said if "Prompts are continued with <unk>" in message]
    assert "'Xylophon'" in sentence
    assert "'the'" not in sentence


def test_losses_are_averaged_by_tokens_and_bad_steps_left_out() -> None:
    meter = LossMeter(CPU)
    good, bad = torch.tensor(True), torch.tensor(False)
    meter.add(torch.tensor(2.0), 10, good)
    meter.add(torch.tensor(math.nan), 10, bad)
    meter.add(torch.tensor(5.0), 20, good)
    assert (meter.read(), meter.epoch_loss) == (4.0, 4.0)
    meter.add(torch.tensor(1.0), 30, good)
    assert (meter.read(), meter.epoch_loss) == (1.0, 2.5)
    assert math.isnan(meter.read())
    assert meter.epoch_loss == 2.5
    meter.new_epoch()
    meter.add(torch.tensor(3.0), 1, good)
    assert (meter.read(), meter.epoch_loss) == (3.0, 3.0)


def test_the_stopwatch_leaves_out_pauses_and_tells_steps_from_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("lmcore.training.meter.time.monotonic", lambda: now[0])
    watch = Stopwatch(wait=lambda: None)
    watch.load_state_dict({"seconds": 50.0, "stepping": 40.0, "lap": [800, 38.0]})
    watch.start_stepping()
    now[0] += 10
    watch.start_stepping()
    now[0] += 3
    watch.leave_out(3.0)
    watch.stop_stepping()
    now[0] += 5
    assert (watch.seconds, watch.stepping) == (65.0, 50.0)
    assert watch.tokens_per_second(2000) == 100.0
    assert math.isnan(watch.tokens_per_second(2000))


def test_the_clock_of_the_steps_stops_only_when_the_device_has_done_them(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("lmcore.training.meter.time.monotonic", lambda: now[0])

    def wait() -> None:
        now[0] += 2  # the device still works on steps that were handed to it

    watch = Stopwatch(wait)
    watch.start_stepping()
    now[0] += 1
    watch.stop_stepping()
    watch.stop_stepping()
    assert (watch.stepping, now[0]) == (3.0, 3.0)


@pytest.mark.parametrize(("name", "waited"), [("cpu", []), ("cuda:1", [1])])
def test_waiting_means_that_very_device(name: str, waited: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(torch, "get_device_module", lambda device: SimpleNamespace(synchronize=calls.append))
    wait_for(torch.device(name))
    assert calls == waited


def test_memory_is_that_of_this_process() -> None:
    held = memory_bytes(CPU)
    assert held is not None
    assert 10**7 < held <= peak_memory_bytes(CPU) * 1.1


def test_memory_on_a_gpu_is_that_of_the_gpu_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    reserved = {torch.device("cuda:0"): 111, torch.device("cuda:1"): 222}
    monkeypatch.setattr(torch.cuda, "memory_reserved", reserved.get)
    assert memory_bytes(torch.device("cuda:1")) == 222


def test_flops_are_six_for_each_weight_of_a_product_and_token() -> None:
    config = ModelConfig(n_layer=2, n_embd=8, n_head=2, block_size=4)
    blocks = 2 * (4 * 8 * 8 + 2 * 8 * 32)
    assert build_model(config, 10, seed=0).flops_per_token() == 6 * (blocks + 10 * 8) + 12 * 2 * 8 * 4
    untied = config.model_copy(update={"tied": False})
    assert build_model(untied, 10, seed=0).flops_per_token() == 6 * (blocks + 10 * 8) + 12 * 2 * 8 * 4


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("Tesla V100-SXM2-16GB", 125e12),
        ("NVIDIA GeForce RTX 4090", 165.2e12),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA Imaginary 9000", None),
    ],
)
def test_an_unknown_gpu_gives_no_figure(name: str, peak: float | None) -> None:
    assert peak_flops(name) == peak


def test_a_cpu_gives_no_figure() -> None:
    assert utilization(1e6, 1000.0, CPU, "bf16") is None


def test_a_sign_is_told_once(configure: Configure) -> None:
    run = create_run("sick", configure(), {})
    run.events.write("start", resumed_from=None)
    for step in range(1, 41):
        run.events.write("train", step=step, loss=2.0 if step < 25 else 9.0)
    known: set[str] = set()
    assert list(new_warnings(run, Config(), known)) == ["divergence"]
    assert new_warnings(run, Config(), known) == {}
    run.events.close()
