"""Text in a given number of terminal cells.

Widths are Rich's (`rich.cells`), because Textual lays out every line with them: text measured by any other table would
stand in another column than the one that was reserved for it. Rich takes its tables from the `wcwidth` project; a test
compares the two.
"""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

from tui.theme import ellipsis


def fit(text: str, width: int, *, right: bool = False) -> str:
    """The text in exactly `width` cells: padded, or cut and marked with an ellipsis."""
    missing = width - cell_len(text)
    if missing >= 0:
        return " " * missing + text if right else text + " " * missing
    return set_cell_size(text, width - 1) + ellipsis() if width > 0 else ""
