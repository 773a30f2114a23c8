"""What can interrupt the loop from outside: Ctrl-C, SIGTERM, and requests from `control.jsonl`."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

from lmcore.runs import ControlReader
from lmcore.training.journal import Journal

# From this many signals on, the process ends at once, saved or not.
SIGNALS_TO_EXIT = 3
POLL_SECONDS = 0.1


class Interrupts:
    """While entered, SIGINT and SIGTERM only set `signal`; the third one raises KeyboardInterrupt.

    Outside the main thread, where Python delivers no signals, it does nothing.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._count = 0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = self.signal or number
        self._count += 1
        if self._count >= SIGNALS_TO_EXIT:
            raise KeyboardInterrupt


class RunControl:
    """Answers each request with `control` events; the loop asks once a step what it has to do.

    Attributes:
        ending: `interrupted` or `stopped` once a signal or a request says so, else None.
    """

    def __init__(self, reader: ControlReader, journal: Journal, interrupts: Interrupts) -> None:
        self.ending: str | None = None
        self._reader = reader
        self._journal = journal
        self._interrupts = interrupts

    def interrupted(self) -> bool:
        """Whether Ctrl-C or SIGTERM came: then a running evaluation is given up."""
        return self._interrupts.signal is not None

    def handle(self, checkpoint: Callable[[], object]) -> float:
        """Do what was requested since the last call: `checkpoint()` saves one. While paused, it waits here.

        Returns:
            Seconds that were spent paused.
        """
        waited = 0.0
        while True:
            for request in self._reader.poll():
                self._answer(request, checkpoint)
            if self.interrupted():
                self.ending = "interrupted"
            if self.ending is not None:
                self._journal.paused = False
            if not self._journal.paused:
                return waited
            before = time.monotonic()
            time.sleep(POLL_SECONDS)
            waited += time.monotonic() - before

    def _answer(self, request: dict[str, Any], checkpoint: Callable[[], object]) -> None:
        action = request["action"]
        refusal = self._refusal(action)
        if refusal:
            self._say(request, "refused", refusal)
            return
        self._say(request, "acknowledged")
        if action in ("checkpoint", "stop"):
            checkpoint()
            self.ending = "stopped" if action == "stop" else self.ending
        else:
            self._journal.paused = action == "pause"
            self._journal.heartbeat()
        self._say(request, "done")

    def _refusal(self, action: str) -> str:
        """Why a request makes no sense now; empty when it does."""
        paused = self._journal.paused
        refusals = {
            "pause": "The run is already paused." if paused else "",
            "resume": "" if paused else "The run is not paused.",
            "checkpoint": "",
            "stop": "",
        }
        return refusals.get(action, f"There is no action '{action}'.")

    def _say(self, request: dict[str, Any], state: str, note: str = "") -> None:
        self._journal.write("control", id=request["id"], action=request["action"], state=state, note=note)
