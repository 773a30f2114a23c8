"""Two quiet themes with one accent colour, and the hues and markers that tell series apart."""

from __future__ import annotations

import locale
import os

from textual.theme import Theme

DARK = Theme(
    name="lm-dark",
    primary="#7aa2c8",
    secondary="#8a93a3",
    accent="#7aa2c8",
    warning="#d7a65f",
    error="#d2706e",
    success="#86b07a",
    foreground="#d5d8dd",
    background="#15171b",
    surface="#15171b",
    panel="#1d2026",
    dark=True,
    variables={
        "block-cursor-foreground": "#e8eaee",
        "block-cursor-background": "#2a3440",
        "block-cursor-text-style": "none",
        "border": "#3a3f48",
        "footer-key-foreground": "#7aa2c8",
    },
)

LIGHT = Theme(
    name="lm-light",
    primary="#2f6796",
    secondary="#66707f",
    accent="#2f6796",
    warning="#94620c",
    error="#a83a38",
    success="#3f7433",
    foreground="#24272c",
    background="#fbfaf7",
    surface="#fbfaf7",
    panel="#f0eee8",
    dark=False,
    variables={
        "block-cursor-foreground": "#16181c",
        "block-cursor-background": "#d9e4ee",
        "block-cursor-text-style": "none",
        "border": "#c4c2ba",
        "footer-key-foreground": "#2f6796",
    },
)

# Okabe & Ito's hues, which colour-blind people can tell apart, toned for each background; far apart in 16 colours too.
SERIES_DARK = ("#6cb6e8", "#e6a23c", "#5fbf8f", "#d98cc0", "#e8df6b", "#e0745a", "#9c8fe0", "#b8bdc6")
SERIES_LIGHT = ("#1f6fb2", "#a8690a", "#16794f", "#a3498a", "#7d7300", "#b3401f", "#5a49b5", "#4d545e")


# Exactly the colours of terminals that have 16: any other would be rounded, most of them to the same grey.
SERIES_16_DARK = ("#55ffff", "#ffff55", "#55ff55", "#ff55ff", "#ff5555", "#5555ff", "#aa5500", "#aaaaaa")
SERIES_16_LIGHT = ("#0000aa", "#aa5500", "#00aa00", "#aa00aa", "#aa0000", "#00aaaa", "#5555ff", "#555555")


def series_colours(theme: str) -> tuple[str, ...]:
    """The hues of series, for the theme of that name."""
    if theme.endswith("-16"):
        return SERIES_16_DARK if "dark" in theme else SERIES_16_LIGHT
    return SERIES_DARK if "dark" in theme else SERIES_LIGHT


def theme_for(name: str, sixteen_colours: bool) -> Theme:
    """The theme `lm-dark` or `lm-light`, in the terminal's own colours where there are only 16."""
    theme = LIGHT if name == LIGHT.name else DARK
    if not sixteen_colours:
        return theme
    accent, quiet = ("#55ffff", "#aaaaaa") if theme is DARK else ("#0000aa", "#555555")
    ground, text = ("#000000", "#ffffff") if theme is DARK else ("#ffffff", "#000000")
    cursor = {
        "block-cursor-background": accent,
        "block-cursor-foreground": ground,
        "border": quiet,
        "footer-key-foreground": accent,
    }
    return Theme(
        name=f"{theme.name}-16",
        primary=accent,
        secondary=quiet,
        accent=accent,
        warning="#ffff55" if theme is DARK else "#aa5500",
        error="#ff5555" if theme is DARK else "#aa0000",
        success="#55ff55" if theme is DARK else "#00aa00",
        foreground=text,
        background=ground,
        surface=ground,
        panel=ground,
        dark=theme.dark,
        variables={**theme.variables, **cursor},
    )


MARKERS = "●▲■◆▼✚★○"
MARKERS_ASCII = "o^s*v+x@"


def ellipsis() -> str:
    """What stands for text that is cut off."""
    return "~" if ascii_only() else "…"


def ascii_only() -> bool:
    """Whether to draw with ASCII alone: `LM_ASCII=1`, or a locale that is not UTF-8."""
    if os.environ.get("LM_ASCII", "") not in ("", "0"):
        return True
    return "utf" not in locale.getpreferredencoding(False).lower()
