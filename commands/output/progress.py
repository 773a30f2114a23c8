"""A training as it happens: a line that redraws on a terminal, or one line per report in a pipe. Always on stderr."""

from __future__ import annotations

import math
import sys
import time
from typing import Any

from commands.output.console import YELLOW, columns, is_terminal, note
from lmcore.text import harmless, human_count, human_time

# What a narrow terminal goes without, the least useful first; the bar before all of these.
LESS = ((), ("lr",), ("lr", "epoch"), ("lr", "epoch", "ppl"), ("lr", "epoch", "ppl", "speed"))


def perplexity(loss: float | None) -> str:
    """exp(loss) as text, `-` where there is none."""
    return "-" if loss is None or not math.isfinite(loss) else f"{math.exp(min(loss, 700)):,.2f}"


class Progress:
    """Prints the events of a training; `report` takes each one as it is written."""

    def __init__(self, max_minutes: float = 0.0) -> None:
        self._redraws = is_terminal(sys.stderr)
        self._max_minutes = max_minutes
        self._total = 0
        self._first: tuple[int, float] | None = None
        self._drawn = False

    def report(self, event: dict[str, Any]) -> None:
        """Print what the event says, if it says something to a person."""
        kind = event.get("kind")
        if kind == "start":
            self._start(event)
        elif kind == "train":
            self._train(event)
        elif kind == "eval":
            self._line(describe_eval(event))
        elif kind == "sample":
            self._line(describe_sample(event))
        elif kind == "warning":
            self._line(f"warning: {harmless(str(event.get('message', '')), keep_newlines=False)}", YELLOW)

    def clear(self) -> None:
        """Take the redrawn line away."""
        if self._drawn:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
            self._drawn = False

    def _start(self, event: dict[str, Any]) -> None:
        self._total = event.get("total_steps") or 0
        self._first = (event.get("resumed_from") or 0, time.monotonic())
        self._line(describe_start(event))

    def _train(self, event: dict[str, Any]) -> None:
        seconds_left = self._seconds_left(event)
        if not self._redraws:
            note(describe_train(event, self._total, seconds_left))
            return
        bar = _bar(event.get("step") or 0, self._total, 20)
        texts = [
            bar + describe_train(event, self._total, seconds_left),
            *(describe_train(event, self._total, seconds_left, less) for less in LESS),
        ]
        room = columns() - 1
        sys.stderr.write("\r\x1b[2K" + next((text for text in texts if len(text) <= room), texts[-1][:room]))
        sys.stderr.flush()
        self._drawn = True

    def _line(self, text: str, colour: str = "") -> None:
        self.clear()
        note(text, colour)

    def _seconds_left(self, event: dict[str, Any]) -> float | None:
        """From this session's own pace, evaluations included; a limit in minutes may come first."""
        limits = []
        step = event.get("step") or 0
        if self._first and self._total and step > self._first[0]:
            pace = (time.monotonic() - self._first[1]) / (step - self._first[0])
            limits.append(pace * (self._total - step))
        if self._max_minutes:
            limits.append(60 * self._max_minutes - (event.get("seconds") or 0.0))
        return max(0.0, min(limits)) if limits else None


def describe_start(event: dict[str, Any]) -> str:
    """What is trained, on what."""
    parameters = event.get("parameters") or {}
    parts = [harmless(str(event.get("architecture", "")), keep_newlines=False)]
    if parameters:
        parts.append(
            f"{human_count(parameters.get('total', 0))} parameters, {human_count(parameters.get('learnable', 0))} learnable"
        )
    parts.append(f"{event.get('device', '')} {event.get('precision', '')}".strip())
    if event.get("total_steps"):
        parts.append(f"{event['total_steps']:,} steps")
    if event.get("resumed_from") is not None:
        parts.append(f"resumed from step {event['resumed_from']:,}")
    return " · ".join(part for part in parts if part)


def describe_train(
    event: dict[str, Any], total: int = 0, seconds_left: float | None = None, without: tuple[str, ...] = ()
) -> str:
    """Step, loss, running perplexity, learning rate, speed and time left, as far as the event has them, but for the
    parts named in `without`.
    """
    step, loss = event.get("step") or 0, event.get("loss")
    parts = {"step": f"step {step:,}/{total:,}" if total else f"step {step:,}"}
    if event.get("epoch") is not None:
        parts["epoch"] = f"epoch {event['epoch']:.2f}"
    parts |= {"loss": f"loss {_number(loss)}", "ppl": f"ppl {perplexity(loss)}"}
    if event.get("lr") is not None:
        parts["lr"] = f"lr {event['lr']:.2e}"
    if event.get("tokens_per_second"):
        parts["speed"] = f"{event['tokens_per_second']:,.0f} tok/s"
    if event.get("skipped"):
        parts["skipped"] = f"skipped {event['skipped']}"
    if seconds_left is not None:
        parts["eta"] = f"ETA {human_time(seconds_left)}"
    return "  ".join(text for name, text in parts.items() if name not in without)


def describe_eval(event: dict[str, Any]) -> str:
    """A split's score."""
    figures = f"loss {_number(event.get('loss'))}  perplexity {_number(event.get('perplexity'), 2)}"
    best = "  best so far" if event.get("best") else ""
    return f"{event.get('split', '?')} at step {event.get('step') or 0:,}: {figures}{best}"


def describe_sample(event: dict[str, Any]) -> str:
    """A prompt and how the model went on, on one line."""
    return harmless(
        f"sample at step {event.get('step') or 0:,}: {event.get('prompt', '')}{event.get('text', '')}",
        keep_newlines=False,
    )


def _number(value: float | None, digits: int = 4) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:,.{digits}f}"


def _bar(step: int, total: int, width: int) -> str:
    if not total:
        return ""
    done = min(width, width * step // total)
    return f"[{'=' * done}{' ' * (width - done)}] "
