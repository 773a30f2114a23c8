"""Averages of weights against their definitions."""

from __future__ import annotations

import torch

from lmcore.training.averaging import MovingAverage, TriggeredAverage, averaged


def weights(value: float) -> dict[str, torch.Tensor]:
    return {"w": torch.full((2,), value, dtype=torch.float64)}


def test_the_moving_average_is_its_recurrence() -> None:
    average, expected = MovingAverage(0.6), 5.0
    for step, value in enumerate([5.0, 1.0, 4.0, 2.0, 8.0, 8.0, 8.0, 8.0, 8.0], start=1):
        average.update(weights(value))
        kept = min(0.6, (1 + step) / (10 + step))
        expected = kept * expected + (1 - kept) * value
    torch.testing.assert_close(average.weights["w"], weights(expected)["w"])


def test_the_triggered_average_begins_when_validation_stops_improving_and_is_a_plain_mean() -> None:
    average = TriggeredAverage(patience=2)
    losses = [5.0, 4.0, 3.0, 3.5, 3.6]
    for count in range(1, 6):
        average.evaluated(losses[:count])
        average.update(weights(100.0))
        assert not average.weights
    average.evaluated([*losses, 3.7])  # worse than the best of those more than two evaluations back
    for value in (1.0, 2.0, 6.0):
        average.update(weights(value))
    torch.testing.assert_close(average.weights["w"], weights(3.0)["w"])


def test_the_average_is_in_place_only_inside() -> None:
    trained, average = weights(1.0), MovingAverage(0.9)
    average.update(trained)
    average.weights["w"].fill_(7.0)
    with averaged(trained, average) as raw:
        assert trained["w"].tolist() == [7.0, 7.0]
        assert raw["w"].tolist() == [1.0, 1.0]
    assert trained["w"].tolist() == [1.0, 1.0]
    with averaged(trained, TriggeredAverage(3)) as raw:
        assert raw == {}
