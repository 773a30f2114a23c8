"""Events of one run: written to the run directory, handed to the caller, and a heartbeat among them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import torch

from lmcore.errors import LmError
from lmcore.runs import Run
from lmcore.training.memory import memory_bytes

HEARTBEAT_SECONDS = 5.0
# A terminal's progress line while a split is scored is redrawn this often.
SCORING_SECONDS = 0.5
EventListener = Callable[[dict[str, Any]], None]


class Journal:
    """Writes events; while entered, a thread adds a heartbeat every few seconds, so that watchers see that the process
    lives, and what it does. Calls of `report` never overlap.

    Attributes:
        step, paused: what the next heartbeat says; the loop keeps them up to date.
        logged_step: step of the last `train` event.
        warned: kinds of warnings that are given only once and were given.
    """

    def __init__(
        self, run: Run, report: EventListener | None, device: torch.device, *, seconds: float = HEARTBEAT_SECONDS
    ) -> None:
        self.run = run
        self.step = 0
        self.paused = False
        self.logged_step = 0
        self.warned: set[str] = set()
        self._scoring: dict[str, Any] | None = None
        self._report = report
        self._device = device
        self._seconds = seconds
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._heart.join()
        self.run.events.close()

    def write(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Append an event and report it.

        Raises:
            LmError: it cannot be written, for example because the disk is full.
        """
        event = self.run.events.write(kind, **fields)
        if kind == "train":
            self.logged_step = fields["step"]
        self._tell(event)
        return event

    def warn(self, what: str, message: str) -> None:
        """Write a `warning` event."""
        self.write("warning", step=self.step, what=what, message=message)

    def heartbeat(self) -> None:
        """One heartbeat now, so that watchers need not wait for the next."""
        self.write(
            "heartbeat",
            step=self.step,
            paused=self.paused,
            memory_bytes=memory_bytes(self._device),
            scoring=self._scoring,
        )

    @contextmanager
    def scoring(self, split: str, *, final: bool) -> Iterator[Callable[[int, int], None]]:
        """While entered, heartbeats say in `scoring` how far the scoring of `split` is; the caller hears of it more
        often, as `{"kind": "scoring", ...}` with the same fields, which is not an event of the run.

        Gives a function that takes (tokens scored, tokens to score).
        """
        began = time.monotonic()
        reported = -SCORING_SECONDS

        def tell(scored: int, total: int) -> None:
            nonlocal reported
            now = time.monotonic()
            self._scoring = {
                "split": split,
                "final": final,
                "tokens_scored": scored,
                "tokens_total": total,
                "seconds": now - began,
                "seconds_left": (now - began) / scored * (total - scored) if scored else None,
            }
            if now - reported >= SCORING_SECONDS:
                reported = now
                self._tell({"kind": "scoring", "step": self.step, **self._scoring})

        try:
            yield tell
        finally:
            self._scoring = None

    def state_dict(self) -> dict[str, Any]:
        """What was logged, and which warnings were given."""
        return {"logged_step": self.logged_step, "warned": sorted(self.warned)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""
        self.logged_step, self.warned = state["logged_step"], set(state["warned"])

    def _tell(self, event: dict[str, Any]) -> None:
        if self._report is not None:
            with self._lock:
                self._report(event)

    def _beat(self) -> None:
        while not self._over.wait(self._seconds):
            try:
                self.heartbeat()
            except LmError:
                # The loop's own next event meets the same trouble and ends the run with the reason.
                return
