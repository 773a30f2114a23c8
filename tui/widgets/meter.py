"""Small pictures of a share: a bar on one line, and a column chart of how it went."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widget import Widget

from tui.theme import ascii_only

EIGHTHS = " ▁▂▃▄▅▆▇█"
EIGHTHS_ASCII = " .:-=+*%#"


def meter(share: float | None, width: int, style: str = "$accent") -> Content:
    """`━━━━━╸────`; an unknown share is all dashes."""
    if share is None:
        return Content.styled(("-" if ascii_only() else "─") * width, "$border")
    halves = round(min(max(share, 0.0), 1.0) * width * 2)
    if ascii_only():
        full = halves // 2
        return Content.assemble(("#" * full, style), ("-" * (width - full), "$border"))
    filled = "━" * (halves // 2) + ("╸" if halves % 2 else "")
    return Content.assemble((filled, style), ("─" * (width - len(filled)), "$border"))


class Trace(Widget):
    """Shares from 0 to 1 as columns, the newest at the right; None leaves a gap. As many rows as it is given."""

    DEFAULT_CSS = "Trace { height: 1; width: 1fr; color: $accent 60%; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(id=id, classes=classes)
        self._shares: list[float | None] = []

    def show(self, shares: Sequence[float | None]) -> None:
        """Draw these; older ones than fit are left out."""
        self._shares = list(shares)
        self.refresh()

    def render(self) -> Content:
        width, height = self.content_size
        glyphs = EIGHTHS_ASCII if ascii_only() else EIGHTHS
        known = self._shares[-width:] if width else []
        shares: list[float | None] = [*[None] * (width - len(known)), *known]
        # What is known is never drawn as nothing: zero load is a line at the foot.
        levels = [0 if share is None else max(1, round(min(max(share, 0.0), 1.0) * height * 8)) for share in shares]
        rows = [
            "".join(glyphs[min(max(level - 8 * floor, 0), 8)] for level in levels) for floor in reversed(range(height))
        ]
        return Content("\n".join(rows))
