"""Requests to a running training, through `control.jsonl` (docs/design.md, "Control")."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from lmcore.errors import UsageError
from lmcore.runs.lines import LineTail, LineWriter

CONTROL_FILE = "control.jsonl"
ACTIONS = ("pause", "resume", "checkpoint", "stop")


def write_request(path: Path, action: str) -> str:
    """Append a request to `path`; its id, which the answering `control` event carries.

    Raises:
        UsageError: there is no such action.
        LmError: the file cannot be written.
    """
    if action not in ACTIONS:
        raise UsageError(f"A training cannot be asked to '{action}'.", f"Ask for one of {', '.join(ACTIONS)}.")
    request_id = os.urandom(8).hex()
    writer = LineWriter(path)
    writer.append({"id": request_id, "time": round(time.time(), 3), "action": action})
    writer.close()
    return request_id


class ControlReader:
    """The training's side. What stood in the file before is for an earlier process: create it before the `start` event
    is written.
    """

    def __init__(self, path: Path) -> None:
        self._lines = LineTail(path, from_end=True)

    def poll(self) -> list[dict[str, Any]]:
        """New requests, in order, each with `id` and `action` (which may be unknown: then it is for the training to
        refuse).
        """
        return [
            request
            for request in self._lines.poll()
            if isinstance(request.get("id"), str) and isinstance(request.get("action"), str)
        ]
