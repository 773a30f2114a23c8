"""Learning-rate schedules: each is a pure multiplier of the peak rate, by step.

A schedule keeps no state, so a resumed run needs nothing but its step to go on with the same rate. Reduce-on-plateau
looks at validation losses as well, and those are all it looks at: the run keeps the list.

In all of them `step` counts the steps done before this one, from 0, and `end` is the step at which the decay ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from lmcore.config import ScheduleConfig
from lmcore.errors import UsageError

# Smith & Topin's cycle starts at this share of the peak (torch.optim.lr_scheduler.OneCycleLR's default).
ONE_CYCLE_START = 1 / 25
# Their shape depends on the step at which they end.
ENDING = ("linear", "cosine", "one_cycle", "wsd")


def lr_multiplier(schedule: ScheduleConfig, step: int, total_steps: int, val_losses: Sequence[float] = ()) -> float:
    """The learning rate of step `step`, as a share of its peak, in [0, 1].

    The warm-up rises linearly and reaches the peak at step `warmup_steps`; the shape begins there. It ends at
    `decay_steps`, or at `total_steps` when that is 0. `val_losses` are those of all evaluations so far (plateau only).
    """
    if step < schedule.warmup_steps:
        return (step + 1) / (schedule.warmup_steps + 1)
    if schedule.name == "plateau":
        return plateau(schedule, val_losses)
    end = schedule.decay_steps or total_steps
    return SHAPES[schedule.name](schedule, step - schedule.warmup_steps, max(1, end - schedule.warmup_steps))


def require_end(schedule: ScheduleConfig, total_steps: int | None) -> None:
    """Refuse a schedule that must know where the run ends when nothing says so.

    Raises:
        UsageError: `total_steps` is None, the shape depends on it, and `decay_steps` is 0.
    """
    if schedule.name in ENDING and total_steps is None and not schedule.decay_steps:
        raise UsageError(
            f"The {schedule.name} schedule needs a last step, but this run has none.",
            "Set schedule.decay_steps, training.max_steps or training.epochs.",
        )


def constant(schedule: ScheduleConfig, step: int, end: int) -> float:
    """The peak, always."""
    return 1.0


def linear(schedule: ScheduleConfig, step: int, end: int) -> float:
    """A straight line from the peak to `min_lr_ratio`."""
    return _between(1.0, schedule.min_lr_ratio, min(1.0, step / end))


def cosine(schedule: ScheduleConfig, step: int, end: int) -> float:
    """Half a cosine from the peak to `min_lr_ratio` (Loshchilov & Hutter 2017, SGDR, eq. 5)."""
    return _cosine_between(1.0, schedule.min_lr_ratio, min(1.0, step / end))


def step_decay(schedule: ScheduleConfig, step: int, end: int) -> float:
    """A cut by `gamma` every `step_size` steps, never below `min_lr_ratio`."""
    return _cut(schedule, step // schedule.step_size)


def exponential(schedule: ScheduleConfig, step: int, end: int) -> float:
    """Like `step_decay`, but smooth: `gamma` to the power of `step / step_size`."""
    return _cut(schedule, step / schedule.step_size)


def one_cycle(schedule: ScheduleConfig, step: int, end: int) -> float:
    """Up from 1/25 of the peak and down to `min_lr_ratio`, both as cosines (Smith & Topin 2018); momentum is not
    cycled.

    As in PyTorch the peak is at step `rise_fraction * end - 1` and the lowest rate at `end - 1`.
    """
    peak, last = schedule.rise_fraction * end - 1, end - 1
    if step <= peak:
        return _cosine_between(ONE_CYCLE_START, 1.0, step / peak if peak > 0 else 1.0)
    return _cosine_between(1.0, schedule.min_lr_ratio, min(1.0, (step - peak) / max(1.0, last - peak)))


def warmup_stable_decay(schedule: ScheduleConfig, step: int, end: int) -> float:
    """The peak, then a straight line to `min_lr_ratio` over the last `decay_fraction` of the run (WSD; Hu et al. 2024,
    MiniCPM).
    """
    decay = schedule.decay_fraction * (end + schedule.warmup_steps)
    decay = min(decay, end)
    if step < end - decay or decay == 0:
        return 1.0
    return _between(1.0, schedule.min_lr_ratio, min(1.0, (step - (end - decay)) / decay))


def cosine_restarts(schedule: ScheduleConfig, step: int, end: int) -> float:
    """Cosines that start again at the peak, each `restart_factor` times as long as the one before (Loshchilov & Hutter
    2017, SGDR).
    """
    start, length = 0.0, float(schedule.restart_steps)
    while step >= start + length:
        start += length
        length *= schedule.restart_factor
    return _cosine_between(1.0, schedule.min_lr_ratio, (step - start) / length)


def plateau(schedule: ScheduleConfig, val_losses: Sequence[float]) -> float:
    """A cut by `gamma` after every `plateau_patience` evaluations in a row without a better validation loss."""
    best, waited, cuts = math.inf, 0, 0
    for loss in val_losses:
        waited = 0 if loss < best else waited + 1
        best = min(best, loss)
        if waited >= schedule.plateau_patience:
            waited, cuts = 0, cuts + 1
    return _cut(schedule, cuts)


SHAPES: dict[str, Callable[[ScheduleConfig, int, int], float]] = {
    "constant": constant,
    "linear": linear,
    "cosine": cosine,
    "step": step_decay,
    "exponential": exponential,
    "one_cycle": one_cycle,
    "wsd": warmup_stable_decay,
    "cosine_restarts": cosine_restarts,
}


def _cut(schedule: ScheduleConfig, cuts: float) -> float:
    return max(schedule.min_lr_ratio, math.pow(schedule.gamma, cuts))


def _between(start: float, end: float, progress: float) -> float:
    return start + (end - start) * progress


def _cosine_between(start: float, end: float, progress: float) -> float:
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * progress))
