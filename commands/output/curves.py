"""Curves as text, through plotext: train and validation together, told apart by marker as well as by colour."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

from commands.output.console import columns, is_colourful, pad, put

VALIDATION_MARKERS = ("•", "x", "o", "+", "#", "@", "%", "&")
TRAIN_MARKER = "braille"
TRAIN_SAMPLE = "⠤⠤"
# Of the 256-colour cube: blue, orange, green, magenta, cyan, red; readable on light and on dark.
COLOURS = (33, 208, 34, 170, 37, 160)
WIDEST = 120


@dataclass(frozen=True)
class Curve:
    """One line of a figure, without the points whose x or y is not finite.

    Curves of one run share a `group`, which gives them one colour and marker.
    """

    label: str
    x: Sequence[float | None]
    y: Sequence[float | None]
    validation: bool
    group: int


def put_figure(
    curves: Sequence[Curve],
    *,
    title: str,
    x_label: str,
    y_label: str,
    log_x: bool = False,
    log_y: bool = False,
    height: int = 20,
) -> None:
    """Draw curves on stdout as wide as the terminal, with axes labelled and a legend below."""
    import plotext

    points = [finite_points(curve, log_x=log_x, log_y=log_y, limit=2 * WIDEST) for curve in curves]
    drawn = [(curve, found) for curve, found in zip(curves, points, strict=True) if found]
    if not drawn:
        put(f"{title}: nothing to draw yet.")
        return
    colourful = is_colourful(sys.stdout)
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.limit_size(False, False)  # plotext asks the terminal for its size, not COLUMNS
    plotext.plot_size(min(columns(), WIDEST), height)
    for curve, found in drawn:
        xs, ys = zip(*found, strict=True)
        draw = plotext.scatter if len(found) == 1 else plotext.plot
        draw(xs, ys, marker=_marker(curve), color=COLOURS[curve.group % len(COLOURS)] if colourful else None)
    if log_x:
        plotext.xticks(*_log_ticks([x for _, found in drawn for x, _ in found]))
    if log_y:
        plotext.yticks(*_log_ticks([y for _, found in drawn for _, y in found]))
    plotext.title(title)
    plotext.xlabel(f"{x_label} (log scale)" if log_x else x_label)
    plotext.ylabel(f"{y_label} (log scale)" if log_y else y_label)
    text = plotext.build().rstrip("\n")
    put(text if colourful else plotext.uncolorize(text))
    put(_legend([curve for curve, _ in drawn], colourful))


def finite_points(curve: Curve, *, log_x: bool = False, log_y: bool = False, limit: int) -> list[tuple[float, float]]:
    """The finite points, evenly thinned to about `limit`, with natural logarithms where asked: plotext itself fails on
    NaN and on 0.
    """
    points = [
        (math.log(x) if log_x else x, math.log(y) if log_y else y)
        for x, y in zip(curve.x, curve.y, strict=True)
        if _can_be_drawn(x, log_x) and _can_be_drawn(y, log_y)
    ]
    kept = points[:: math.ceil(len(points) / limit) or 1]
    return kept if not points or kept[-1] == points[-1] else [*kept, points[-1]]


def _can_be_drawn(value: float | None, log: bool) -> TypeGuard[float]:
    return value is not None and math.isfinite(value) and (not log or value > 0)


def _log_ticks(logs: Sequence[float]) -> tuple[list[float], list[str]]:
    """Six places from the lowest to the highest, named by what they are the logarithms of."""
    low, high = min(logs), max(logs)
    ticks = [low + (high - low) * i / 5 for i in range(6)] if high > low else [low]
    return ticks, [f"{math.exp(tick):,.0f}" if math.exp(tick) >= 100 else f"{math.exp(tick):.3g}" for tick in ticks]


def _marker(curve: Curve) -> str:
    return VALIDATION_MARKERS[curve.group % len(VALIDATION_MARKERS)] if curve.validation else TRAIN_MARKER


def _legend(curves: Sequence[Curve], colourful: bool) -> str:
    """Markers and labels, as many in a line as fit."""
    width = max(len(curve.label) for curve in curves) + 6
    in_line = max(1, columns() // width)
    lines = []
    for first in range(0, len(curves), in_line):
        entries = []
        for curve in curves[first : first + in_line]:
            sample = f" {_marker(curve)}" if curve.validation else TRAIN_SAMPLE
            painted = f"\x1b[38;5;{COLOURS[curve.group % len(COLOURS)]}m{sample}\x1b[0m" if colourful else sample
            entries.append(f"{painted} {pad(curve.label, width - 3)}")
        lines.append("".join(entries).rstrip())
    return "\n".join(lines)
