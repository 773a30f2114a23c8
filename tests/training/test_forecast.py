"""The time left against sums of its parts."""

from __future__ import annotations

import pytest

from lmcore.training import prepare
from lmcore.training.forecast import Forecast
from tests.training.conftest import Configure


def test_it_is_the_sum_of_steps_evaluations_checkpoints_and_final_scores(configure: Configure) -> None:
    setup = prepare(configure(training__max_steps=100, training__eval_every=30, eval__max_tokens=100))
    forecast = Forecast(setup, 10, 5.0)
    assert forecast.seconds_left(10, 5.0) is None  # nothing was timed
    forecast.lap(20, 25.0)  # 2 s a step
    forecast.evaluated(tokens_scored=100, scoring=4.0, seconds=7.0)
    forecast.saved(0.5)
    final = sum(len(setup.data.splits[split].tokens) - 1 for split in ("val", "test")) / 25
    # Evaluations are due at 30, 60, 90 and 100, a checkpoint with each.
    assert forecast.seconds_left(20, 25.0) == pytest.approx(80 * 2 + 4 * 7 + 4 * 0.5 + final)
    # When a step is reported, its own evaluation has not been done yet.
    assert forecast.seconds_left(60, 25.0) == pytest.approx(40 * 2 + 3 * 7.5 + final)
    assert forecast.seconds_left(100, 25.0) == pytest.approx(7.5 + final)


def test_a_limit_in_minutes_may_come_first(configure: Configure) -> None:
    setup = prepare(configure(training__max_steps=10_000, training__max_minutes=1.0, eval__max_tokens=0))
    forecast = Forecast(setup, 0, 0.0)
    forecast.lap(10, 10.0)
    forecast.evaluated(tokens_scored=100, scoring=1.0, seconds=2.0)
    final = (len(setup.data.splits["test"].tokens) - 1) / 100  # validation was scored on all tokens all along
    assert forecast.seconds_left(10, 15.0) == pytest.approx(45 + 2 + final)


def test_before_the_first_evaluation_scoring_is_taken_to_be_three_times_as_fast_as_training(
    configure: Configure,
) -> None:
    setup = prepare(configure(training__max_steps=20, training__eval_every=20, eval__max_tokens=0))
    forecast = Forecast(setup, 0, 0.0)
    forecast.lap(10, 10.0)
    rate = 3 * setup.tokens_per_step
    tokens = sum(len(setup.data.splits[split].tokens) - 1 for split in ("val", "test"))
    assert forecast.seconds_left(10, 10.0) == pytest.approx(10 + tokens / rate)


def test_old_laps_are_forgotten_and_the_first_one_soon(configure: Configure) -> None:
    setup = prepare(configure(training__max_steps=1000, training__eval_every=1000, eval__final_max_tokens=1))
    forecast = Forecast(setup, 0, 0.0)
    forecast.lap(10, 60.0)  # compiling
    forecast.evaluated(tokens_scored=10**9, scoring=1e-9, seconds=0.0)
    assert forecast.seconds_left(10, 60.0) == pytest.approx(990 * 6)
    forecast.lap(20, 70.0)
    assert forecast.seconds_left(20, 70.0) == pytest.approx(980 * 1)
    for lap in range(3, 40):
        forecast.lap(10 * lap, 70.0 + 20 * (lap - 2))
    assert forecast.seconds_left(390, 0.0) == pytest.approx(610 * 2)


def test_patience_alone_gives_no_forecast(configure: Configure) -> None:
    forecast = Forecast(prepare(configure(training__max_steps=0, training__patience=3)), 0, 0.0)
    forecast.lap(10, 10.0)
    assert forecast.seconds_left(10, 10.0) is None
