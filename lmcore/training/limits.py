"""Two limits of a run, patience and bad steps; and which weights are best."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

# A loss above this multiple of what guessing costs (or of the first loss, if the start is worse than guessing) is
# exploding.
EXPLODING = 3.0


@dataclass
class Validation:
    """Validation losses so far, the best of them, the step of the last one, and patience.

    The best is strictly the lowest. Patience is counted against the last improvement of more than `min_delta`, so that
    many tiny improvements do not keep a run alive.
    """

    patience: int = 0
    min_delta: float = 0.0
    losses: list[float] = field(default_factory=list)
    best_loss: float = math.inf
    best_step: int = 0
    last_step: int = 0
    _reference: float = math.inf
    _waited: int = 0

    def add(self, step: int, loss: float) -> bool:
        """Note the loss of an evaluation; whether it is the best so far. A loss that is not a number never is."""
        self.losses.append(loss)
        self.last_step = step
        if loss < self._reference - self.min_delta:
            self._reference, self._waited = loss, 0
        else:
            self._waited += 1
        if not loss < self.best_loss:
            return False
        self.best_loss, self.best_step = loss, step
        return True

    @property
    def out_of_patience(self) -> bool:
        """`patience` evaluations in a row brought nothing."""
        return 0 < self.patience <= self._waited

    def state_dict(self) -> dict[str, Any]:
        """Everything; None stands for a loss that is not finite."""
        values = {"best_loss": self.best_loss, "reference": self._reference}
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        losses = [loss if math.isfinite(loss) else None for loss in self.losses]
        steps = {"best_step": self.best_step, "last_step": self.last_step}
        return {**finite, **steps, "losses": losses, "waited": self._waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`; patience that had run out is granted anew, since someone asked for more training."""
        self.losses = [math.inf if loss is None else loss for loss in state["losses"]]
        self.best_loss = math.inf if state["best_loss"] is None else state["best_loss"]
        self._reference = math.inf if state["reference"] is None else state["reference"]
        self.best_step, self.last_step, self._waited = state["best_step"], state["last_step"], state["waited"]
        if self.out_of_patience:
            self._waited = 0


class BadSteps:
    """Counts steps whose loss or gradient is not finite, and steps in a row that are bad or exploding.

    The counts live on the training device: a GPU need not be waited for at each step, only when they are read.

    Attributes:
        skipped: bad steps so far, as of the last `read`.
        diverged: whether `limit` steps in a row went wrong, as of the last `read`.
    """

    def __init__(self, limit: int, vocab_size: int, device: torch.device) -> None:
        self.limit = limit
        self.skipped = 0
        self.diverged = False
        self._guessing = math.log(vocab_size)
        self._highest = torch.tensor(math.inf, device=device)  # no loss explodes before the first one is known
        self._counts = torch.zeros(2, dtype=torch.int64, device=device)  # skipped so far; bad or exploding in a row
        self._told = 0

    def add(self, loss: Tensor, finite: Tensor, *, rescaled: Tensor | None = None) -> None:
        """Note one step. `rescaled` (fp16) marks a step whose gradient overflowed only because the loss scale was too
        high: it is skipped like a bad one, but says nothing about the run.
        """
        self._highest = torch.where(
            torch.isinf(self._highest) & finite, EXPLODING * loss.clamp(min=self._guessing), self._highest
        )
        wrong = ~finite | (loss > self._highest)
        if rescaled is not None:
            wrong &= ~rescaled
        skipped, in_a_row = self._counts.unbind()
        # Once the limit is reached the count stays there: it may be read only many steps later.
        in_a_row = torch.where(in_a_row >= self.limit, in_a_row, (in_a_row + 1) * wrong)
        self._counts = torch.stack([skipped + ~finite, in_a_row])

    def read(self) -> None:
        """Bring `skipped` and `diverged` up to date; waits for the device."""
        self.skipped, in_a_row = self._counts.tolist()
        self.diverged = in_a_row >= self.limit

    def news(self) -> bool:
        """Whether `skipped` is higher than when this was last asked."""
        told, self._told = self._told, self.skipped
        return self.skipped > told

    def state_dict(self) -> dict[str, Any]:
        """Everything; None stands for a bound that is not known yet."""
        highest = self._highest.item()
        return {
            "counts": self._counts.tolist(),
            "highest": highest if math.isfinite(highest) else None,
            "told": self._told,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""
        self._counts.copy_(torch.tensor(state["counts"]))
        if state["highest"] is not None:
            self._highest.fill_(state["highest"])
        self._told = state["told"]
        self.read()
