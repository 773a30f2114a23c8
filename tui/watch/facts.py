"""The figures of one run beside its curves: progress, ETA, warnings, losses, gap and trend, speed, memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from lmcore.lab.diagnose import Gap, Sign, curves_of, diagnose, generalization_gap
from lmcore.measures import perplexity
from lmcore.runs.events import number
from lmcore.text import harmless, human_bytes, human_count, human_time
from tui.charts.ticks import format_value
from tui.run_data import RunData
from tui.theme import ascii_only
from tui.watch.view import RunPanel, RunView
from tui.watcher import RunRow
from tui.widgets.cells import fit
from tui.widgets.pages import Pages

ARROWS = {"rising": "↗", "falling": "↘", "steady": "→"}
ARROWS_ASCII = {"rising": "up", "falling": "down", "steady": "level"}


class FactsPanel(RunPanel):
    """One run in numbers."""

    TITLE = "Facts"
    DEFAULT_CSS = "FactsPanel #facts { width: 1fr; height: auto; }"

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(id=id)
        self._last: RunView | None = None
        self._health: tuple[tuple[str, int, int], Gap | None, list[Sign]] | None = None

    def compose_panel(self) -> ComposeResult:
        with Pages():
            yield Static("", id="facts")

    def show(self, view: RunView) -> None:
        """Show a run; before its events were read, what the list knows of it."""
        self._last = view
        row, data = view.row, view.data
        self.border_title = Content(harmless(row.name, keep_newlines=False) if row else self.TITLE)
        self.border_subtitle = row.state if row else ""
        body = self.query_one("#facts", Static)
        if row is None:
            body.update("No runs yet. Start one in Presets (2), or with lm train.")
            return
        width = max(body.size.width, 20)
        if data is None:
            body.update(_table(row_facts(row), width))
            return
        warning = self.app.theme_variables["warning"]
        with data.lock:
            gap, signs = self._read_health(row.name, data)
            text = _table(run_facts(row, data, gap), width)
            bar = progress_bar(row, data, width)
            warned = run_warnings(data.warnings)
            told = {str(event.get("what")) for event in data.warnings}
        glyph = "! " if ascii_only() else "⚠ "
        asked = [Text(" · ".join(view.requests), style=warning)] if view.requests else []
        warnings = [Text(f"{glyph}{harmless(message, keep_newlines=False)}", style=warning) for message in warned]
        # What the run itself warns of is not said a second time.
        new = next((sign for sign in signs if sign.what not in told), None)
        sign = [Text(f"{new.what}: {new.message} {new.remedy}", style="dim")] if new else []
        body.update(_stack([bar, *asked, *warnings, text, *sign]))

    def on_resize(self) -> None:
        """The columns depend on the width."""
        self.call_after_refresh(self._show_again)

    def _show_again(self) -> None:
        if self._last is not None:
            with self.guard():
                self.show(self._last)

    def _read_health(self, name: str, data: RunData) -> tuple[Gap | None, list[Sign]]:
        """Gap and signs; computed again only when there is another evaluation, or fifty more train events."""
        key = (name, len(data.val), len(data.train) // 50)
        if self._health is None or self._health[0] != key:
            curves = curves_of(data)
            self._health = (key, generalization_gap(curves), diagnose(curves, data.config))
        return self._health[1], self._health[2]


def row_facts(row: RunRow) -> list[tuple[str, str]]:
    """What the list knows of a run."""
    return [("state", row.state), ("model", row.architecture), ("corpus", row.dataset), ("step", f"{row.step:,}")]


def run_facts(row: RunRow, data: RunData, gap: Gap | None) -> list[tuple[str, str]]:
    """Pairs of a name and a value; what is not known is left out."""
    train, best = data.last_train, data.best
    arrows = ARROWS_ASCII if ascii_only() else ARROWS
    facts = [
        ("train ppl", _perplexity(number(train.get("loss")))),
        ("val ppl", _perplexity(number(data.last_val.get("loss")))),
        ("gap", f"{gap.value:+.2f} {arrows[gap.trend]}" if gap else ""),
        (
            "best ppl",
            f"{_perplexity(number(best.get('loss')))} @ {int(number(best.get('step'))):,}"
            if best and math.isfinite(number(best.get("step")))
            else "",
        ),
        ("lr", _value(train.get("lr"))),
        ("grad norm", _value(train.get("grad_norm"))),
        ("tokens/s", _whole(train.get("tokens_per_second"))),
        (
            "memory",
            human_bytes(number(train.get("memory_bytes"))) if math.isfinite(number(train.get("memory_bytes"))) else "",
        ),
        ("tokens", human_count(number(train.get("tokens"))) if math.isfinite(number(train.get("tokens"))) else ""),
        ("time", human_time(number(train.get("seconds"))) if math.isfinite(number(train.get("seconds"))) else ""),
        ("model", row.architecture),
        ("corpus", row.dataset),
    ]
    parameters = data.start.get("parameters")
    if isinstance(parameters, dict) and math.isfinite(number(parameters.get("total"))):
        facts.append(("parameters", human_count(number(parameters["total"]))))
    return [(name, value) for name, value in facts if value]


def run_warnings(warnings: Sequence[dict[str, Any]]) -> list[str]:
    """The messages to show: every substitution, because it concerns all figures of the run, and the newest other."""
    substituted = [event for event in warnings if event.get("what") == "substitution"]
    others = [event for event in warnings if event.get("what") != "substitution"]
    messages = [str(event.get("message") or event.get("what")) for event in [*substituted, *others[-1:]]]
    return list(dict.fromkeys(messages))


def seconds_left(row: RunRow, data: RunData) -> float | None:
    """Seconds until the split that is being scored is done, else until the run is: as the run itself reckons, with
    evaluations and final scores. None when it is not known.
    """
    if row.state not in ("running", "paused"):
        return None
    if data.scoring is not None:
        return data.scoring.seconds_left
    left = number(data.last_train.get("seconds_left"))
    return left if math.isfinite(left) else None


def progress_bar(row: RunRow, data: RunData, width: int) -> Text:
    """Steps and epoch, or how far a scoring is; and below them a bar and the time left."""
    step = int(number(data.last_train.get("step"))) if data.last_train.get("step") is not None else row.step
    total = number(data.start.get("total_steps"))
    epoch = number(data.last_train.get("epoch"))
    scoring = data.scoring if row.state == "running" else None
    text = Text(no_wrap=True, overflow="crop")
    done = f"step {step:,}" + (f"/{int(total):,}" if math.isfinite(total) and total else "")
    if scoring is not None:
        final = "final " if scoring.final else ""
        said = f"scoring {final}{harmless(scoring.split, keep_newlines=False)} {scoring.percent}"
        share = scoring.share
        text.append(f"{done}   {said}" if len(done) + 3 + len(said) <= width else said)
    else:
        share = min(step / total, 1.0) if math.isfinite(total) and total else (1.0 if row.state == "finished" else 0.0)
        text.append(done + (f"   epoch {epoch:.1f}" if math.isfinite(epoch) else ""))
    text.append("\n")
    left = seconds_left(row, data)
    after = f" ETA {human_time(left)}" if left is not None else ""
    room = max(width - len(after), 4)
    full = round(room * share)
    line, rest = ("=", "-") if ascii_only() else ("━", "─")
    text.append(line * full, style="bold")
    text.append(rest * (room - full), style="dim")
    text.append(after)
    return text


def _table(facts: list[tuple[str, str]], width: int) -> Text:
    """Names and right-aligned values, in two pairs of columns where the width allows it."""
    pairs = 2 if width >= 44 else 1
    room = (width - 4 * (pairs - 1)) // pairs
    rows = -(-len(facts) // pairs)
    text = Text(no_wrap=True, overflow="crop")
    for row in range(rows):
        for pair in range(pairs):
            at = row + pair * rows
            name, value = facts[at] if at < len(facts) else ("", "")
            text.append("    " if pair else "")
            text.append(f"{name} ", style="dim")
            text.append(fit(harmless(value, keep_newlines=False), room - len(name) - 1, right=True))
        text.append("\n" if row < rows - 1 else "")
    return text


def _stack(parts: Iterable[Text]) -> Table:
    stack = Table.grid(expand=True)
    for part in parts:
        stack.add_row(part)
    return stack


def _perplexity(loss: float) -> str:
    return format_value(perplexity(loss)) if math.isfinite(loss) else ""


def _value(value: object) -> str:
    return format_value(number(value)) if math.isfinite(number(value)) else ""


def _whole(value: object) -> str:
    return f"{number(value):,.0f}" if math.isfinite(number(value)) else ""
