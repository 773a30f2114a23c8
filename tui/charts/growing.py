"""Arrays that grow at the end without being copied each time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Growing:
    """A float64 array [N] whose capacity doubles, so that N appends cost O(N)."""

    def __init__(self) -> None:
        self._data: Floats = np.empty(64)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def values(self) -> Floats:
        """A view of what is there; it stays valid, but does not grow."""
        return self._data[: self._size]

    def extend(self, values: Floats | list[float]) -> None:
        """Append values."""
        added = len(values)
        needed = self._size + added
        if needed > len(self._data):
            grown = np.empty(max(needed, 2 * len(self._data)))
            grown[: self._size] = self.values
            self._data = grown
        self._data[self._size : needed] = values
        self._size = needed

    def cut(self, size: int) -> None:
        """Keep the first `size` values only."""
        self._size = min(self._size, size)

    def halve(self) -> None:
        """Keep every second value."""
        kept = self.values[::2].copy()
        self._data, self._size = kept, len(kept)
