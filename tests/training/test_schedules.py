"""Schedules against torch.optim.lr_scheduler and closed forms."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler as peers

from lmcore.config import ScheduleConfig
from lmcore.errors import UsageError
from lmcore.training.schedules import SHAPES, lr_multiplier, plateau, require_end

STEPS = 40


def ours(steps: int = STEPS, **settings: Any) -> list[float]:
    schedule = ScheduleConfig(**settings)
    return [lr_multiplier(schedule, step, steps) for step in range(steps)]


def torchs(make: Any) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


PEERS = [
    ({"name": "constant"}, lambda o: peers.ConstantLR(o, factor=1.0)),
    ({"name": "linear", "min_lr_ratio": 0.1}, lambda o: peers.LinearLR(o, 1.0, 0.1, total_iters=STEPS)),
    ({"name": "linear", "decay_steps": 20}, lambda o: peers.LinearLR(o, 1.0, 0.0, total_iters=20)),
    ({"name": "cosine", "min_lr_ratio": 0.1}, lambda o: peers.CosineAnnealingLR(o, STEPS, eta_min=0.1)),
    ({"name": "step", "step_size": 7, "gamma": 0.3}, lambda o: peers.StepLR(o, 7, 0.3)),
    ({"name": "exponential", "step_size": 7, "gamma": 0.3}, lambda o: peers.ExponentialLR(o, 0.3 ** (1 / 7))),
    (
        {"name": "one_cycle", "min_lr_ratio": 0.004, "rise_fraction": 0.25},
        lambda o: peers.OneCycleLR(o, 1.0, STEPS, pct_start=0.25, cycle_momentum=False, final_div_factor=10.0),
    ),
    (
        {"name": "cosine_restarts", "restart_steps": 6, "restart_factor": 2, "min_lr_ratio": 0.05},
        lambda o: peers.CosineAnnealingWarmRestarts(o, 6, 2, eta_min=0.05),
    ),
]


@pytest.mark.parametrize(
    ("settings", "make"), PEERS, ids=lambda value: value["name"] if isinstance(value, dict) else ""
)
def test_a_shape_is_that_of_torch(settings: dict[str, Any], make: Any) -> None:
    assert ours(**settings) == pytest.approx(torchs(make), abs=1e-6)


def test_warmup_rises_linearly_to_the_peak_and_the_shape_begins_there() -> None:
    rates = ours(name="cosine", warmup_steps=9)
    assert rates[:9] == pytest.approx([0.1 * (step + 1) for step in range(9)])
    assert rates[9] == 1.0
    assert rates[9 + 15] == pytest.approx(0.5 * (1 + math.cos(math.pi * 15 / 31)))


def test_wsd_is_flat_and_then_falls_over_the_last_part_of_the_run() -> None:
    rates = ours(name="wsd", warmup_steps=4, decay_fraction=0.25, min_lr_ratio=0.2)
    assert rates[4:31] == [1.0] * 27
    assert rates[30:] == pytest.approx([1 - 0.8 * (step - 30) / 10 for step in range(30, 40)])


@pytest.mark.parametrize("losses", [[3, 2, 2.5, 2.4, 2.3, 1.9, 2, 2, 2, 2], [1.0, 1.0, 1.0, 1.0, 1.0], [], [2.0, 1.0]])
@pytest.mark.parametrize("patience", [1, 2, 3])
def test_plateau_cuts_when_torchs_does(losses: list[float], patience: int) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    # PyTorch counts the evaluations that it lets pass, we the one at which it cuts.
    peer = peers.ReduceLROnPlateau(optimizer, factor=0.5, patience=patience - 1, threshold=0.0)
    for loss in losses:
        peer.step(loss)
    assert plateau(ScheduleConfig(name="plateau", plateau_patience=patience), losses) == optimizer.param_groups[0]["lr"]


@given(
    name=st.sampled_from(sorted(SHAPES)),
    step=st.integers(0, 10_000),
    total=st.integers(0, 5_000),
    warmup=st.integers(0, 6_000),
    floor=st.floats(0, 1),
    decay=st.floats(0, 1),
)
def test_every_multiplier_lies_between_0_and_1(
    name: str, step: int, total: int, warmup: int, floor: float, decay: float
) -> None:
    schedule = ScheduleConfig(
        name=name, warmup_steps=warmup, min_lr_ratio=floor, decay_fraction=decay, rise_fraction=decay
    )
    assert 0.0 <= lr_multiplier(schedule, step, total) <= 1.0 + 1e-12


def test_a_decay_without_an_end_is_refused() -> None:
    with pytest.raises(UsageError, match="cosine"):
        require_end(ScheduleConfig(name="cosine"), None)
    require_end(ScheduleConfig(name="cosine", decay_steps=100), None)
    require_end(ScheduleConfig(name="step"), None)
