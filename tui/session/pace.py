"""How often the screen looks at the runs: as often as a small share of the processor pays for.

A training on the processor uses all cores, and each of its steps waits for the slowest: what the screen takes from one
core, it loses on all.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

SHARE = 0.01
FASTEST_SECONDS = 0.25
SLOWEST_SECONDS = 2.5


class Pace:
    """Pauses between looks that keep the process's own processor time at about `SHARE` of one core; `clock` gives that
    time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.process_time) -> None:
        self._clock = clock
        self._used = math.inf  # what the start used does not count

    def pause(self, *, hurried: bool = False) -> float:
        """Seconds to wait now, for what was used since the last call; `hurried` when someone waits for an answer, or no
        training would gain.
        """
        used, self._used = self._used, self._clock()
        return FASTEST_SECONDS if hurried else min(SLOWEST_SECONDS, max(FASTEST_SECONDS, (self._used - used) / SHARE))
