"""What watchers and the terminal ask of a running training: pause, resume, checkpoint, stop; Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from lmcore.runs import ControlReader
from lmcore.training.journal import Journal
from lmcore.training.signals import Interrupts

POLL_SECONDS = 0.1


class Requests:
    """Answers each request with `control` events; the loop asks once a step what it has to do.

    Attributes:
        ending: `interrupted` or `stopped` once someone asked for that, else None.
    """

    def __init__(self, control: ControlReader, journal: Journal, interrupts: Interrupts) -> None:
        self.ending: str | None = None
        self._control = control
        self._journal = journal
        self._interrupts = interrupts

    def impatient(self) -> bool:
        """Whether Ctrl-C or SIGTERM came: then an evaluation is not waited for."""
        return self._interrupts.signal is not None

    def obey(self, checkpoint: Callable[[], object]) -> float:
        """Do what was asked since the last call: `checkpoint()` saves one. While paused, it waits here.

        Returns:
            Seconds that were spent paused.
        """
        waited = 0.0
        while True:
            for request in self._control.poll():
                self._answer(request, checkpoint)
            if self._interrupts.signal is not None:
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
            "pause": "It is paused already." if paused else "",
            "resume": "" if paused else "It is not paused.",
            "checkpoint": "",
            "stop": "",
        }
        return refusals.get(action, f"There is no action '{action}'.")

    def _say(self, request: dict[str, Any], state: str, note: str = "") -> None:
        self._journal.write("control", id=request["id"], action=request["action"], state=state, note=note)
