"""Learning-rate finder: a short run whose rate rises exponentially shows where the loss falls fastest and where it
explodes.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmcore.models import LanguageModel
from lmcore.training.device import autocast, computing_on, to_device
from lmcore.training.memory import memory_explained
from lmcore.training.objective import objective
from lmcore.training.optimizers import Parameters, build_optimizers
from lmcore.training.setup import Setup, new_model

SMOOTHING = 0.9
# The sweep ends when the smoothed loss is this many times its lowest value.
EXPLODED = 4.0


@dataclass(frozen=True)
class LrCurve:
    """Peak rates tried, the loss before each (nats per token, smoothed), and the rate at which it fell fastest; None if
    it never decreased.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestion: float | None


def find_learning_rate(setup: Setup, *, lowest: float = 1e-6, highest: float = 10.0, steps: int = 100) -> LrCurve:
    """A sweep for a fresh model of `setup` (from `prepare`), on the first batches of its data.

    Raises:
        LmError: out of memory; a pretrained embedding is out of reach.
    """
    return sweep(setup, new_model(setup), lowest=lowest, highest=highest, steps=steps)


def sweep(setup: Setup, model: LanguageModel, *, lowest: float, highest: float, steps: int) -> LrCurve:
    """Train a copy of `model` with a rate from `lowest` to `highest`, each step the same factor more (Smith 2017,
    section 3.3).

    The optimizer is the config's, at its other settings; `optimizer.muon_lr` keeps its ratio to `optimizer.lr`. The
    model, the batches and the random stream are as before afterwards.
    """
    config, device = setup.config, setup.device
    rates: list[float] = []
    losses: list[float] = []
    with computing_on(device, config.training.threads, config.training.seed), memory_explained():
        trial = copy.deepcopy(model).train()
        trained = {name: parameter for name, parameter in trial.named_parameters() if parameter.requires_grad}
        parameters = Parameters.of(trial, trained)
        optimizers = build_optimizers(config.optimizer, parameters, device)
        shrunk = [trained[name] for name in parameters.decaying(config.optimizer.decay_all)]
        state: tuple[Tensor, ...] | None = None
        average = 0.0
        for step in range(steps):
            batch = setup.batches.get(step)
            with autocast(device, setup.precision):
                x, y = to_device(batch.x, device), to_device(batch.y, device)
                part = objective(trial, x, y, state if batch.carry else None, config.training, shrunk)
            state = part.state
            average = SMOOTHING * average + (1 - SMOOTHING) * part.cross_entropy.item()
            # The mean of what was seen so far, not of the zero it began with.
            smoothed = average / (1 - SMOOTHING ** (step + 1))
            if not math.isfinite(smoothed) or (losses and smoothed > EXPLODED * min(losses)):
                break
            rates.append(lowest * (highest / lowest) ** (step / max(1, steps - 1)))
            losses.append(smoothed)
            optimizers.zero_grad()
            torch.autograd.backward(part.total)
            optimizers.set_lr(rates[-1] / config.optimizer.lr)
            optimizers.step(torch.isfinite(part.cross_entropy))
    return LrCurve(tuple(rates), tuple(losses), steepest(rates, losses))


def steepest(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """The rate at which the loss falls fastest against the logarithm of the rate, before its minimum; None if it never
    decreases.
    """
    lowest = min(range(len(losses)), key=losses.__getitem__, default=0)
    falls = [
        (after - before, rate)
        for (before, after), rate in zip(itertools.pairwise(losses[: lowest + 1]), rates, strict=False)
    ]
    fall, rate = min(falls, default=(0.0, 0.0))
    return rate if fall < 0 else None
