"""ASCII alone, also for what Textual draws itself: borders, scroll bars, buttons, the ends of cut texts."""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

# Each sign is one cell wide, and so is what replaces it. Letters of the user's texts are none of them.
_SIGNS = {
    **dict.fromkeys("─━╌╸╺═▁▔–—", "-"),
    **dict.fromkeys("│┃▏▎▍▌▋▊▉▐▕┊", "|"),
    **dict.fromkeys("╭╮╯╰┌┐└┘├┤┬┴┼", "+"),
    **dict.fromkeys("▂▃▄▅▆▇█▓▒░", "#"),
    **dict.fromkeys("●•", "*"),
    "○": "o",
    "…": "~",
    "·": "-",
    "×": "x",
    "≈": "~",
    "←": "<",
    "→": ">",
    "↑": "^",
    "↓": "v",
}
_TABLE = str.maketrans(_SIGNS)


class AsciiOnly(LineFilter):
    """Replaces what the screen and Textual draw with; the user's own texts keep their letters."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The segments with the signs replaced."""
        return [Segment(text.translate(_TABLE), style, control) for text, style, control in segments]
