"""Curves as text, through plotext: train and validation together, told apart by marker as well as by colour."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from cli_parts.console import columns, is_colourful, put

MARKERS = ("•", "x", "o", "+", "#", "@", "%", "&")
COLOURS = ("blue+", "orange+", "green+", "magenta+", "cyan+", "red+", "white", "gray+")


@dataclass(frozen=True)
class Curve:
    """One line of a figure; points that are not finite are left out."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    validation: bool
    group: int
    """Curves of one run share a group, and so a colour."""


def put_figure(curves: Sequence[Curve], *, title: str, x_label: str, y_label: str, height: int = 18) -> None:
    """Draw the curves on stdout, as wide as the terminal. Train curves are thin (braille), validation's have a marker of the run's own."""
    import plotext

    drawn = [(curve, points) for curve in curves if (points := finite_points(curve.x, curve.y, limit=2 * columns()))]
    if not drawn:
        put(f"{title}: nothing to draw yet.")
        return
    plotext.clear_figure()
    if not is_colourful(sys.stdout):
        plotext.theme("clear")
    plotext.plot_size(min(columns(), 120), height)
    for curve, points in drawn:
        xs, ys = zip(*points, strict=True)
        colour = COLOURS[curve.group % len(COLOURS)] if is_colourful(sys.stdout) else None
        marker = MARKERS[curve.group % len(MARKERS)] if curve.validation else "braille"
        draw = plotext.scatter if curve.validation and len(points) == 1 else plotext.plot
        draw(xs, ys, label=curve.label, marker=marker, color=colour)
    plotext.title(f"{title} — y: {y_label}, x: {x_label}")
    plotext.xlabel(x_label)
    plotext.ylabel(y_label)
    text = plotext.build()
    put(text if is_colourful(sys.stdout) else plotext.uncolorize(text))


def finite_points(x: Sequence[float], y: Sequence[float], limit: int) -> list[tuple[float, float]]:
    """The finite points, at most about `limit` of them: plotext aborts on NaN, and a terminal cannot show more."""
    points = [(a, b) for a, b in zip(x, y, strict=True) if a is not None and b is not None and math.isfinite(a) and math.isfinite(b)]
    step = max(1, len(points) // limit)
    return points[::step] if len(points) % step == 1 or step == 1 else [*points[::step], points[-1]]
