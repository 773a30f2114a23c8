"""Averages of the weights along the way: smoother than the last ones, and often better."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from lmcore.config import TrainingConfig

# Names of the trained weights in a checkpoint, whose model file holds their average.
TRAINED = "trained/"


class Average(ABC):
    """An average beside the trained weights, by parameter name. Frozen weights are their own average.

    Attributes:
        weights: the average; empty until it begins.
    """

    def __init__(self, trained: Mapping[str, Tensor]) -> None:
        self.weights: dict[str, Tensor] = {}
        self._trained = trained
        self._steps = 0
        self._swapped = False

    @abstractmethod
    def update(self) -> None:
        """Take the weights after a step into the average."""

    @abstractmethod
    def evaluated(self, losses: Sequence[float]) -> None:
        """Learn of an evaluation; `losses` are all validation losses so far."""

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """While entered, the model holds the average; before the average begins, nothing changes."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def state_dict(self) -> dict[str, Any]:
        """Steps averaged, and the trained weights: the model file of a checkpoint holds their average."""
        trained = self.weights if self._swapped else self._trained
        return {"steps": self._steps, **{TRAINED + name: trained[name] for name in self.weights}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`, with a model that was loaded from the same checkpoint and so holds the average."""
        self._steps = state["steps"]
        self.weights = {
            name.removeprefix(TRAINED): tensor for name, tensor in state.items() if isinstance(tensor, Tensor)
        }
        if self.weights:
            self._swap()
            self._swapped = False

    def _begin(self) -> None:
        if not self.weights:
            self.weights = {name: weight.detach().clone() for name, weight in self._trained.items()}

    @torch.no_grad()
    def _move_towards_trained(self, share: float) -> None:
        torch._foreach_lerp_(list(self.weights.values()), [self._trained[name] for name in self.weights], share)

    @torch.no_grad()
    def _swap(self) -> None:
        for name, weight in self.weights.items():
            parameter = self._trained[name]
            before = parameter.detach().clone()
            parameter.copy_(weight)
            weight.copy_(before)
        self._swapped = not self._swapped


class MovingAverage(Average):
    """Exponential moving average: of the old average `decay` is kept at each step (Polyak & Juditsky 1992).

    While few steps are done, the share kept is only (1 + t) / (10 + t): else the random start would weigh in for
    thousands of steps.
    """

    def __init__(self, trained: Mapping[str, Tensor], decay: float) -> None:
        super().__init__(trained)
        self.decay = decay

    def update(self) -> None:
        """average ← kept · average + (1 − kept) · weights."""
        self._begin()
        self._steps += 1
        kept = min(self.decay, (1 + self._steps) / (10 + self._steps))
        self._move_towards_trained(1 - kept)

    def evaluated(self, losses: Sequence[float]) -> None:
        """Nothing: a moving average runs from the start."""


class TriggeredAverage(Average):
    """NT-ASGD: the plain mean of all weights since validation stopped improving (Merity et al. 2018, algorithm 1).

    It begins when a validation loss is above the lowest of those more than `patience` evaluations back.
    """

    def __init__(self, trained: Mapping[str, Tensor], patience: int) -> None:
        super().__init__(trained)
        self.patience = patience
        self._begun = False

    def update(self) -> None:
        """average ← average + (weights − average) / t, once it has begun."""
        if not self._begun:
            return
        self._begin()
        self._steps += 1
        self._move_towards_trained(1 / self._steps)

    def evaluated(self, losses: Sequence[float]) -> None:
        """Begin, if it is time."""
        earlier = losses[: max(0, len(losses) - 1 - self.patience)]
        self._begun = self._begun or (bool(earlier) and losses[-1] > min(earlier))

    def state_dict(self) -> dict[str, Any]:
        """As for every average, and whether it has begun."""
        return {**super().state_dict(), "begun": int(self._begun)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """As for every average."""
        super().load_state_dict(state)
        self._begun = bool(state["begun"])


def build_average(training: TrainingConfig, trained: Mapping[str, Tensor]) -> Average | None:
    """The average of `trained` that the config asks for, or None."""
    if training.average == "ema":
        return MovingAverage(trained, training.ema_decay)
    return TriggeredAverage(trained, training.asgd_patience) if training.average == "asgd" else None


def averaged(average: Average | None) -> AbstractContextManager[None]:
    """`average.in_place()`; without an average, nothing."""
    return contextlib.nullcontext() if average is None else average.in_place()
