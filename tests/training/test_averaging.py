"""Averages of weights against their definitions."""

from __future__ import annotations

import pytest
import torch

from lmcore.training.averaging import MovingAverage, TriggeredAverage, averaged


def weights(value: float) -> dict[str, torch.Tensor]:
    return {"w": torch.full((2,), value, dtype=torch.float64)}


def set_to(trained: dict[str, torch.Tensor], value: float) -> None:
    trained["w"].fill_(value)


def test_the_moving_average_is_its_recurrence() -> None:
    trained = weights(0.0)
    average, expected = MovingAverage(trained, 0.6), 5.0
    for step, value in enumerate([5.0, 1.0, 4.0, 2.0, 8.0, 8.0, 8.0, 8.0, 8.0], start=1):
        set_to(trained, value)
        average.update()
        kept = min(0.6, (1 + step) / (10 + step))
        expected = kept * expected + (1 - kept) * value
    torch.testing.assert_close(average.weights["w"], weights(expected)["w"])


def test_the_triggered_average_begins_when_validation_stops_improving_and_is_a_plain_mean() -> None:
    trained = weights(100.0)
    average = TriggeredAverage(trained, patience=2)
    losses = [5.0, 4.0, 3.0, 3.5, 3.6]
    for count in range(1, 6):
        average.evaluated(losses[:count])
        average.update()
        assert not average.weights
    average.evaluated([*losses, 3.7])  # worse than the best of those more than two evaluations back
    for value in (1.0, 2.0, 6.0):
        set_to(trained, value)
        average.update()
    torch.testing.assert_close(average.weights["w"], weights(3.0)["w"])


def test_the_average_is_in_place_only_inside() -> None:
    trained = weights(1.0)
    average = MovingAverage(trained, 0.9)
    average.update()
    average.weights["w"].fill_(7.0)
    with averaged(average):
        assert trained["w"].tolist() == [7.0, 7.0]
    assert trained["w"].tolist() == [1.0, 1.0]
    assert average.weights["w"].tolist() == [7.0, 7.0]
    with averaged(TriggeredAverage(trained, 3)), averaged(None):
        assert trained["w"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("in_place", [True, False])
def test_a_checkpoint_holds_the_trained_weights_whether_the_average_is_in_place_or_not(in_place: bool) -> None:
    trained = weights(1.0)
    average = MovingAverage(trained, 0.9)
    average.update()
    average.weights["w"].fill_(7.0)
    with averaged(average if in_place else None):
        state = {name: value.clone() if name != "steps" else value for name, value in average.state_dict().items()}
    loaded = weights(7.0)  # the model file holds the average
    resumed = MovingAverage(loaded, 0.9)
    resumed.load_state_dict(state)
    assert (loaded["w"].tolist(), resumed.weights["w"].tolist()) == ([1.0, 1.0], [7.0, 7.0])
    for one in (average, resumed):
        one.update()
    assert torch.equal(average.weights["w"], resumed.weights["w"])
