"""Running figures of a run: losses since the last report and of the epoch, time, and speed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class LossMeter:
    """Token-weighted mean losses: since the last reading, and of the epoch so far.

    Sums since the last reading stay on the training device, so that a GPU is not waited for at each step. Steps without
    a finite loss are left out.

    Attributes:
        epoch_loss: mean of the epoch at the last reading, nats per token; NaN before the first.
    """

    def __init__(self, device: torch.device) -> None:
        dtype = torch.float32 if device.type == "mps" else torch.float64
        self.epoch_loss = math.nan
        self._sums = torch.zeros(2, dtype=dtype, device=device)  # nats, tokens
        self._epoch_nats = 0.0
        self._epoch_tokens = 0.0

    def add(self, loss: Tensor, tokens: int, finite: Tensor) -> None:
        """One step of `tokens` with this mean loss (0-dimensional, on the device)."""
        step = torch.stack([loss * tokens, torch.full_like(loss, tokens)])
        self._sums += torch.where(finite, step, 0.0)

    def read(self) -> float:
        """The mean since the last reading, NaN where there is nothing; brings `epoch_loss` up to date. Waits for the
        device.
        """
        nats, tokens = self._sums.tolist()
        self._sums.zero_()
        self._epoch_nats += nats
        self._epoch_tokens += tokens
        self.epoch_loss = _mean(self._epoch_nats, self._epoch_tokens)
        return _mean(nats, tokens)

    def new_epoch(self) -> None:
        """Begin the epoch's mean again; call it after `read`."""
        self._epoch_nats = self._epoch_tokens = 0.0

    def state_dict(self) -> dict[str, Any]:
        """The sums, and `epoch_loss` (None for NaN)."""
        return {
            "sums": self._sums.tolist(),
            "epoch": [self._epoch_nats, self._epoch_tokens],
            "epoch_loss": self.epoch_loss if math.isfinite(self.epoch_loss) else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""
        self._sums.copy_(torch.tensor(state["sums"], dtype=self._sums.dtype))
        self._epoch_nats, self._epoch_tokens = state["epoch"]
        self.epoch_loss = math.nan if state["epoch_loss"] is None else state["epoch_loss"]


class Stopwatch:
    """Seconds of a run over all resumes, without pauses; and of those, the seconds of steps alone (no evaluations, no
    checkpoints).

    A GPU works on after a step was handed to it: `wait` returns when it has done everything, and is called before the
    clock of the steps is stopped.
    """

    def __init__(self, wait: Callable[[], None]) -> None:
        self._wait = wait
        self._seconds = self._stepping = 0.0
        self._since = time.monotonic()
        self._steps_since: float | None = None
        self._lap = (0, 0.0)  # tokens and seconds of steps when the speed was last read

    def start_stepping(self) -> None:
        """From now on steps are made; nothing changes if they were already."""
        if self._steps_since is None:
            self._steps_since = time.monotonic()

    def stop_stepping(self) -> None:
        """From now on something else is done."""
        if self._steps_since is not None:
            self._wait()
            self._stepping = self.stepping
            self._steps_since = None

    def leave_out(self, seconds: float) -> None:
        """Do not count `seconds` that were spent paused."""
        self._seconds -= seconds
        if self._steps_since is not None:
            self._steps_since += seconds

    def tokens_per_second(self, tokens: int) -> float:
        """Speed of the steps since this was last asked, `tokens` being those of the run so far; NaN if there were none.
        The device must have been waited for.
        """
        before, self._lap = self._lap, (tokens, self.stepping)
        seconds = self._lap[1] - before[1]
        return (tokens - before[0]) / seconds if seconds > 0 else math.nan

    @property
    def seconds(self) -> float:
        """Seconds of the run so far."""
        return self._seconds + time.monotonic() - self._since

    @property
    def stepping(self) -> float:
        """Seconds of steps so far."""
        return self._stepping + (0.0 if self._steps_since is None else time.monotonic() - self._steps_since)

    def state_dict(self) -> dict[str, Any]:
        """The times so far."""
        return {"seconds": self.seconds, "stepping": self.stepping, "lap": list(self._lap)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`; time between the two processes does not count."""
        self._seconds, self._stepping = state["seconds"], state["stepping"]
        self._since, self._steps_since = time.monotonic(), None
        self._lap = (state["lap"][0], state["lap"][1])


def _mean(total: float, count: float) -> float:
    return total / count if count else math.nan
