"""The screen looks as often as its share of the processor pays for."""

from __future__ import annotations

import itertools

import pytest

from tui.session.pace import FASTEST_SECONDS, SLOWEST_SECONDS, Pace


@pytest.mark.parametrize(
    ("used", "expected"), [(0.0, FASTEST_SECONDS), (0.01, 1.0), (0.02, 2.0), (1.0, SLOWEST_SECONDS)]
)
def test_the_pause_is_a_hundred_times_what_was_used_within_bounds(used: float, expected: float) -> None:
    times = itertools.count()
    pace = Pace(clock=lambda: used * next(times))
    assert [pace.pause() for _ in range(4)] == pytest.approx(
        [FASTEST_SECONDS, *[expected] * 3]
    )  # the start does not count


def test_someone_who_waits_for_an_answer_gets_it_soon() -> None:
    times = itertools.count()
    pace = Pace(clock=lambda: float(next(times)))
    assert pace.pause() == FASTEST_SECONDS
    assert pace.pause() == SLOWEST_SECONDS
    assert pace.pause(hurried=True) == FASTEST_SECONDS
    assert pace.pause() == SLOWEST_SECONDS
