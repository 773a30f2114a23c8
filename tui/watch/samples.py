"""The samples of each evaluation, shown for the step at the cursor: how the text improved."""

from __future__ import annotations

from bisect import bisect_right

from rich.text import Text
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from lmcore.runs.events import number
from lmcore.text import harmless
from tui.theme import ascii_only
from tui.watch.view import RunPanel, RunView
from tui.widgets.pages import Pages


class SamplesPanel(RunPanel):
    """Texts of one run at one step."""

    TITLE = "Samples"
    DEFAULT_CSS = "SamplesPanel #samples { width: 1fr; height: auto; }"

    def compose_panel(self) -> ComposeResult:
        with Pages():
            yield Static("", id="samples")

    def show(self, view: RunView) -> None:
        """Show the newest samples at or before the cursor's step; without a cursor, the newest of all."""
        samples: list[dict[str, object]] = []
        if view.data is not None:
            with view.data.lock:
                samples = list(view.data.samples)
        at = sample_step(samples, view.cursor_step)
        left, right = ("<", ">") if ascii_only() else ("◀", "▶")
        self.border_title = Content(self.TITLE if at is None else f"{self.TITLE} {left} step {at:,} {right}")
        self.query_one("#samples", Static).update(_texts(samples, at))


def sample_step(samples: list[dict[str, object]], step: int | None) -> int | None:
    """The step of the newest samples at or before `step` (else the first ones); None without samples."""
    steps = sorted({int(value) for sample in samples if (value := number(sample.get("step"))) == value})
    if not steps:
        return None
    return steps[-1] if step is None else steps[max(bisect_right(steps, step) - 1, 0)]


def _texts(samples: list[dict[str, object]], at: int | None) -> Text:
    if at is None:
        return Text("No samples yet. The run generates some at each evaluation.", style="dim")
    text = Text()
    for sample in samples:
        if number(sample.get("step")) == at:
            text.append(harmless(str(sample.get("prompt", ""))), style="dim")
            text.append(harmless(str(sample.get("text", ""))).rstrip() + "\n\n")
    return text
