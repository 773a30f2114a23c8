"""Which part of the x-axis is shown."""

from __future__ import annotations

from dataclasses import dataclass

# A view is never narrower than this share of the whole.
NARROWEST = 1e-6


@dataclass(frozen=True)
class Viewport:
    """A window (low, high) on the x-axis; None shows everything and grows with the curve."""

    window: tuple[float, float] | None = None

    def span(self, low: float, high: float) -> tuple[float, float]:
        """The visible range when the curves reach from `low` to `high`."""
        if self.window is not None:
            return self.window
        return (low, high) if high > low else (low, low + 1.0)

    def zoom(self, factor: float, centre: float, low: float, high: float) -> Viewport:
        """Show `factor` times as much around `centre`, which keeps its place; as much as there is, at most."""
        left, right = self.span(low, high)
        centre = min(max(centre, left), right)
        width = (right - left) * factor
        if width >= high - low:
            return Viewport()
        if width < (high - low) * NARROWEST:
            return self
        new_left = centre - (centre - left) * factor
        return Viewport(_inside(new_left, width, low, high))

    def pan(self, share: float, low: float, high: float) -> Viewport:
        """Move by a share of the visible width, not beyond the curves' ends."""
        if self.window is None:
            return self
        left, right = self.window
        return Viewport(_inside(left + (right - left) * share, right - left, low, high))


def _inside(left: float, width: float, low: float, high: float) -> tuple[float, float]:
    left = min(max(left, low), high - width)
    return left, left + width
