"""Which process writes a run, and whether it still lives."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def identity() -> dict[str, Any]:
    """`pid`, `pid_started` and `host` of this process, as a `start` event carries them."""
    return {"pid": os.getpid(), "pid_started": started(os.getpid()), "host": host()}


def host() -> str:
    """This machine's name."""
    return os.uname().nodename


def started(pid: int) -> int | None:
    """When a process started, in clock ticks after boot; None when it is gone, or where there is no /proc."""
    fields = _stat(pid)
    return int(fields[19]) if fields and fields[0] not in ("Z", "X") else None


def is_alive(pid: int, pid_started: int | None) -> bool:
    """Whether that very process lives: a recycled pid has another start time. Zombies are dead.

    Where there is no /proc, a process of that pid is taken for it.
    """
    if Path("/proc/self/stat").exists():
        now = started(pid)
        return now is not None and pid_started in (None, now)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the third (state) on; the second, the command, may itself hold spaces and brackets."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
