"""How the machine was doing: readings of the last minutes, and their averages."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from lmcore.telemetry import Cpu, Gpu
from tui.session.telemetry import Snapshot

KEPT = 600
GAP_SECONDS = 3.0
"""Readings further apart than this (the screen was closed in between) have a gap drawn between them."""


def share(part: float | None, whole: float | None) -> float | None:
    """part / whole; None where either is not known."""
    return None if part is None or not whole else part / whole


@dataclass
class Record:
    """Series of readings by name, such as `gpu0.load`: shares of 1, None where there was none."""

    series: defaultdict[str, deque[float | None]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=KEPT))
    )
    began: float | None = None
    last: float | None = None

    def add(self, snapshot: Snapshot) -> None:
        """Take in a reading."""
        gap = self.last is not None and snapshot.time - self.last > GAP_SECONDS
        self.began = snapshot.time if self.began is None else self.began
        self.last = snapshot.time
        for gpu in snapshot.gpus.gpus:
            self._append(f"gpu{gpu.index}", gpu_shares(gpu), gap)
        self._append("cpu", cpu_shares(snapshot.cpu), gap)

    def _append(self, name: str, shares: dict[str, float | None], gap: bool) -> None:
        for kind, value in shares.items():
            series = self.series[f"{name}.{kind}"]
            if gap:
                series.append(None)
            series.append(value)

    def average(self, name: str) -> float | None:
        """The mean of what is kept."""
        return mean([value for value in self.series[name] if value is not None])

    @property
    def seconds(self) -> float:
        """How long the record goes back, at most; averages are over this time."""
        return 0.0 if self.began is None or self.last is None else min(self.last - self.began, float(KEPT))


def gpu_shares(gpu: Gpu) -> dict[str, float | None]:
    """What is drawn of a GPU."""
    return {
        "load": gpu.utilization,
        "memory": share(gpu.memory_used_bytes, gpu.memory_total_bytes),
        "power": share(gpu.power_watts, gpu.power_limit_watts),
    }


def cpu_shares(cpu: Cpu) -> dict[str, float | None]:
    """What is drawn of the CPU."""
    return {"load": cpu.load, "memory": share(cpu.memory_used_bytes, cpu.memory_total_bytes)}


def mean(values: Sequence[float]) -> float | None:
    """The mean; None of nothing."""
    return sum(values) / len(values) if values else None


@dataclass
class MemoryRecord:
    """Memory of one run at its train events, in bytes."""

    run: str
    bytes: list[float] = field(default_factory=list)
    step: float = -1.0

    def add(self, step: float, used: object) -> None:
        """Take in a train event, unless it was seen."""
        if step > self.step and isinstance(used, int | float):
            self.bytes.append(float(used))
            self.step = step

    @property
    def steady(self) -> float | None:
        """The steady state: the mean over the newer half, when buffers have grown and caches have filled."""
        return mean(self.bytes[len(self.bytes) // 2 :])

    @property
    def peak(self) -> float | None:
        """The most."""
        return max(self.bytes, default=None)
