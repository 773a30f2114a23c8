"""A long curve reduced to the least and the greatest value in each column of the screen."""

from __future__ import annotations

import numpy as np

from tui.charts.growing import Floats, Growing

FACTOR = 16
# Beyond this, scales overflow; no loss means anything there.
LARGEST = 1e100
# A column must span this many blocks for a block on its edge not to be seen in the wrong column.
BLOCKS_PER_COLUMN = 8


class Pyramid:
    """Least and greatest of every 16, 256, ... values, kept up while values are appended: a redraw never visits a
    million points.

    Infinities, and what is beyond 1e100, count as missing; a block without a value is NaN.
    """

    def __init__(self) -> None:
        self.values = Growing()
        self._levels: list[tuple[Growing, Growing]] = []

    def __len__(self) -> int:
        return len(self.values)

    def extend(self, values: Floats) -> None:
        """Append values [N]."""
        values = np.where(np.abs(values) <= LARGEST, values, np.nan)
        self.values.extend(values)
        low, high = self.values, self.values
        for depth in range(64):
            whole = len(low) // FACTOR
            if not whole:
                break
            if depth == len(self._levels):
                self._levels.append((Growing(), Growing()))
            lows, highs = self._levels[depth]
            done = len(lows)
            if whole > done:
                span = slice(done * FACTOR, whole * FACTOR)
                lows.extend(np.fmin.reduce(low.values[span].reshape(-1, FACTOR), axis=1))
                highs.extend(np.fmax.reduce(high.values[span].reshape(-1, FACTOR), axis=1))
            low, high = lows, highs

    def level(self, points_per_column: float) -> tuple[int, Floats, Floats]:
        """The coarsest level that is fine enough: (values per block, least [M], greatest [M]).

        The last block may be cut: the values behind the last whole one come as single blocks of their own reduction.
        """
        stride, depth = 1, -1
        while depth + 1 < len(self._levels) and stride * FACTOR * BLOCKS_PER_COLUMN <= points_per_column:
            stride, depth = stride * FACTOR, depth + 1
        if depth < 0:
            return 1, self.values.values, self.values.values
        lows, highs = (side.values for side in self._levels[depth])
        rest = self.values.values[len(lows) * stride :]
        if len(rest):
            lows = np.append(lows, np.fmin.reduce(rest))
            highs = np.append(highs, np.fmax.reduce(rest))
        return stride, lows, highs


def column_extremes(x: Floats, low: Floats, high: Floats, edges: Floats) -> tuple[Floats, Floats]:
    """Least of `low` and greatest of `high` in each column.

    Args:
        x: Positions [M], ascending.
        low, high: Values [M]; NaN is missing.
        edges: Borders of the columns [C + 1], ascending; a column holds edges[c] <= x < edges[c + 1].

    Returns:
        Least [C] and greatest [C]; NaN where a column holds nothing.
    """
    borders = np.searchsorted(x, edges)
    least = np.full(len(edges) - 1, np.nan)
    greatest = least.copy()
    filled = borders[1:] > borders[:-1]
    if filled.any():
        starts, end = borders[:-1][filled], borders[-1]
        least[filled] = np.fmin.reduceat(low[:end], starts)
        greatest[filled] = np.fmax.reduceat(high[:end], starts)
    return least, greatest
