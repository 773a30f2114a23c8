"""Requests to runs until they are answered: requested, acknowledged, then done or refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DONE = ("done", "refused")


@dataclass
class Request:
    """One line of a run's control file, and the run's last answer to it."""

    id: str
    run: str
    action: str
    state: str = "requested"
    note: str = ""

    @property
    def text(self) -> str:
        """`pause: requested`, with the run's own words when it refused."""
        return f"{self.action}: {self.state}" + (f" ({self.note})" if self.note else "")


class PendingRequests:
    """The requests of this session, in order."""

    def __init__(self) -> None:
        self._all: list[Request] = []

    def add(self, run: str, action: str, request_id: str) -> None:
        """A request was written."""
        self._all.append(Request(request_id, run, action))

    def names(self) -> set[str]:
        """Runs that have not answered everything."""
        return {request.run for request in self._all if request.state not in DONE}

    def waiting(self) -> dict[str, str]:
        """The newest unanswered action of each run."""
        return {request.run: request.action for request in self._all if request.state not in DONE}

    def texts(self, run: str) -> list[str]:
        """The unanswered requests of a run; else its last one, with the answer."""
        mine = [request for request in self._all if request.run == run]
        return [request.text for request in mine if request.state not in DONE] or [
            request.text for request in mine[-1:]
        ]

    def answered(self, control: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[Request]:
        """Take in the `control` events (run -> request id -> event); the requests whose state is now another."""
        changed = []
        for request in self._all:
            event = control.get(request.run, {}).get(request.id)
            state = str(event.get("state")) if event else request.state
            if state != request.state and state in ("acknowledged", *DONE):
                request.state, request.note = state, str((event or {}).get("note") or "")
                changed.append(request)
        return changed
