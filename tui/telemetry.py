"""What the machine does, read in the background for the header and the GPU screen."""

from __future__ import annotations

from dataclasses import dataclass, field

from lmcore.telemetry import Cpu, GpuReport, Process, cpu, gpus, process


@dataclass(frozen=True)
class Snapshot:
    """One reading: the cards, the processor, and the processes of our active runs by run name."""

    time: float
    gpus: GpuReport
    cpu: Cpu
    processes: dict[str, Process] = field(default_factory=dict)

    @property
    def headline(self) -> str:
        """The busiest card, else the processor, in a few characters."""
        busy = [gpu for gpu in self.gpus.gpus if gpu.utilization is not None]
        if busy:
            gpu = max(busy, key=lambda card: card.utilization or 0.0)
            return f"cuda:{gpu.index} {gpu.utilization:.0%}"
        return f"cpu {self.cpu.load:.0%}" if self.cpu.load is not None else ""


def read(time: float, pids: dict[str, int]) -> Snapshot:
    """Read everything now; `pids` are the processes of our runs."""
    found = {name: process(pid) for name, pid in pids.items()}
    return Snapshot(time, gpus(), cpu(), {name: seen for name, seen in found.items() if seen is not None})
