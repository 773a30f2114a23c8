"""Signs in curves of known shapes: each is seen where it is, and only there."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.config import Config
from lmcore.lab import Curves, curves_of, diagnose, generalization_gap
from lmcore.runs import History

STEPS = 200
EVAL_EVERY = 20
Shape = Callable[[float], float]


def curves(train: Shape, val: Shape, accuracy: Shape | None = None, noise: float = 0.01) -> Curves:
    """Shapes over x from 0 to 1, the training loss with a little noise from batch to batch."""
    rng = random.Random(0)
    train_steps = list(range(1, STEPS + 1))
    val_steps = list(range(EVAL_EVERY, STEPS + 1, EVAL_EVERY))
    return Curves(
        train_steps=train_steps,
        train_losses=[train(step / STEPS) + rng.gauss(0, noise) for step in train_steps],
        val_steps=val_steps,
        val_losses=[val(step / STEPS) for step in val_steps],
        val_accuracies=[accuracy(step / STEPS) for step in val_steps] if accuracy else [],
    )


def learning(x: float) -> float:
    return 1.5 + 2.7 * math.exp(-4 * x)


def converged(x: float) -> float:
    return 1.5 + 2.7 * math.exp(-40 * x)


def u_shaped(x: float) -> float:
    return 1.8 + 2 * (x - 0.5) ** 2


@pytest.mark.parametrize(
    ("given_curves", "expected"),
    [
        (curves(learning, lambda x: learning(x) + 0.1), ["healthy"]),
        (curves(learning, u_shaped), ["overfit"]),
        (curves(learning, u_shaped, accuracy=lambda x: 0.3 + 0.1 * x), ["overconfident"]),
        (curves(learning, u_shaped, accuracy=lambda x: 0.4 - 0.1 * x), ["overfit"]),
        (curves(converged, lambda x: converged(x) + 0.01), ["underfit"]),
        (curves(converged, lambda x: converged(x) + 0.3), ["healthy"]),
        (curves(learning, learning, noise=0.4), ["noisy"]),
        # exp12 of the reference: from ln 40479 to the unigram's loss, and there it stays.
        (curves(lambda x: 7.3 + 3.3 * math.exp(-60 * x), lambda x: 7.3), ["plateau"]),
        (curves(lambda x: learning(x) + (3 if x > 0.9 else 0), learning), ["divergence"]),
    ],
    ids=[
        "falling",
        "u",
        "u but accurate",
        "u and less accurate",
        "flat and close",
        "flat with a gap",
        "noise",
        "plateau",
        "jump",
    ],
)
def test_each_sign_where_it_is(given_curves: Curves, expected: list[str]) -> None:
    signs = diagnose(given_curves)
    assert [sign.what for sign in signs if sign.what != "noisy" or "noisy" in expected] == expected
    for sign in signs:
        assert sign.message.endswith((".", "!"))
        assert sign.remedy.endswith(".")


@pytest.mark.parametrize("last", [None, math.nan, math.inf])
def test_a_loss_that_is_no_number_is_divergence(last: float | None) -> None:
    assert [sign.what for sign in diagnose(Curves(train_steps=[1, 2], train_losses=[3.0, last]))] == ["divergence"]


def test_too_little_to_tell() -> None:
    assert diagnose(Curves()) == []
    assert diagnose(Curves(train_steps=[1, 2], train_losses=[4.0, 3.9])) == []
    assert generalization_gap(Curves()) is None


def test_a_long_warm_up_is_no_plateau() -> None:
    assert [sign.what for sign in diagnose(Curves(range(20), [10.6] * 20))] == ["healthy"]
    assert [sign.what for sign in diagnose(Curves(range(60), [10.6] * 60))] == ["plateau"]


def test_the_gap_is_validation_minus_the_training_since_the_evaluation_before() -> None:
    given_curves = Curves(
        train_steps=[1, 2, 3, 4], train_losses=[9.0, 3.0, 2.0, 1.0], val_steps=[2, 4], val_losses=[6.5, 2.0]
    )
    gap = generalization_gap(given_curves)
    assert gap is not None
    assert gap.value == pytest.approx(2.0 - 1.5)
    assert gap.slope == pytest.approx(0.5 - 0.5)
    assert gap.trend == "steady"


@pytest.mark.parametrize(("change", "trend"), [(0.05, "rising"), (-0.05, "falling"), (0.0, "steady")])
def test_the_trend_of_the_gap_is_that_of_the_last_evaluations(change: float, trend: str) -> None:
    val = [2.0 + change * i for i in range(6)]
    gap = generalization_gap(Curves(range(1, 7), [1.0] * 6, range(1, 7), val))
    assert gap is not None
    assert gap.slope == pytest.approx(change)
    assert gap.trend == trend


losses = st.lists(st.none() | st.floats(0, 20) | st.just(math.nan), max_size=40)


@given(losses, losses, st.booleans())
def test_any_curves_give_at_most_one_sign_of_a_kind(
    train: Sequence[float | None], val: Sequence[float | None], accurate: bool
) -> None:
    accuracies = [0.5] * len(val) if accurate else []
    signs = diagnose(Curves(range(len(train)), train, [2 * i for i in range(len(val))], val, accuracies))
    whats = [sign.what for sign in signs]
    assert len(set(whats)) == len(whats)
    assert "healthy" not in whats or whats == ["healthy"]


def test_curves_of_a_history_are_its_train_events_and_val_evaluations() -> None:
    history = History(
        [
            {"kind": "train", "step": 1, "loss": 3.0},
            {"kind": "eval", "step": 1, "split": "val", "loss": 2.0, "accuracy": 0.3},
            {"kind": "eval", "step": 1, "split": "test", "loss": 9.0},
        ]
    )
    assert curves_of(history) == Curves([1], [3.0], [1], [2.0], [0.3])


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"model.architecture": "lstm"}, False),
        ({"model.norm_position": "pre"}, False),
        ({"model.norm_position": "post"}, True),
    ],
)
def test_a_remedy_names_only_settings_with_an_effect(settings: dict[str, str], named: bool) -> None:
    (plateau,) = diagnose(Curves(range(60), [10.6] * 60), Config().with_settings(settings))
    assert plateau.what == "plateau"
    assert ("model.norm_position" in plateau.remedy) == named
    assert plateau.remedy.startswith("Add schedule.warmup_steps")


@pytest.mark.parametrize(("optimizer", "named"), [("adamw", True), ("adam", False)])
def test_weight_decay_is_no_remedy_for_an_optimizer_without_it(optimizer: str, named: bool) -> None:
    config = Config().with_settings({"optimizer.name": optimizer})
    (overfit,) = [sign for sign in diagnose(curves(learning, u_shaped), config) if sign.what == "overfit"]
    assert ("optimizer.weight_decay" in overfit.remedy) == named


def test_without_settings_no_remedy_depends_on_them() -> None:
    (plateau,) = diagnose(Curves(range(60), [10.6] * 60))
    assert plateau.remedy == "Add schedule.warmup_steps or change optimizer.lr by a factor of 3."
