"""GPU figures from recorded NVML answers: two GPUs, processes, errors, no driver; and the figures of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any, NamedTuple

import psutil
import pynvml
import pytest

from lmcore import telemetry
from lmcore.telemetry import CpuMonitor, GpuMonitor, GpuProcess, GpuReport

GIB = 2**30


class Recorded:
    """Answers as nvidia-ml-py gives them: plain values, structs, or an error of its own kinds."""

    NVMLError = pynvml.NVMLError
    NVML_TEMPERATURE_GPU = pynvml.NVML_TEMPERATURE_GPU

    def __init__(self, cards: list[dict[str, Any]], **answers: Any) -> None:
        self.cards = cards
        self.answers = answers
        self.inits = 0

    def nvmlInit(self) -> None:  # noqa: N802
        self.inits += 1
        self._answer("nvmlInit", None)

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return int(self._answer("nvmlDeviceGetCount", len(self.cards)))

    def _answer(self, name: str, default: Any = None) -> Any:
        answer = self.answers.get(name, default)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def __getattr__(self, name: str) -> Any:
        def function(*arguments: Any) -> Any:
            if name == "nvmlDeviceGetHandleByIndex":
                answer = self.cards[arguments[0]].get(name, self.cards[arguments[0]])
            elif arguments and isinstance(arguments[0], dict):
                answer = arguments[0].get(name, not_supported())
            else:
                answer = self.answers.get(name)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return function


def not_supported() -> pynvml.NVMLError:
    return pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)


def lost() -> pynvml.NVMLError:
    return pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)


def on_card(pid: int, memory: int | None) -> SimpleNamespace:
    return SimpleNamespace(pid=pid, usedGpuMemory=memory)


def card(**changes: Any) -> dict[str, Any]:
    return {
        "nvmlDeviceGetName": "NVIDIA GeForce RTX 4090 D",
        "nvmlDeviceGetTemperature": 61,
        "nvmlDeviceGetPowerUsage": 287_123,
        "nvmlDeviceGetEnforcedPowerLimit": 425_000,
        "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=87, memory=40),
        "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=24 * GIB, used=10 * GIB, free=14 * GIB),
        "nvmlDeviceGetComputeRunningProcesses": [],
        "nvmlDeviceGetGraphicsRunningProcesses": [],
    } | changes


def test_two_cards_with_processes() -> None:
    first = card(
        nvmlDeviceGetComputeRunningProcesses=[on_card(999_999_998, 3 * GIB), on_card(os.getpid(), 4 * GIB)],
        nvmlDeviceGetGraphicsRunningProcesses=[on_card(os.getpid(), 4 * GIB), on_card(999_999_999, None)],
    )
    second = card(nvmlDeviceGetName=b"NVIDIA A100-SXM4-40GB", nvmlDeviceGetUtilizationRates=not_supported())
    report = GpuMonitor(Recorded([first, second], nvmlSystemGetProcessName="python")).read()
    assert report.reason == ""
    one, two = report.gpus
    assert (one.index, one.name, one.temperature_celsius) == (0, "NVIDIA GeForce RTX 4090 D", 61)
    assert (one.power_watts, one.power_limit_watts, one.utilization) == (287.123, 425.0, 0.87)
    assert (one.memory_used_bytes, one.memory_total_bytes) == (10 * GIB, 24 * GIB)
    assert [(process.pid, process.memory_bytes) for process in one.processes] == [
        (os.getpid(), 4 * GIB),
        (999_999_998, 3 * GIB),
        (999_999_999, None),
    ]
    assert "pytest" in (one.processes[0].name or "")
    assert one.processes[1] == GpuProcess(999_999_998, "python", 3 * GIB)
    assert (two.index, two.name, two.utilization, two.temperature_celsius) == (1, "NVIDIA A100-SXM4-40GB", None, 61)


@pytest.mark.parametrize("question", sorted(card()))
def test_each_value_that_the_driver_cannot_say_is_none_and_the_rest_is_there(question: str) -> None:
    whole, partial = (
        GpuMonitor(Recorded([given])).read().gpus[0] for given in (card(), card(**{question: not_supported()}))
    )
    differing = [name for name in vars(whole) if getattr(whole, name) != getattr(partial, name)]
    if "Processes" in question:
        assert partial.processes == ()
    else:
        assert differing
        assert all(getattr(partial, name) is None for name in differing)


def test_a_lost_card_beside_a_good_one_keeps_its_line() -> None:
    report = GpuMonitor(Recorded([card(nvmlDeviceGetHandleByIndex=lost()), card()])).read()
    assert report.gpus[0] == telemetry.Gpu(0)
    assert report.gpus[1].temperature_celsius == 61


def test_no_driver_is_a_reason_and_is_not_asked_for_at_every_look() -> None:
    backend = Recorded([], nvmlInit=pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND))
    monitor = GpuMonitor(backend)
    assert [monitor.read() for _ in range(3)] == [
        GpuReport(reason="There is no NVIDIA driver on this machine: NVML Shared Library Not Found.")
    ] * 3
    assert backend.inits == 1


def test_no_package_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "nvidia-ml-py is not installed" in GpuMonitor().read().reason


def test_no_card_is_a_reason() -> None:
    assert "no GPU" in GpuMonitor(Recorded([])).read().reason


def test_a_lost_driver_is_said_and_found_again() -> None:
    backend = Recorded([card()])
    monitor = GpuMonitor(backend, retry_seconds=0)
    assert len(monitor.read().gpus) == 1
    assert len(monitor.read().gpus) == 1
    assert backend.inits == 1
    backend.answers["nvmlDeviceGetCount"] = pynvml.NVMLError(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)
    report = monitor.read()
    assert report.gpus == ()
    assert "does not respond" in report.reason
    del backend.answers["nvmlDeviceGetCount"]
    assert len(monitor.read().gpus) == 1
    assert backend.inits == 2


def test_a_name_that_is_no_text_is_none() -> None:
    broken = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
    given = card(nvmlDeviceGetComputeRunningProcesses=[on_card(999_999_999, 1)])
    report = GpuMonitor(Recorded([given], nvmlSystemGetProcessName=broken)).read()
    assert report.gpus[0].processes == (GpuProcess(999_999_999, None, 1),)


def test_this_machine_answers_without_raising() -> None:
    report = telemetry.gpus()
    assert bool(report.gpus) != bool(report.reason)
    telemetry.cpu()
    sum(range(10**6))
    now = telemetry.cpu()
    assert now.memory_total_bytes is not None
    assert now.memory_total_bytes > 2**28


class Counted(NamedTuple):
    """What psutil counts on Linux, in seconds since the boot."""

    user: float = 0
    nice: float = 0
    system: float = 0
    idle: float = 0
    iowait: float = 0
    irq: float = 0
    softirq: float = 0
    steal: float = 0
    guest: float = 0
    guest_nice: float = 0


def test_load_is_the_busy_share_between_two_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = [Counted(user=100, guest=50), Counted(idle=100)]

    def cpu_times(percpu: bool = False) -> list[Counted] | Counted:
        return cores if percpu else Counted(*(sum(values) for values in zip(*cores, strict=True)))

    monkeypatch.setattr(psutil, "cpu_times", cpu_times)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=1000, available=400, used=500))
    monitor = CpuMonitor()
    first = monitor.read()
    assert (first.load, first.load_per_core) == (None, ())
    assert (first.memory_used_bytes, first.memory_total_bytes) == (600, 1000)
    cores = [Counted(user=150, guest=90), Counted(user=10, idle=120, iowait=20)]
    second = monitor.read()
    assert second.load == pytest.approx(0.6)
    assert second.load_per_core == pytest.approx((1.0, 0.2))


def test_threads_that_take_turns_share_one_record_of_the_load() -> None:
    monitor = CpuMonitor()
    loads: list[float | None] = []
    for _ in range(2):
        thread = threading.Thread(target=lambda: loads.append(monitor.read().load))
        thread.start()
        thread.join()
        time.sleep(0.05)
    assert loads[0] is None
    assert loads[1] is not None


def test_what_this_user_may_not_read_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError

    def denied(process: psutil.Process) -> None:
        raise psutil.AccessDenied(process.pid)

    monkeypatch.setattr(psutil, "cpu_times", refused)
    monkeypatch.setattr(psutil, "virtual_memory", refused)
    assert CpuMonitor().read() == telemetry.Cpu(None, (), None, None)
    monkeypatch.setattr(psutil.Process, "num_threads", denied)
    own = telemetry.process(os.getpid())
    assert own is not None
    assert own.threads is None
    assert own.memory_bytes is not None


def test_a_process_by_its_pid() -> None:
    before = telemetry.process_memory()
    ballast = bytearray(b"x" * 2**26)
    after = telemetry.process_memory(os.getpid())
    assert before is not None
    assert after is not None
    assert after - before > 0.8 * len(ballast)
    own = telemetry.process(os.getpid())
    assert own is not None
    assert own.threads is not None
    assert own.threads >= threading.active_count()
    assert own.cpu_seconds == pytest.approx(time.process_time(), abs=1.0)
    child = subprocess.Popen([sys.executable, "-c", ""])
    while telemetry.process(child.pid) is not None:
        time.sleep(0.01)  # until it is a zombie, which is gone for everybody but its parent
    child.wait()
    assert telemetry.process(child.pid) is None
    assert telemetry.process_memory(child.pid) is None
