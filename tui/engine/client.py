"""The screen's end of the computing process: started when first needed, killed if it does not respond."""

from __future__ import annotations

import json
import logging
import subprocess
import threading
from collections.abc import Callable
from itertools import count
from typing import Any, BinaryIO

from textual.message import Message

from tui.child_process import environment, python_module
from tui.settings import state_dir

log = logging.getLogger("lm.tui")


class EngineSaid(Message):
    """An answer of the computing process; `values` as in tui/engine/server.py. `what` is `lost` if the process ended
    while it was working.
    """

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__()
        self.values = values
        self.job: int = values["id"]
        self.what: str = values["what"]


class Engine:
    """Sends jobs to a computing process and passes its answers on.

    Args:
        say: gets each answer, from a thread of its own; a widget's `post_message` does.
        command: what to start; for tests.
    """

    def __init__(self, say: Callable[[EngineSaid], object], command: list[str] | None = None) -> None:
        self._say = say
        self._command = command or python_module("tui.engine.server")
        self._process: subprocess.Popen[bytes] | None = None
        self._ids = count(1)
        self._open: set[int] = set()

    @property
    def pid(self) -> int | None:
        """The process, while it lives."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def send(self, op: str, **values: Any) -> int:
        """Ask for a job; returns its id."""
        job = next(self._ids)
        self._open.add(job)
        self._put({"op": op, "id": job, **values})
        return job

    def stop(self, job: int) -> None:
        """End a job; it answers with what it has."""
        if self.pid is not None and job in self._open:
            self._put({"op": "stop", "id": job})

    def close(self) -> None:
        """Kill the process; its jobs are forgotten."""
        process, self._process = self._process, None
        self._open.clear()
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def _put(self, request: dict[str, Any]) -> None:
        if self.pid is None:
            self._start()
        process = self._process
        assert process is not None
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        except OSError:
            log.warning("the computing process is gone")  # Its reader says so to the screen.

    def _start(self) -> None:
        folder = state_dir()
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "engine.log").open("wb") as said:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                env=environment(),
                start_new_session=True,  # The terminal's Ctrl-C is for the screen.
            )
        assert self._process.stdout is not None
        threading.Thread(target=self._read, args=(self._process, self._process.stdout), daemon=True).start()

    def _read(self, process: subprocess.Popen[bytes], answers: BinaryIO) -> None:
        try:
            for line in answers:
                values = json.loads(line)
                if values["id"] in self._open:
                    if values["what"] == "ended":
                        self._open.discard(values["id"])
                    self._say(EngineSaid(values))
        except (OSError, ValueError):
            log.info("the computing process was closed")
        if process is self._process:
            for job in sorted(self._open):
                self._say(
                    EngineSaid(
                        {
                            "id": job,
                            "what": "lost",
                            "message": "The generation process ended unexpectedly. See engine.log for details.",
                        }
                    )
                )
            self._open.clear()
