"""What the machine is doing: GPUs through NVIDIA's NVML, CPU and memory through /proc, as plain values.

Nothing here raises for what a driver or a system cannot say: that value is None.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RETRY_SECONDS = 5.0


@dataclass(frozen=True)
class GpuProcess:
    """A process on a card."""

    pid: int
    name: str | None
    memory_bytes: int | None


@dataclass(frozen=True)
class Gpu:
    """A card as nvidia-smi shows it; utilization is a share of 1."""

    index: int
    name: str | None = None
    temperature_celsius: int | None = None
    power_watts: float | None = None
    power_limit_watts: float | None = None
    utilization: float | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    processes: tuple[GpuProcess, ...] = ()


@dataclass(frozen=True)
class GpuReport:
    """The cards; if there are none, `reason` is a sentence that says why."""

    gpus: tuple[Gpu, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Cpu:
    """The machine's cores and memory; loads are shares of 1 since the last call, None in the first one."""

    load: float | None
    load_per_core: tuple[float, ...]
    memory_used_bytes: int | None
    memory_total_bytes: int | None


@dataclass(frozen=True)
class Process:
    """A process: resident memory, threads, and processor time used so far."""

    pid: int
    memory_bytes: int | None
    threads: int | None
    cpu_seconds: float | None


class GpuMonitor:
    """Asks NVML again and again, initialised once; after the driver was lost it is tried anew every few seconds.

    `backend` has the functions of the module `pynvml`, which is the default.
    """

    def __init__(self, backend: Any = None, *, retry_seconds: float = RETRY_SECONDS) -> None:
        self._nvml = backend
        self._retry_seconds = retry_seconds
        self._retry_at = 0.0
        self._ready = False
        self._reason = ""
        self._lock = threading.Lock()

    def read(self) -> GpuReport:
        """All cards now. Threads may call it."""
        with self._lock:
            if not self._ready and not self._start():
                return GpuReport(reason=self._reason)
            try:
                count = int(self._nvml.nvmlDeviceGetCount())
            except self._nvml.NVMLError as error:
                self._lose(f"The NVIDIA driver does not answer: {error}.")
                return GpuReport(reason=self._reason)
            if count == 0:
                return GpuReport(reason="The NVIDIA driver sees no card.")
            return GpuReport(tuple(self._card(index) for index in range(count)))

    def _start(self) -> bool:
        if time.monotonic() < self._retry_at:
            return False
        try:
            if self._nvml is None:
                import pynvml

                self._nvml = pynvml
            self._nvml.nvmlInit()
        except ImportError:
            self._lose("The package nvidia-ml-py is not installed.")
        except self._nvml.NVMLError as error:
            self._lose(f"There is no NVIDIA driver on this machine: {error}.")
        else:
            self._ready = True
        return self._ready

    def _lose(self, reason: str) -> None:
        if self._ready:
            self._ask("nvmlShutdown")
        self._ready = False
        self._reason = reason
        self._retry_at = time.monotonic() + self._retry_seconds

    def _card(self, index: int) -> Gpu:
        handle = self._ask("nvmlDeviceGetHandleByIndex", index)
        if handle is None:
            return Gpu(index)
        milliwatts = self._ask("nvmlDeviceGetPowerUsage", handle)
        limit = self._ask("nvmlDeviceGetEnforcedPowerLimit", handle)
        rates = self._ask("nvmlDeviceGetUtilizationRates", handle)
        memory = self._ask("nvmlDeviceGetMemoryInfo", handle)
        return Gpu(
            index=index,
            name=_text(self._ask("nvmlDeviceGetName", handle)),
            temperature_celsius=self._ask("nvmlDeviceGetTemperature", handle, self._nvml.NVML_TEMPERATURE_GPU),
            power_watts=None if milliwatts is None else milliwatts / 1000,
            power_limit_watts=None if limit is None else limit / 1000,
            utilization=None if rates is None else rates.gpu / 100,
            memory_used_bytes=None if memory is None else int(memory.used),
            memory_total_bytes=None if memory is None else int(memory.total),
            processes=self._processes(handle),
        )

    def _processes(self, handle: Any) -> tuple[GpuProcess, ...]:
        memory: dict[int, int | None] = {}
        for function in ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses"):
            for process in self._ask(function, handle) or ():
                # A process that both computes and draws is listed twice with the same memory.
                memory[process.pid] = memory.get(process.pid) or process.usedGpuMemory
        by_memory = sorted(memory.items(), key=lambda item: (-(item[1] or 0), item[0]))
        return tuple(GpuProcess(pid, self._process_name(pid), used) for pid, used in by_memory)

    def _process_name(self, pid: int) -> str | None:
        """The command line where this system shows it, else what NVML calls it."""
        return _command(pid) or _text(self._ask("nvmlSystemGetProcessName", pid))

    def _ask(self, function: str, *arguments: Any) -> Any:
        """An answer, or None: not supported by the card, not permitted, the card lost, or unknown to this driver."""
        try:
            return getattr(self._nvml, function)(*arguments)
        except (self._nvml.NVMLError, UnicodeDecodeError):
            return None


@dataclass
class CpuMonitor:
    """Reads load from /proc/stat, as the difference between two calls."""

    root: Path = Path("/proc")
    _last: list[tuple[int, int]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self) -> Cpu:
        """The machine now. Threads may call it."""
        with self._lock:
            times = self._times()
            loads = [_load(before, after) for before, after in zip(self._last, times, strict=False)]
            self._last = times
        used, total = self._memory()
        return Cpu(loads[0] if loads else None, tuple(loads[1:]), used, total)

    def _times(self) -> list[tuple[int, int]]:
        """(idle, all) clock ticks: of the machine, then of each core; empty where there is no /proc."""
        try:
            lines = (self.root / "stat").read_text().splitlines()
        except OSError:
            return []
        # Guest time, the ninth and tenth, is contained in user time.
        columns = [[int(value) for value in line.split()[1:9]] for line in lines if line.startswith("cpu")]
        return [(values[3] + values[4], sum(values)) for values in columns]

    def _memory(self) -> tuple[int | None, int | None]:
        """(used, total) bytes; used is what is not available to a new process."""
        try:
            lines = (self.root / "meminfo").read_text().splitlines()
        except OSError:
            return None, _physical_memory()
        values = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith("kB")}
        total, available = values.get("MemTotal"), values.get("MemAvailable")
        return (total - available if total is not None and available is not None else None), total


_GPUS = GpuMonitor()
_CPU = CpuMonitor()


def gpus() -> GpuReport:
    """All NVIDIA cards of this machine now."""
    return _GPUS.read()


def cpu() -> Cpu:
    """Load and memory of this machine; the load is that since the last call."""
    return _CPU.read()


def process(pid: int, root: Path = Path("/proc")) -> Process | None:
    """Memory, threads and processor time of a process; None when it is gone.

    Without /proc only this process is known, and its memory is the highest it ever had.
    """
    try:
        status = (root / str(pid) / "status").read_text(errors="replace")
        stat = (root / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return _own_process() if pid == os.getpid() else None
    lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    memory = int(lines["VmRSS"].split()[0]) * 1024 if "VmRSS" in lines else None
    return Process(pid, memory, int(lines["Threads"]), (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK"))


def process_memory(pid: int | None = None) -> int | None:
    """Resident memory in bytes of a process, by default this one; None when it is not known."""
    found = process(os.getpid() if pid is None else pid)
    return found.memory_bytes if found else None


def _own_process() -> Process:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    unit = 1 if sys.platform == "darwin" else 1024
    return Process(os.getpid(), usage.ru_maxrss * unit, threading.active_count(), usage.ru_utime + usage.ru_stime)


def _physical_memory() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def _load(before: tuple[int, int], after: tuple[int, int]) -> float:
    everything = after[1] - before[1]
    return min(1.0, max(0.0, 1 - (after[0] - before[0]) / everything)) if everything > 0 else 0.0


def _command(pid: int) -> str | None:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip() or None
    except OSError:
        return None


def _text(value: str | bytes | None) -> str | None:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
