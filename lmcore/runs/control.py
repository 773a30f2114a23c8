"""Requests to the process that trains a run, through `control.jsonl` (docs/design.md, "Control")."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from lmcore.errors import UsageError
from lmcore.runs.lines import LineTail, LineWriter, end_of_lines

CONTROL_FILE = "control.jsonl"
ACTIONS = ("pause", "resume", "checkpoint", "stop")


def write_request(path: Path, action: str) -> str:
    """Append a request to `path`; its id, which the answering `control` event carries.

    Raises:
        UsageError: there is no such action.
        LmError: the file cannot be written.
    """
    if action not in ACTIONS:
        raise UsageError(f"There is no action '{action}'.", f"Choose one of {', '.join(ACTIONS)}.")
    request_id = os.urandom(8).hex()
    writer = LineWriter(path)
    writer.append({"id": request_id, "time": round(time.time(), 3), "action": action})
    writer.close()
    return request_id


class ControlReader:
    """The training process's side. Earlier requests in the file were for an earlier process: create the reader before
    the `start` event is written.
    """

    def __init__(self, path: Path) -> None:
        self._lines = LineTail(path, offset=end_of_lines(path))

    def poll(self) -> list[dict[str, Any]]:
        """New requests, in order, each with `id` and `action` (which may be unknown: the training process refuses
        it).
        """
        return [
            request
            for request in self._lines.poll()
            if isinstance(request.get("id"), str) and isinstance(request.get("action"), str)
        ]
