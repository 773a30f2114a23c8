"""Exponential moving averages: a curve without its noise."""

from __future__ import annotations

import numpy as np

from tui.charts.growing import Floats

BLOCK = 32


class Ema:
    """Debiased exponential moving average, fed in pieces.

    m_t = beta m_{t-1} + (1 - beta) y_t, shown as m_t / (1 - beta^t) (Kingma & Ba 2015, section 3). Values that are not
    finite are
    passed over: they stay gaps, and the average goes on behind them.
    """

    def __init__(self, beta: float) -> None:
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"beta {beta} is not in [0, 1)")
        self.beta = beta
        self._mean = 0.0
        self._count = 0

    def push(self, values: Floats) -> Floats:
        """The smoothed values [N] that go with the next `values` [N]."""
        smoothed = np.full(len(values), np.nan)
        finite = np.isfinite(values)
        clean = values[finite]
        if self.beta == 0.0 or not len(clean):
            smoothed[finite] = clean
            return smoothed
        means = self._means(clean)
        steps = self._count + np.arange(1, len(clean) + 1)
        smoothed[finite] = means / -np.expm1(steps * np.log(self.beta))
        self._mean, self._count = float(means[-1]), self._count + len(clean)
        return smoothed

    def _means(self, clean: Floats) -> Floats:
        """m_t for all t: inside a block by one triangular product, from block to block by the carried mean."""
        rows = -(-len(clean) // BLOCK)
        padded = np.zeros(rows * BLOCK)
        padded[: len(clean)] = clean
        lags = np.subtract.outer(np.arange(BLOCK), np.arange(BLOCK))
        weights = np.where(lags >= 0, (1.0 - self.beta) * self.beta ** np.maximum(lags, 0), 0.0)
        local = padded.reshape(rows, BLOCK) @ weights.T
        carried = np.empty(rows)
        carry, decay = self._mean, self.beta**BLOCK
        for row, last in enumerate(local[:, -1].tolist()):
            carried[row] = carry
            carry = last + decay * carry
        local += np.outer(carried, self.beta ** np.arange(1, BLOCK + 1))
        return local.reshape(-1)[: len(clean)]


def ema(values: Floats, beta: float) -> Floats:
    """`Ema` of a whole array [N]."""
    return Ema(beta).push(np.asarray(values, dtype=np.float64))
