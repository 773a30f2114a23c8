"""A run as it happens: a line that redraws on a terminal, or one line per report in a pipe. Always on stderr."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

from commands.output.console import YELLOW, columns, is_terminal, note
from lmcore.measures import perplexity
from lmcore.text import harmless, human_count, human_time

if TYPE_CHECKING:
    from lmcore.runs import Scoring

# What a narrow terminal goes without, the least useful first; the bar before all of these.
LEAST_USEFUL = ("lr", "epoch", "ppl", "speed")
LESS = [LEAST_USEFUL[:count] for count in range(len(LEAST_USEFUL) + 1)]
# In a pipe and in `lm watch`, a line on how far a scoring is comes this often.
SCORING_LINE_SECONDS = 30.0


class ScoringLines:
    """When to print a line on how far a scoring is: now and then, so that short scorings leave none."""

    def __init__(self) -> None:
        self._told = 0.0

    def due(self, scoring: Scoring) -> bool:
        """Whether this report is to be printed."""
        if scoring.seconds < self._told:  # another scoring
            self._told = 0.0
        due = scoring.seconds - self._told >= SCORING_LINE_SECONDS
        self._told = scoring.seconds if due else self._told
        return due


class Progress:
    """Prints the events of a run; `report` takes each one as it is written."""

    def __init__(self) -> None:
        self._redraws = is_terminal(sys.stderr)
        self._total = 0
        self._drawn = False
        self._scoring_lines = ScoringLines()

    def report(self, event: dict[str, Any]) -> None:
        """Print what the event says, if it says something to a person."""
        kind = event.get("kind")
        if kind == "start":
            self._start(event)
        elif kind == "train":
            self._train(event)
        elif kind == "scoring":
            self._scoring(event)
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
        self._line(describe_start(event))

    def _train(self, event: dict[str, Any]) -> None:
        if not self._redraws:
            note(describe_train(event, self._total))
            return
        bar = _bar(event.get("step") or 0, self._total, 20)
        texts = [
            bar + describe_train(event, self._total),
            *(describe_train(event, self._total, less) for less in LESS),
        ]
        room = columns() - 1
        self._redraw(next((text for text in texts if len(text) <= room), texts[-1][:room]))

    def _scoring(self, event: dict[str, Any]) -> None:
        """On a terminal redrawn; elsewhere a line only now and then."""
        from lmcore.runs.fold import read_scoring

        scoring = read_scoring(event)
        if scoring is None:
            return
        if self._redraws:
            self._redraw(describe_scoring(scoring)[: columns() - 1])
        elif self._scoring_lines.due(scoring):
            note(describe_scoring(scoring))

    def _redraw(self, text: str) -> None:
        sys.stderr.write("\r\x1b[2K" + text)
        sys.stderr.flush()
        self._drawn = True

    def _line(self, text: str, colour: str = "") -> None:
        self.clear()
        note(text, colour)


def describe_start(event: dict[str, Any]) -> str:
    """What is trained, on what."""
    parameters = event.get("parameters") or {}
    parts = [harmless(str(event.get("architecture", "")), keep_newlines=False)]
    if parameters:
        total, learnable = (human_count(parameters.get(key, 0)) for key in ("total", "learnable"))
        parts.append(f"{total} parameters, {learnable} learnable")
    parts.append(f"{event.get('device', '')} {event.get('precision', '')}".strip())
    if event.get("total_steps"):
        parts.append(f"{event['total_steps']:,} steps")
    if event.get("resumed_from") is not None:
        parts.append(f"resumed from step {event['resumed_from']:,}")
    return " · ".join(part for part in parts if part)


def describe_train(event: dict[str, Any], total: int = 0, without: tuple[str, ...] = ()) -> str:
    """Step, loss, running perplexity, learning rate, speed and time left (evaluations and final scores included), as
    far as the event has them, but for the parts named in `without`.
    """
    step, loss = event.get("step") or 0, event.get("loss")
    parts = {"step": f"step {step:,}/{total:,}" if total else f"step {step:,}"}
    if event.get("epoch") is not None:
        parts["epoch"] = f"epoch {event['epoch']:.2f}"
    parts |= {"loss": f"loss {_number(loss)}", "ppl": f"ppl {_number(perplexity(loss), 2)}"}
    if event.get("lr") is not None:
        parts["lr"] = f"lr {event['lr']:.2e}"
    if event.get("tokens_per_second"):
        parts["speed"] = f"{event['tokens_per_second']:,.0f} tok/s"
    if event.get("skipped"):
        parts["skipped"] = f"skipped {event['skipped']}"
    if event.get("seconds_left") is not None:
        parts["eta"] = f"ETA {human_time(event['seconds_left'])}"
    return "  ".join(text for name, text in parts.items() if name not in without)


def describe_scoring(scoring: Scoring) -> str:
    """How far the scoring of a split is."""
    share = f"  {scoring.percent}" if scoring.total else ""
    final = "final " if scoring.final else ""
    split = harmless(scoring.split, keep_newlines=False)
    eta = "" if scoring.seconds_left is None else f"  ETA {human_time(scoring.seconds_left)}"
    return f"scoring {final}{split}{share}  {scoring.tokens:,}/{scoring.total:,} tokens{eta}"


def describe_warning(event: dict[str, Any]) -> str:
    """A warning on one line, with the step at which it was given."""
    step = f" at step {event['step']:,}" if event.get("step") else ""
    return f"warning{step}: {harmless(str(event.get('message', '')), keep_newlines=False)}"


def describe_eval(event: dict[str, Any]) -> str:
    """A split's score; a final one says on how many tokens it rests."""
    figures = f"loss {_number(event.get('loss'))}  perplexity {_number(event.get('perplexity'), 2)}"
    remark = "  best so far" if event.get("best") else ""
    if event.get("final"):
        on = f" on {event['tokens_scored']:,} tokens" if event.get("tokens_scored") else ""
        remark = f"  final score{on}"
    return f"{event.get('split', '?')} at step {event.get('step') or 0:,}: {figures}{remark}"


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
