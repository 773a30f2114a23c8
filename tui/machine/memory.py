"""Where one run's memory goes: its parts as one bar and as figures, others on the card, the steady state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from lmcore.telemetry import Gpu
from lmcore.text import harmless, human_bytes
from tui.machine.devices import said_bytes
from tui.machine.record import MemoryRecord
from tui.panel import Panel
from tui.theme import ascii_only

# Told apart by glyph, so that no hue is needed.
GLYPHS = {
    "weights": "█",
    "gradients": "▓",
    "optimizer": "▒",
    "activations": "░",
    "cached": "▚",
    "rest": "▞",
    "others": "╳",
    "free": "·",
}
GLYPHS_ASCII = {
    "weights": "W",
    "gradients": "G",
    "optimizer": "O",
    "activations": "A",
    "cached": "C",
    "rest": "+",
    "others": "x",
    "free": ".",
}
PARTS = ("weights", "gradients", "optimizer", "activations", "cached")
MEANING = {
    "weights": "the parameters",
    "gradients": "one for each learnable parameter",
    "optimizer": "what it remembers of earlier steps",
    "activations": "what the backward pass needs, at the peak",
    "cached": "held by PyTorch for reuse",
    "rest": "driver, libraries, data",
    "others": "other processes on this card",
    "free": "",
}


@dataclass(frozen=True)
class Split:
    """Bytes by purpose, None where not known; `total` is the card's memory, or the process's own on the CPU."""

    parts: dict[str, float | None]
    total: float | None


def split_of(train: dict[str, Any], process_bytes: float | None, gpu: Gpu | None) -> Split:
    """The split of a run's memory.

    Args:
        train: its newest train event.
        process_bytes: what its process holds, on the card or in RAM.
        gpu: the card it computes on, None for the CPU.
    """
    reported = train.get("memory") or {}
    parts: dict[str, float | None] = {name: reported.get(name) for name in PARTS}
    known = sum(value for value in parts.values() if value is not None)
    holds = process_bytes if process_bytes is not None else train.get("memory_bytes")
    parts["rest"] = None if holds is None else max(0.0, holds - known)
    if gpu is None:
        return Split(parts, None if holds is None else max(holds, known))
    used = gpu.memory_used_bytes
    parts["others"] = None if used is None or holds is None else max(0.0, used - holds)
    parts["free"] = (
        None if used is None or gpu.memory_total_bytes is None else max(0.0, float(gpu.memory_total_bytes - used))
    )
    return Split(parts, gpu.memory_total_bytes)


def stacked(split: Split, width: int) -> str:
    """The parts side by side, to scale; what is known but thin still has a cell."""
    glyphs = GLYPHS_ASCII if ascii_only() else GLYPHS
    if not split.total:
        return ""
    cells = {
        name: max(1, round(width * value / split.total))
        for name, value in split.parts.items()
        if value and name != "free"
    }
    return "".join(glyphs[name] * count for name, count in cells.items())[:width].ljust(width, glyphs["free"])


class MemoryPanel(Panel):
    """The memory of one of our runs."""

    TITLE = "Memory"
    DEFAULT_CSS = "MemoryPanel Static { height: auto; text-wrap: nowrap; text-overflow: ellipsis; }"

    def compose_panel(self) -> ComposeResult:
        yield Static(markup=False, id="split")

    def show(self, run: str | None, where: str, split: Split | None, record: MemoryRecord | None) -> None:
        """Show a run's memory; `where` names the device."""
        dot = " - " if ascii_only() else " · "
        self.border_title = Content(f"Memory of {harmless(run)}{dot}{where}" if run else self.TITLE)
        body = self.query_one("#split", Static)
        if run is None or split is None:
            body.update(
                "No run of ours is training.\nIts weights, gradients, optimizer state\nand activations are shown here."
            )
            return
        glyphs = GLYPHS_ASCII if ascii_only() else GLYPHS
        rows: list[Content] = [Content.styled(stacked(split, max(self.content_size.width, 10)), "$accent"), Content("")]
        for name, value in split.parts.items():
            mark = Content.assemble((f"{glyphs[name]} ", "$accent" if name not in ("others", "free") else "$secondary"))
            meaning = (
                "activations, libraries, data"
                if name == "rest" and split.parts["activations"] is None
                else MEANING[name]
            )
            rows.append(Content.assemble(mark, f"{name:<12}{said_bytes(value):>10}  ", (meaning, "$secondary")))
        rows += [Content(""), Content(dot.join(self._figures(record)))]
        body.update(Content("\n").join(rows))

    def _figures(self, record: MemoryRecord | None) -> list[str]:
        if record is None or record.steady is None or record.peak is None:
            return ["steady state: not measured yet"]
        return [
            f"steady {human_bytes(record.steady)}",
            f"peak {human_bytes(record.peak)}",
            f"over {len(record.bytes):,} reports",
        ]
