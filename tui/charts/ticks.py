"""Round numbers for axes, and how they are written."""

from __future__ import annotations

import math

TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


def linear_ticks(low: float, high: float, most: int) -> list[float]:
    """At most `most` multiples of 1, 2 or 5 times a power of ten, within [low, high]."""
    if not (math.isfinite(low) and math.isfinite(high)) or most < 1:
        return []
    if high <= low:
        return [low]
    rough = (high - low) / most
    magnitude = 10.0 ** math.floor(math.log10(rough))
    for factor in (1.0, 2.0, 5.0, 10.0, 20.0, 50.0):
        ticks = _multiples(low, high, factor * magnitude)
        if len(ticks) <= most:
            return ticks
    return []


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Ticks for a logarithmic axis within [low, high], both above 0: powers of ten, with 2 and 5 or finer where there
    is room.
    """
    if not (0 < low <= high < math.inf) or most < 1:
        return []
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for factors in ((1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 5), (1, 3), (1,)):
        ticks = [
            factor * 10.0**power
            for power in range(first, last + 1)
            for factor in factors
            if low <= factor * 10.0**power <= high
        ]
        if 2 <= len(ticks) <= most:
            return ticks
    decades = [10.0**power for power in range(first, last + 1) if low <= 10.0**power <= high]
    if len(decades) > most:
        return decades[:: -(-len(decades) // most)]
    # Less than a decade: the axis is nearly linear.
    return linear_ticks(low, high, most)


def time_ticks(low: float, high: float, most: int) -> list[float]:
    """Ticks at whole seconds, minutes, hours or days, within [low, high] in seconds."""
    if not (math.isfinite(low) and math.isfinite(high)) or most < 1:
        return []
    days = 1
    while True:
        for step in (*TIME_STEPS, *(86400 * days * k for k in (2, 5, 10))):
            ticks = _multiples(low, high, step)
            if len(ticks) <= most:
                return ticks
        days *= 10


def _multiples(low: float, high: float, step: float) -> list[float]:
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first + 1
    return [(first + k) * step for k in range(min(count, 10_000))]


def format_count(value: float) -> str:
    """Steps and tokens: 250, 1.5k, 20M."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= size:
            return f"{value / size:.10g}{unit}" if value % (size / 100) == 0 else f"{value / size:.3g}{unit}"
    return f"{value:.6g}"


def format_time(seconds: float) -> str:
    """h:mm:ss, or d:hh:mm when it is days."""
    whole = round(seconds)
    if abs(whole) >= 86400:
        days, rest = divmod(whole, 86400)
        return f"{days}d{rest // 3600:02d}h"
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def format_value(value: float) -> str:
    """Four figures: 148.2, 0.8312, 6.1e-4."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "–"
    size = abs(value)
    if size >= 1e5:
        return format_count(value)
    if size >= 1000:
        return f"{value:.0f}"
    if size < 1e-3:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    return f"{value:.4g}"
