"""Ctrl-C and SIGTERM as a wish that the loop fulfils at the end of its step."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

# From this many signals on, the person means it: stop at once, saved or not.
IMPATIENCE = 3


class Interrupts:
    """While entered, SIGINT and SIGTERM only set `signal`; the third one raises KeyboardInterrupt.

    Outside the main thread, where Python delivers no signals, it does nothing.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._count = 0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = self.signal or number
        self._count += 1
        if self._count >= IMPATIENCE:
            raise KeyboardInterrupt
