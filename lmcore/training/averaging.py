"""Averages of the weights along the way: smoother than the last ones, and often better."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from lmcore.config import TrainingConfig


class Average(Protocol):
    """Weights beside the trained ones, by parameter name; empty until the average begins. Frozen weights are their own
    average.
    """

    weights: dict[str, Tensor]

    def update(self, trained: Mapping[str, Tensor]) -> None:
        """Take the weights after a step into the average."""

    def evaluated(self, losses: Sequence[float]) -> None:
        """Hear of an evaluation; `losses` are all validation losses so far."""

    def state(self) -> dict[str, int]:
        """Counts for trainer.json."""

    def load_state(self, state: Mapping[str, int], weights: dict[str, Tensor]) -> None:
        """Go on from `state` and `weights`."""


class MovingAverage:
    """Exponential moving average: of the old average `decay` is kept at each step (Polyak & Juditsky 1992).

    While few steps are done, the share kept is only (1 + t) / (10 + t): else the random start would weigh in for
    thousands of steps.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.weights: dict[str, Tensor] = {}
        self._steps = 0

    def update(self, trained: Mapping[str, Tensor]) -> None:
        """average ← kept · average + (1 − kept) · weights."""
        if not self.weights:
            self.weights = _copies(trained)
        self._steps += 1
        kept = min(self.decay, (1 + self._steps) / (10 + self._steps))
        _move_towards(self.weights, trained, 1 - kept)

    def evaluated(self, losses: Sequence[float]) -> None:
        """Nothing: a moving average runs from the start."""

    def state(self) -> dict[str, int]:
        """Steps averaged so far."""
        return {"steps": self._steps}

    def load_state(self, state: Mapping[str, int], weights: dict[str, Tensor]) -> None:
        """Go on from `state` and `weights`."""
        self._steps, self.weights = state["steps"], weights


class TriggeredAverage:
    """NT-ASGD: the plain mean of all weights since validation stopped improving (Merity et al. 2018, algorithm 1).

    It begins when a validation loss is above the lowest of those more than `patience` evaluations back.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.weights: dict[str, Tensor] = {}
        self._steps = 0
        self._begun = False

    def update(self, trained: Mapping[str, Tensor]) -> None:
        """average ← average + (weights − average) / t, once it has begun."""
        if not self._begun:
            return
        if not self.weights:
            self.weights = _copies(trained)
        self._steps += 1
        _move_towards(self.weights, trained, 1 / self._steps)

    def evaluated(self, losses: Sequence[float]) -> None:
        """Begin, if it is time."""
        earlier = losses[: max(0, len(losses) - 1 - self.patience)]
        self._begun = self._begun or (bool(earlier) and losses[-1] > min(earlier))

    def state(self) -> dict[str, int]:
        """Steps averaged so far, and whether the average has begun."""
        return {"steps": self._steps, "begun": int(self._begun)}

    def load_state(self, state: Mapping[str, int], weights: dict[str, Tensor]) -> None:
        """Go on from `state` and `weights`."""
        self._steps, self._begun, self.weights = state["steps"], bool(state["begun"]), weights


def build_average(training: TrainingConfig) -> Average | None:
    """The average that the config asks for, or None."""
    if training.average == "ema":
        return MovingAverage(training.ema_decay)
    return TriggeredAverage(training.asgd_patience) if training.average == "asgd" else None


@contextlib.contextmanager
def averaged(trained: Mapping[str, Tensor], average: Average | None) -> Iterator[dict[str, Tensor]]:
    """The parameters `trained` hold the averaged weights while entered.

    Gives copies of the trained weights, by name; empty when there is no average yet and nothing was exchanged.
    """
    if average is None or not average.weights:
        yield {}
        return
    kept = _copies(trained)
    copy_weights(average.weights, trained)
    try:
        yield kept
    finally:
        copy_weights(kept, trained)


@torch.no_grad()
def copy_weights(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
    """Copy weights into the parameters of the same names."""
    for name, weight in source.items():
        target[name].copy_(weight)


def _copies(trained: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in trained.items()}


@torch.no_grad()
def _move_towards(weights: dict[str, Tensor], trained: Mapping[str, Tensor], share: float) -> None:
    torch._foreach_lerp_(list(weights.values()), [trained[name] for name in weights], share)
