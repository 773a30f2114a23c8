"""Which process writes a run, and whether it is still alive."""

from __future__ import annotations

import os
from typing import Any

# A start time is read through the system's clock: when that clock is set, the same process seems to have started a
# little earlier or later. Nothing reuses a process id within seconds of that process' own start.
TOLERANCE_SECONDS = 2.0


def identity() -> dict[str, Any]:
    """`pid`, `pid_started` and `host` of this process, as a `start` event carries them."""
    return {"pid": os.getpid(), "pid_started": started(os.getpid()), "host": host()}


def host() -> str:
    """This machine's name."""
    return os.uname().nodename


def started(pid: int) -> float | None:
    """When a process started, in Unix seconds; None if it is gone (a zombie is) or this user may not ask."""
    try:
        return _start_time(pid)
    except PermissionError:
        return None


def is_alive(pid: int, pid_started: float | None) -> bool:
    """Whether that very process is alive: a recycled process id has another start time. Zombies are dead.

    Args:
        pid: the process id.
        pid_started: its `started`. An int is what earlier versions recorded on Linux: the clock ticks from the boot to
            the process' start. None: any living process of that id is taken for it.
    """
    try:
        now = _start_time(pid)
    except PermissionError:
        return True
    if now is None or pid_started is None:
        return now is not None
    if isinstance(pid_started, int):
        import psutil

        pid_started = psutil.boot_time() + pid_started / os.sysconf("SC_CLK_TCK")
    return abs(now - pid_started) <= TOLERANCE_SECONDS


def _start_time(pid: int) -> float | None:
    """Unix seconds, None if the process is gone.

    Raises:
        PermissionError: it is there, but this user may not ask.
    """
    import psutil  # late: listing runs that have ended does not need it

    try:
        process = psutil.Process(pid)
        ended = process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
        return None if ended else float(process.create_time())
    except psutil.AccessDenied:
        raise PermissionError(pid) from None
    except (psutil.NoSuchProcess, OverflowError, ValueError):
        return None
