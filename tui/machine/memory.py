"""Where one run's memory goes: its parts as one bar and as figures, other processes on the GPU, the steady state."""

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
from tui.theme import ascii_only
from tui.widgets.panel import Panel

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
    "weights": "parameters",
    "gradients": "one value per learnable parameter",
    "optimizer": "optimizer state",
    "activations": "kept for the backward pass, at the peak",
    "cached": "cached by PyTorch for reuse",
    "rest": "driver, libraries, data",
    "others": "other processes on this GPU",
    "free": "",
}


@dataclass(frozen=True)
class MemorySplit:
    """Bytes by purpose, None where not known; `total` is the GPU's memory, or on the CPU the process's own."""

    parts: dict[str, float | None]
    total: float | None


def split_of(train: dict[str, Any], process_bytes: float | None, gpu: Gpu | None) -> MemorySplit:
    """The split of a run's memory.

    Args:
        train: its newest train event.
        process_bytes: memory of its process, on the GPU or in RAM.
        gpu: the GPU it computes on; None for the CPU.
    """
    reported = train.get("memory") or {}
    parts: dict[str, float | None] = {name: reported.get(name) for name in PARTS}
    known = sum(value for value in parts.values() if value is not None)
    holds = process_bytes if process_bytes is not None else train.get("memory_bytes")
    parts["rest"] = None if holds is None else max(0.0, holds - known)
    if gpu is None:
        return MemorySplit(parts, None if holds is None else max(holds, known))
    used = gpu.memory_used_bytes
    parts["others"] = None if used is None or holds is None else max(0.0, used - holds)
    parts["free"] = (
        None if used is None or gpu.memory_total_bytes is None else max(0.0, float(gpu.memory_total_bytes - used))
    )
    return MemorySplit(parts, gpu.memory_total_bytes)


def stacked(split: MemorySplit, width: int) -> str:
    """The parts side by side, to scale; a small part that is known still has a cell."""
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
    """The memory of one run."""

    TITLE = "Memory"
    DEFAULT_CSS = "MemoryPanel Static { height: auto; text-wrap: nowrap; text-overflow: ellipsis; }"

    def compose_panel(self) -> ComposeResult:
        yield Static(markup=False, id="split")

    def show(self, run: str | None, where: str, split: MemorySplit | None, record: MemoryRecord | None) -> None:
        """Show a run's memory; `where` names the device."""
        dot = " - " if ascii_only() else " · "
        self.border_title = Content(f"Memory of {harmless(run)}{dot}{where}" if run else self.TITLE)
        body = self.query_one("#split", Static)
        if run is None or split is None:
            body.update(
                "No run is training.\n"
                "This panel shows the memory of a run: weights,\n"
                "gradients, optimizer state and activations."
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
            return ["steady state: no data yet"]
        return [
            f"steady {human_bytes(record.steady)}",
            f"peak {human_bytes(record.peak)}",
            f"over {len(record.bytes):,} reports",
        ]
