"""What training minimizes: cross-entropy, and the penalties that the config asks for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lmcore.config import TrainingConfig
from lmcore.models import LanguageModel


class Objective(NamedTuple):
    """`total` is minimized; `cross_entropy` is what the curves show (nats per token, smoothed labels if asked for);
    `state` goes on.
    """

    total: Tensor
    cross_entropy: Tensor
    state: tuple[Tensor, ...] | None


def objective(
    model: LanguageModel,
    x: Tensor,
    y: Tensor,
    state: tuple[Tensor, ...] | None,
    training: TrainingConfig,
    shrunk: Sequence[Tensor],
) -> Objective:
    """Cross-entropy of targets `y` [B, T] given `x` [B, T], plus penalties.

    total = CE + alpha · mean(dropped output²) + beta · mean((output_t − output_t₋₁)²) + l1 · Σ|w|

    The middle two are AWD-LSTM's AR and TAR (Merity et al. 2018, section 4.6). L1 is over the weights `shrunk`: those
    that weight decay shrinks too (`Parameters.decaying`).
    """
    regularizers = training.activation_reg > 0 or training.temporal_reg > 0
    output = model.loss(x, y, state, training.label_smoothing, regularizers)
    total = output.loss
    if output.activation is not None and training.activation_reg:
        total = total + training.activation_reg * output.activation
    if output.temporal is not None and training.temporal_reg:
        total = total + training.temporal_reg * output.temporal
    if training.l1 and shrunk:
        total = total + training.l1 * l1_norm(shrunk)
    return Objective(total, output.loss.detach(), output.state)


def l1_norm(weights: Iterable[Tensor]) -> Tensor:
    """Σ|w| over all weights."""
    return torch.stack([weight.abs().sum() for weight in weights]).sum()
