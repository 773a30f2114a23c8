"""Text made harmless for a terminal, and numbers made short enough to read."""

from __future__ import annotations

import math
import re

# Bidirectional controls can make a line read other than it is ("Trojan Source", Boucher & Anderson 2021); they and the
# deprecated format characters are dropped. Joiners (U+200C, U+200D) stay: emoji and several scripts are spelled with
# them.
_DROPPED = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x2070)]
_REPLACEMENT = "\ufffd"
_HARMLESS: dict[int, str | None] = {
    **{code: chr(0x2400 + code) for code in range(0x20)},  # C0 as Unicode's control pictures: ESC becomes ␛
    0x7F: "\u2421",
    **dict.fromkeys(range(0x80, 0xA0), _REPLACEMENT),  # C1 holds one-character forms of CSI and OSC
    **dict.fromkeys(range(0xD800, 0xE000), _REPLACEMENT),  # lone surrogates cannot be encoded
    **dict.fromkeys(_DROPPED, None),
    0x2028: "\n",
    0x2029: "\n",
    0x0A: "\n",
    0x09: "\t",
}
_HARMLESS_LINE = _HARMLESS | dict.fromkeys([0x0A, 0x09, 0x2028, 0x2029], " ")


def harmless(text: str, keep_newlines: bool = True) -> str:
    """The text with nothing in it that a terminal would act on.

    Control characters become visible (ESC becomes ␛, so that an escape sequence is shown and not executed), C1 controls
    and lone surrogates become U+FFFD, bidirectional controls are removed. Newlines and tabs are kept, or become spaces
    without `keep_newlines`.
    """
    return text.replace("\r\n", "\n").translate(_HARMLESS if keep_newlines else _HARMLESS_LINE)


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """A sort key that compares numbers in a name by value, exp2 before exp10, and ignores case."""
    return [
        (0, int(part), "") if part.isdecimal() else (1, 0, part.lower()) for part in re.split(r"(\d+)", name) if part
    ]


def human_bytes(n: float) -> str:
    """Bytes in powers of 1024, as memory is measured: `3.5 GB`."""
    return _scaled(n, 1024, ("B", "KB", "MB", "GB", "TB", "PB"), " ")


def human_count(n: float) -> str:
    """A count in powers of 1000: `59.6M`."""
    return _scaled(n, 1000, ("", "K", "M", "B", "T"), "")


def human_time(seconds: float) -> str:
    """A duration in its two largest units: `12m 40s`, `3h 05m`, `2d 4h`; below ten seconds with one decimal.

    One that is not finite is `?`.
    """
    if not math.isfinite(seconds):
        return "?"
    if seconds < 0:
        return f"-{human_time(-seconds)}"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d {whole % 86400 // 3600}h"


def _scaled(n: float, base: int, units: tuple[str, ...], space: str) -> str:
    """With one decimal, except in the first unit."""
    if not math.isfinite(n):
        return "?"
    if round(abs(n)) < base:
        return f"{round(n)}{space}{units[0]}"
    power = 1
    # A number that rounds to a whole `base` is 1.0 of the next unit.
    while power < len(units) - 1 and round(abs(n) / base**power, 1) >= base:
        power += 1
    return f"{n / base**power:.1f}{space}{units[power]}"
