"""`lm control`: ask the process that trains a run to pause, resume, save or stop, and wait for its answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from commands.output.console import note, put, put_json
from lmcore.errors import LmError
from lmcore.text import harmless

if TYPE_CHECKING:
    from lmcore.runs import EventTail
    from lmcore.runs.events import Event

POLL_SECONDS = 0.05


def send_request(name: str, action: str, timeout: float, *, as_json: bool) -> None:
    """Send a request and wait until it is done or refused.

    Raises:
        UsageError: the run is not running, or there is no such action.
        LmError: the request was refused, or not answered in time.
    """
    from lmcore.runs import EventTail, find_run
    from lmcore.runs.lines import end_of_lines

    run = find_run(name)
    tail = EventTail(run.events_path, offset=end_of_lines(run.events_path))
    request = run.request(action)
    answer = _await_answer(tail, request, timeout)
    if answer is None:
        raise LmError(
            f"The run '{run.name}' did not respond within {timeout:g} s.",
            f"The request is still pending; `lm watch {run.name}` shows when it is done.",
        )
    state, comment = answer.get("state"), harmless(str(answer.get("note") or ""), keep_newlines=False)
    if as_json:
        put_json({"run": run.name, "action": action, "id": request, "state": state, "note": answer.get("note")})
    if state == "refused":
        raise LmError(
            f"The run '{run.name}' refused to {action}: {comment or 'no reason was given'}.",
            f"See `lm watch {run.name} --once` for the state of the run.",
        )
    if not as_json:
        put(f"{run.name}: {action} {state}" + (f" ({comment})" if comment else ""))


def _await_answer(tail: EventTail, request: str, timeout: float) -> Event | None:
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        for event in tail.poll():
            if event["kind"] == "control" and event.get("id") == request:
                if event.get("state") in ("done", "refused"):
                    return event
                note("acknowledged")
        time.sleep(POLL_SECONDS)
    return None
