"""A run's summary: what its event file says about it now, read from the end, so that a file of any length is cheap."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lmcore.measures import perplexity
from lmcore.runs.events import Event, is_number, parse_event
from lmcore.runs.fold import Latest, is_best, is_test, rewound_to, survives
from lmcore.runs.lines import last_line_end

TAIL_BYTES = 1 << 16
SEARCH_BYTES = 1 << 20


def latest_events(path: Path) -> Latest:
    """What `Fold.latest` is after the whole file, without reading what lies before it.

    The rules are those of `lmcore.runs.fold`, applied from the newest event to the oldest.
    """
    try:
        file = path.open("rb", buffering=0)
    except FileNotFoundError:
        return Latest()
    with file:
        return _Search(file.fileno()).latest()


def figures(latest: Latest) -> dict[str, Any]:
    """The numbers in a run's line of a table; what is not known is None, and no number is infinite.

    Losses are nats per token, `seconds` those of training. `val_loss` is that of the best evaluation,
    `train_perplexity` the epoch's running average with dropout on.
    """
    start, train, finish = latest.start or {}, latest.train or {}, latest.finish or {}
    best, test = latest.best or {}, latest.test or {}
    ended = finish.get("summary")
    ended = ended if isinstance(ended, dict) else {}
    parameters = start.get("parameters")
    parameters = parameters if isinstance(parameters, dict) else {}
    train_loss = _first_number(ended.get("train_loss"), train.get("epoch_loss"), train.get("loss"))
    val_loss = _first_number(best.get("loss"), ended.get("val_loss"))
    test_loss = _first_number(test.get("loss"), ended.get("test_loss"))
    return {
        "step": _first_number(finish.get("step"), train.get("step"), start.get("resumed_from")),
        "total_steps": _first_number(start.get("total_steps")),
        "epoch": _first_number(train.get("epoch")),
        "tokens": _first_number(ended.get("tokens"), train.get("tokens")),
        "train_loss": train_loss,
        "train_perplexity": finite_perplexity(train_loss),
        "val_loss": val_loss,
        "val_perplexity": finite_perplexity(val_loss),
        "test_loss": test_loss,
        "test_perplexity": finite_perplexity(test_loss),
        "bits_per_byte": _first_number(
            test.get("bits_per_byte"), ended.get("bits_per_byte"), best.get("bits_per_byte")
        ),
        "best_step": _first_number(best.get("step"), ended.get("best_step")),
        "parameters": _first_number(parameters.get("total")),
        "learnable": _first_number(parameters.get("learnable")),
        "seconds": _first_number(ended.get("seconds"), train.get("seconds")),
        "tokens_per_second": _first_number(ended.get("tokens_per_second"), train.get("tokens_per_second")),
        "memory_bytes": _first_number(ended.get("peak_memory_bytes"), train.get("memory_bytes")),
    }


def finite_perplexity(loss: float | None) -> float | None:
    """exp(loss); None where that is no finite number, which JSON does not have."""
    value = perplexity(loss)
    return value if value is not None and math.isfinite(value) else None


def _first_number(*values: object) -> float | None:
    return next((value for value in values if is_number(value)), None)


class _Search:
    """Looks for the latest events in an open file, from its end."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._end = last_line_end(fd, os.fstat(fd).st_size)
        self._found = Latest(last_time=self._last_time())
        # Where the last process's `start` stands, if one of its events says so: there is no other one behind it.
        self._start_at = self._end
        self._begin = self._end  # of the bytes that are being looked at
        self._wanted = {"start", "train", "eval", "heartbeat", "finish"}

    def latest(self) -> Latest:
        """What there is, from the newest event to the oldest that matters."""
        found, wanted = self._found, self._wanted
        limit = math.inf  # of the starts so far, that which goes back furthest
        for event in self._newest_first():
            kind = event["kind"]
            if kind == "start":
                limit = min(limit, rewound_to(event))
                found.start = found.start or event
                wanted -= {"heartbeat", "finish"}
            elif kind == "heartbeat":
                found.heartbeat = event
                wanted.discard("heartbeat")
                self._jump_to_start(event)
            elif kind == "finish":
                found.finish = event
                wanted.discard("finish")
                self._jump_to_start(event)
            else:
                wanted.discard("finish")
                if survives(event, limit):
                    self._take(event)
            if found.start is not None and wanted <= {"start"}:
                break
        return found

    def _take(self, event: Event) -> None:
        if event["kind"] == "train":
            self._found.train = event
            self._wanted.discard("train")
        elif is_best(event):
            self._found.best = event
            self._wanted.discard("eval")
        elif is_test(event) and self._found.test is None:
            self._found.test = event

    def _jump_to_start(self, event: Event) -> None:
        """Take the `start` that an event's `start_at` names, and look for no other behind it."""
        at = event.get("start_at")
        if self._found.start is not None or not isinstance(at, int) or not 0 <= at < self._end:
            return
        start = parse_event(os.pread(self._fd, TAIL_BYTES, at).partition(b"\n")[0])
        if start is not None and start["kind"] == "start":
            self._found.start, self._start_at = start, at
            if at < self._begin:
                self._wanted.discard("start")

    def _newest_first(self) -> Iterator[Event]:
        """Events of the wanted kinds, which may change on the way; lines that name none of these are not parsed."""
        end, bite = self._end, TAIL_BYTES
        while end > 0:
            begin = max(0, end - bite)
            bite = SEARCH_BYTES
            text = os.pread(self._fd, end - begin, begin)
            # The line that `begin` cuts is left to the next round; one longer than a whole round is passed over.
            cut = text.find(b"\n", 0, -1) + 1 if begin > 0 else 0
            self._begin = begin
            if begin <= self._start_at:
                self._wanted.add("start")
            yield from self._events_of(text, cut)
            end = begin + cut

    def _events_of(self, text: bytes, cut: int) -> Iterator[Event]:
        here = len(text)
        last: dict[str, int] = {}  # where each kind is named last before `here`
        while self._wanted:
            for kind in self._wanted:
                if last.get(kind, here) >= here:
                    last[kind] = text.rfind(f'"{kind}"'.encode(), cut, here)
            at = max(last[kind] for kind in self._wanted)
            if at < 0:
                return
            line_end = text.find(b"\n", at)
            here = text.rfind(b"\n", 0, at) + 1
            event = parse_event(text[here : line_end if line_end >= 0 else None])
            if event is not None and event["kind"] in self._wanted:
                yield event

    def _last_time(self) -> float | None:
        """The time of the last event that has one."""
        window = TAIL_BYTES
        while True:
            begin = max(0, self._end - window)
            lines = os.pread(self._fd, self._end - begin, begin).split(b"\n")
            for line in reversed(lines if begin == 0 else lines[1:]):
                event = parse_event(line) if line else None
                if event is not None and is_number(time := event.get("time")):
                    return float(time)
            if begin == 0:
                return None
            window *= 4
