"""The learning-rate finder: a curve, a suggestion, and no trace."""

from __future__ import annotations

import pytest
import torch

from lmcore.training import find_learning_rate, prepare
from lmcore.training.lr_finder import steepest, sweep
from lmcore.training.setup import new_model
from tests.training.conftest import LSTM, Configure


def test_the_sweep_rises_exponentially_and_suggests_a_rate_that_learns(configure: Configure) -> None:
    curve = find_learning_rate(prepare(configure(training__batch_size=16)), lowest=1e-5, highest=10.0, steps=60)
    ratios = [after / before for before, after in zip(curve.rates, curve.rates[1:], strict=False)]
    assert curve.rates[0] == 1e-5
    assert ratios == pytest.approx([1e6 ** (1 / 59)] * len(ratios))
    assert len(curve.losses) == len(curve.rates)
    assert curve.suggestion is not None
    assert 1e-4 < curve.suggestion < 0.3
    assert min(curve.losses) < curve.losses[0] - 0.2


def test_it_leaves_model_and_random_stream_untouched(configure: Configure) -> None:
    setup = prepare(configure({**LSTM, "model.dropout": 0.2}))
    model = new_model(setup)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    stream = torch.get_rng_state()
    sweep(setup, model, lowest=1e-3, highest=1.0, steps=10)
    assert torch.equal(torch.get_rng_state(), stream)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_steepest_fall_before_the_minimum() -> None:
    assert steepest([1, 2, 3, 4, 5], [5.0, 4.9, 3.0, 2.9, 9.0]) == 2
    assert steepest([1, 2, 3], [1.0, 2.0, 3.0]) is None
    assert steepest([], []) is None
