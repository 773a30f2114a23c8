"""`lm watch` and `lm control`: a run's events as text, and requests to its process with their answers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from commands.output.console import note, put, put_json
from commands.output.progress import describe_eval, describe_sample, describe_start, describe_train
from lmcore.errors import LmError
from lmcore.text import harmless

if TYPE_CHECKING:
    from lmcore.runs import EventTail

POLL_SECONDS = 0.2
# States in which more may come.
WAITING = ("created", "running", "paused")


def watch(name: str, *, once: bool) -> None:
    """Print how the run stands, then what happens in it until it ends."""
    from lmcore.runs import EventTail, find_run

    run = find_run(name)
    tail = EventTail(run.events_path)
    state = run.state()
    put(f"{run.name} is {state}")
    total = _put_newest(_drain(tail))
    if once or state not in WAITING:
        return
    while state in WAITING:
        time.sleep(POLL_SECONDS)
        state = run.state()  # asked before reading on, so that an end which it knows of is among the events
        events = list(_drain(tail))
        for event in events:
            total = event.get("total_steps") or total if event.get("kind") == "start" else total
            if text := _describe(event, total):
                put(text)
        if any(event.get("kind") == "finish" for event in events):
            return
    put(f"{run.name} is {state}")


def control(name: str, action: str, timeout: float, *, as_json: bool) -> None:
    """Send a request and wait until the training has done or refused it.

    Raises:
        UsageError: the run is not running, or there is no such action.
        LmError: it refused, or did not answer in time.
    """
    from lmcore.runs import EventTail, find_run

    run = find_run(name)
    tail = EventTail(run.events_path)
    for _ in _drain(tail):
        pass  # what was said before is no answer
    request = run.request(action)
    answer = _await_answer(tail, request, timeout)
    if answer is None:
        raise LmError(
            f"The run '{run.name}' has not answered within {timeout:g} s.",
            "The request stays in its directory; `lm watch` shows when it is done.",
        )
    if as_json:
        put_json(
            {"run": run.name, "action": action, "id": request, "state": answer.get("state"), "note": answer.get("note")}
        )
    if answer.get("state") == "refused":
        raise LmError(
            f"The run '{run.name}' refused to {action}: {harmless(str(answer.get('note') or 'no reason given'))}.",
            "See `lm watch`.",
        )
    if not as_json:
        put(
            f"{run.name}: {action} {answer.get('state')}"
            + (f" ({harmless(str(answer['note']))})" if answer.get("note") else "")
        )


def _await_answer(tail: EventTail, request: str, timeout: float) -> dict[str, Any] | None:
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        for event in tail.poll():
            if event.get("kind") == "control" and event.get("id") == request:
                if event.get("state") in ("done", "refused"):
                    return event
                note("acknowledged")
        time.sleep(POLL_SECONDS / 4)
    return None


def _put_newest(past: Iterable[dict[str, Any]]) -> int:
    """The newest start, report and scores; returns the run's total steps."""
    newest: dict[tuple[Any, Any], dict[str, Any]] = {}
    for event in past:
        if event.get("kind") == "start":
            newest.pop(("finish", None), None)  # a resumed run has not ended
        if event.get("kind") in ("start", "train", "eval", "finish"):
            key = (event["kind"], event.get("split"))
            newest.pop(key, None)
            newest[key] = event
    total = newest.get(("start", None), {}).get("total_steps") or 0
    for event in newest.values():
        if text := _describe(event, total):
            put(text)
    return total


def _describe(event: dict[str, Any], total: int) -> str:
    kind = event.get("kind")
    if kind == "start":
        return describe_start(event)
    if kind == "train":
        return describe_train(event, total)
    if kind == "eval":
        return describe_eval(event)
    if kind == "sample":
        return describe_sample(event)
    if kind == "warning":
        return f"warning: {harmless(str(event.get('message', '')), keep_newlines=False)}"
    if kind == "control":
        return f"{event.get('action')} {event.get('state')}"
    if kind == "checkpoint":
        return f"checkpoint at step {event.get('step') or 0:,} ({event.get('reason')})"
    if kind == "finish":
        message = harmless(str(event.get("message") or ""), keep_newlines=False)
        return f"finished at step {event.get('step') or 0:,}: {event.get('why')}" + (f" ({message})" if message else "")
    return ""


def _drain(tail: EventTail) -> Iterator[dict[str, Any]]:
    """Everything there is now, piece by piece: event files can be larger than memory."""
    while events := tail.poll():
        yield from events
