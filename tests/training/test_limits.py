"""Patience, the best loss, and bad steps."""

from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from lmcore.training.limits import BadSteps, Validation

LOSSES = st.lists(st.one_of(st.floats(0, 20), st.sampled_from([math.inf, math.nan])), min_size=1, max_size=30)


@given(LOSSES)
def test_the_best_is_the_first_of_the_lowest(losses: list[float]) -> None:
    validation = Validation()
    marked = [step for step, loss in enumerate(losses, start=1) if validation.add(step, loss)]
    finite = [(loss, step) for step, loss in enumerate(losses, start=1) if math.isfinite(loss)]
    assert (validation.best_loss, validation.best_step) == (min(finite) if finite else (math.inf, 0))
    assert (marked[-1] if marked else 0) == validation.best_step


def test_patience_runs_out_after_so_many_evaluations_and_tiny_improvements_do_not_count() -> None:
    validation = Validation(patience=3, min_delta=0.1)
    left = []
    for step, loss in enumerate([2.0, 1.95, 1.91, 1.85, 1.80, 1.78, 1.76]):
        validation.add(step, loss)
        left.append(validation.out_of_patience)
    assert left == [False] * 6 + [True]
    assert validation.best_loss == 1.76


@given(LOSSES, st.integers(0, 30))
def test_validation_goes_on_from_its_state(losses: list[float], cut: int) -> None:
    whole, first = Validation(patience=50), Validation(patience=50)
    for step, loss in enumerate(losses):
        whole.add(step, loss)
        if step < cut:
            first.add(step, loss)
    second = Validation(patience=50)
    second.load_state_dict(first.state_dict())
    for step, loss in list(enumerate(losses))[cut:]:
        second.add(step, loss)
    assert repr(second.state_dict()) == repr(whole.state_dict())


def bad_steps(limit: int = 3) -> BadSteps:
    return BadSteps(limit, vocab_size=20, device=torch.device("cpu"))


def add(bad: BadSteps, *losses: float) -> tuple[int, bool]:
    for loss in losses:
        value = torch.tensor(loss)
        bad.add(value, torch.isfinite(value))
    bad.read()
    return bad.skipped, bad.diverged


def test_bad_steps_are_counted_and_only_a_row_of_them_ends_a_run() -> None:
    bad = bad_steps()
    assert add(bad, math.nan, math.nan, 3.0, math.inf, math.nan) == (4, False)
    assert add(bad, math.nan) == (5, True)
    assert add(bad, 3.0) == (5, True)  # read late, it is still known


def test_a_loss_far_above_guessing_explodes() -> None:
    assert add(bad_steps(), 3.0, 8.0, 8.9, 8.0, 8.0) == (0, False)
    assert add(bad_steps(), 3.0, 9.1, 9.1, 9.1) == (0, True)


def test_a_start_worse_than_guessing_is_no_explosion() -> None:
    assert add(bad_steps(), 50.0, 60.0, 100.0, 149.0, 140.0) == (0, False)
    assert add(bad_steps(), 50.0, 151.0, 151.0, 151.0) == (0, True)


def test_an_overflow_of_the_loss_scale_is_skipped_but_no_sign_of_divergence() -> None:
    bad = bad_steps(limit=1)
    bad.add(torch.tensor(2.0), torch.tensor(False), rescaled=torch.tensor(True))
    bad.read()
    assert (bad.skipped, bad.diverged) == (1, False)
