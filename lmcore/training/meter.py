"""Running figures of the training: losses since the last report and of the epoch, tokens, time."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from torch import Tensor


class LossMeter:
    """Token-weighted mean losses: since the last reading, and of the epoch so far.

    Sums since the last reading stay on the training device, so that a GPU is not waited for at each step. Steps without
    a finite loss are left out.
    """

    def __init__(self, device: torch.device) -> None:
        dtype = torch.float32 if device.type == "mps" else torch.float64
        self._sums = torch.zeros(2, dtype=dtype, device=device)  # nats, tokens
        self._epoch_nats = 0.0
        self._epoch_tokens = 0.0

    def add(self, loss: Tensor, tokens: int, finite: Tensor) -> None:
        """One step of `tokens` with this mean loss (0-dimensional, on the device)."""
        step = torch.stack([loss * tokens, torch.full_like(loss, tokens)])
        self._sums += torch.where(finite, step, 0.0)

    def read(self) -> tuple[float, float]:
        """(mean since the last reading, mean of the epoch so far); NaN where there is nothing. Waits for the device."""
        nats, tokens = self._sums.tolist()
        self._sums.zero_()
        self._epoch_nats += nats
        self._epoch_tokens += tokens
        return _mean(nats, tokens), _mean(self._epoch_nats, self._epoch_tokens)

    def new_epoch(self) -> None:
        """Begin the epoch's mean again; call it after `read`."""
        self._epoch_nats = self._epoch_tokens = 0.0

    def state(self) -> dict[str, Any]:
        """For trainer.json."""
        return {"sums": self._sums.tolist(), "epoch": [self._epoch_nats, self._epoch_tokens]}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self._sums.copy_(torch.tensor(state["sums"], dtype=self._sums.dtype))
        self._epoch_nats, self._epoch_tokens = state["epoch"]


class Stopwatch:
    """Seconds of training over all resumes, without pauses; and of those, the seconds of steps alone (no evaluations,
    no checkpoints).
    """

    def __init__(self, seconds: float = 0.0, stepping: float = 0.0) -> None:
        self._seconds, self._stepping = seconds, stepping
        self._since = time.monotonic()
        self._steps_since: float | None = None

    def start_stepping(self) -> None:
        """From now on steps are made; nothing changes if they were already."""
        if self._steps_since is None:
            self._steps_since = time.monotonic()

    def stop_stepping(self) -> None:
        """From now on something else is done."""
        self._stepping = self.stepping
        self._steps_since = None

    def leave_out(self, seconds: float) -> None:
        """Do not count `seconds` that were spent paused."""
        self._seconds -= seconds
        if self._steps_since is not None:
            self._steps_since += seconds

    @property
    def seconds(self) -> float:
        """Seconds of training so far."""
        return self._seconds + time.monotonic() - self._since

    @property
    def stepping(self) -> float:
        """Seconds of steps so far."""
        return self._stepping + (0.0 if self._steps_since is None else time.monotonic() - self._steps_since)


def _mean(total: float, count: float) -> float:
    return total / count if count else math.nan
