"""Events of one training: written to the run directory, handed to the caller, and a heartbeat among them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from lmcore.errors import LmError
from lmcore.runs import Run
from lmcore.training.memory import memory_bytes

HEARTBEAT_SECONDS = 5.0
Report = Callable[[dict[str, Any]], None]


class Journal:
    """Writes events; while entered, a thread adds a heartbeat every few seconds, so that watchers see that the process
    lives.

    `step` and `paused` are what the heartbeat says; the training keeps them up to date. Calls of `report` never
    overlap.
    """

    def __init__(self, run: Run, report: Report | None, *, seconds: float = HEARTBEAT_SECONDS) -> None:
        self.run = run
        self.step = 0
        self.paused = False
        self._report = report
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
        if self._report is not None:
            with self._lock:
                self._report(event)
        return event

    def heartbeat(self) -> None:
        """One heartbeat now, so that watchers need not wait for the next."""
        self.write("heartbeat", step=self.step, paused=self.paused, memory_bytes=memory_bytes())

    def _beat(self) -> None:
        while not self._over.wait(self._seconds):
            try:
                self.heartbeat()
            except LmError:
                # The training's own next event meets the same trouble and ends it with the reason.
                return
