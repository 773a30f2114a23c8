"""How long a run still takes: its steps, evaluations, checkpoints and final scores."""

from __future__ import annotations

import math
from collections import deque

from lmcore.training.scoring import final_tokens, tokens_to_score
from lmcore.training.setup import Setup

# The pace of the steps is the mean of this many recent reports.
RECENT_LAPS = 20
# Scoring needs the forward pass alone, about a third of the work of a training step (the backward pass is two thirds);
# this stands for the speed of scoring until the first evaluation was timed.
SCORING_SPEEDUP = 3.0


class Forecast:
    """Learns from what has been timed in this process."""

    def __init__(self, setup: Setup, step: int, stepping: float) -> None:
        self._setup = setup
        self._laps: deque[tuple[int, float]] = deque([(step, stepping)], maxlen=RECENT_LAPS + 1)
        self._tokens_scored_per_second: float | None = None
        self._evaluation: float | None = None
        self._checkpoint = 0.0

    def lap(self, step: int, stepping: float) -> None:
        """Steps done, and the seconds of steps that they took."""
        self._laps.append((step, stepping))
        if len(self._laps) == 3:
            self._laps.popleft()  # the first steps warm up: caches, and perhaps torch.compile

    def evaluated(self, tokens_scored: int, scoring: float, seconds: float) -> None:
        """An evaluation took `seconds`: `scoring` of them for scoring `tokens_scored`, the rest for samples."""
        if scoring > 0:
            self._tokens_scored_per_second = tokens_scored / scoring
        self._evaluation = seconds

    def saved(self, seconds: float) -> None:
        """A checkpoint took `seconds`."""
        self._checkpoint = seconds

    def seconds_left(self, step: int, seconds: float) -> float | None:
        """Seconds until the run has ended, final scores included, after `step` steps and `seconds` of the run.

        None where it cannot be known: before the first step was timed, or when only patience ends the run.
        """
        (first, began), (last, ended) = self._laps[0], self._laps[-1]
        if last == first:
            return None
        pace = (ended - began) / (last - first)
        setup, training = self._setup, self._setup.config.training
        evaluation, rate = self._evaluation_seconds(pace), self._scoring_rate(pace)
        final = sum(final_tokens(setup).values()) / rate
        ends = []
        if setup.total_steps is not None:
            evaluations = self._left(training.eval_every, step)
            saves = self._left(training.checkpoint_every, step) if training.checkpoint_every else evaluations
            ends.append(max(0, setup.total_steps - step) * pace + evaluations * evaluation + saves * self._checkpoint)
        if training.max_minutes:
            ends.append(max(0.0, 60 * training.max_minutes - seconds) + evaluation + self._checkpoint)
        return min(ends) + final if ends else None

    def _left(self, every: int, step: int) -> int:
        """How often something is still due that is done every so many steps (0: once an epoch) and at the last step;
        what is due at `step` itself has not been done yet.
        """
        assert self._setup.total_steps is not None
        length = every or 1 / self._setup.epoch(1)
        return max(0, math.ceil(self._setup.total_steps / length) - math.floor((step - 1) / length))

    def _scoring_rate(self, pace: float) -> float:
        """Tokens scored in a second."""
        if self._tokens_scored_per_second is not None:
            return self._tokens_scored_per_second
        config = self._setup.config
        share = (config.eval.stride or config.model.block_size) / config.model.block_size  # the rest is context
        return SCORING_SPEEDUP * self._setup.tokens_per_step / max(pace, 1e-9) * share

    def _evaluation_seconds(self, pace: float) -> float:
        if self._evaluation is not None:
            return self._evaluation
        return tokens_to_score(self._setup, "val", self._setup.config.eval.max_tokens) / self._scoring_rate(pace)
