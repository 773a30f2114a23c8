"""How often the screen looks at the runs: as often as a small share of the CPU allows.

A run that trains on the CPU uses all cores, and each of its steps waits for the slowest: time that the screen takes
from one core is lost on all of them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

SHARE = 0.01
FASTEST_SECONDS = 0.25
SLOWEST_SECONDS = 2.5


class Pace:
    """Pauses between looks that keep the process's own CPU time at about `SHARE` of one core; `clock` gives that
    time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.process_time) -> None:
        self._clock = clock
        self._used = math.inf  # what the start used does not count

    def pause(self, *, hurried: bool = False) -> float:
        """Seconds to wait now, for what was used since the last call; `hurried` when someone waits for an answer, or no
        run that trains would gain.
        """
        used, self._used = self._used, self._clock()
        return FASTEST_SECONDS if hurried else min(SLOWEST_SECONDS, max(FASTEST_SECONDS, (self._used - used) / SHARE))
