"""The Machine screen against recorded NVML answers: two GPUs with processes, errors, a driver that is lost, and none
at all.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest
from textual.pilot import Pilot

import tui.session.telemetry
from lmcore.telemetry import Gpu, GpuMonitor
from tests.tui.recorded import finish, record, start, train
from tests.tui.scenes import opened, shown, training_run, until
from tui.app import LmApp
from tui.machine.devices import CpuBlock, GpuBlock, ProcessList
from tui.machine.memory import MemoryPanel, split_of, stacked
from tui.machine.record import MemoryRecord, Record
from tui.session import Session
from tui.session.messages import TelemetryChanged

GIB = 2**30


def not_supported() -> pynvml.NVMLError:
    return pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)


class Nvml:
    """Answers as nvidia-ml-py gave them on a machine with two cards: `changes` replace some, by the function's name
    without `nvmlDeviceGet`.
    """

    NVMLError = pynvml.NVMLError
    NVML_TEMPERATURE_GPU = pynvml.NVML_TEMPERATURE_GPU

    def __init__(self, cards: int = 2, **changes: Any) -> None:
        ours, other = (
            SimpleNamespace(pid=os.getpid(), usedGpuMemory=5 * GIB),
            SimpleNamespace(pid=999_999_999, usedGpuMemory=7 * GIB),
        )
        self.answers: dict[str, Any] = {
            "Count": cards,
            "Name": "NVIDIA GeForce RTX 4090 D",
            "Temperature": 61,
            "PowerUsage": 287_123,
            "EnforcedPowerLimit": 425_000,
            "UtilizationRates": SimpleNamespace(gpu=87, memory=40),
            "MemoryInfo": SimpleNamespace(total=24 * GIB, used=12 * GIB, free=12 * GIB),
            "ComputeRunningProcesses": [ours, other],
            "GraphicsRunningProcesses": [],
            **changes,
        }

    def __getattr__(self, name: str) -> Any:
        def function(*arguments: Any) -> Any:
            if name == "nvmlDeviceGetHandleByIndex":
                return arguments[0]
            answer = self.answers.get(name.removeprefix("nvmlDeviceGet"))
            if arguments and arguments[0] == 1:
                # The second card has little to say.
                answer = {
                    "Name": b"Tesla T4",
                    "MemoryInfo": SimpleNamespace(total=16 * GIB, used=GIB, free=15 * GIB),
                }.get(name.removeprefix("nvmlDeviceGet"), not_supported())
            if isinstance(answer, Exception):
                raise answer
            return answer

        return function


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LM_STATE", str(tmp_path / "state"))
    training_run(tmp_path / "runs", "exp12")
    record(tmp_path / "runs", "done", [start(), train(10), finish(10)])
    return tmp_path / "runs"


def driver(monkeypatch: pytest.MonkeyPatch, nvml: Nvml) -> Nvml:
    """Let the app read these answers."""
    monkeypatch.setattr(tui.session.telemetry, "gpus", GpuMonitor(nvml, retry_seconds=0).read)
    return nvml


async def settled(app: LmApp, screen: Any, pilot: Pilot[Any]) -> None:
    """Wait until the machine and the run at work have been read and drawn."""
    await until(
        pilot,
        lambda: app.session.machine and app.session.machine.processes and "exp12" in app.session.data and screen.memory,
    )
    assert app.session.machine is not None
    app.post_message(TelemetryChanged(app.session.machine))
    await pilot.pause(0.1)


def texts(screen: Any, kind: type) -> str:
    """All text inside widgets of a kind."""
    return "\n".join(shown(inner) for widget in screen.query(kind) for inner in widget.query("*") if not inner.children)


async def test_two_cards_as_nvidia_smi_shows_them_ours_marked(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(monkeypatch, Nvml())
    async with opened(root, "machine", run="exp12") as (app, screen, pilot):
        await settled(app, screen, pilot)
        first, second = screen.query(GpuBlock)
        assert str(first.border_title) == "0 · NVIDIA GeForce RTX 4090 D"
        assert str(first.border_subtitle) == "61 °C · 287 W / 425 W"
        gauges = texts(screen, GpuBlock)
        assert "87%" in gauges
        assert "12.0 GB / 24.0 GB" in gauges
        lines = shown(first.query_one(ProcessList)).splitlines()
        ours = next(line for line in lines if str(os.getpid()) in line)
        assert "lm train exp12" in ours
        assert "5.0 GB" in ours
        assert "● lm" in ours
        other = next(line for line in lines if "999999999" in line)
        assert "7.0 GB" in other
        assert "● lm" not in other
        assert str(second.border_title) == "1 · Tesla T4"
        assert str(second.border_subtitle) == "N/A · N/A / N/A"
        assert "1.0 GB / 16.0 GB" in gauges
        assert "no processes on this GPU" in gauges


async def test_the_memory_of_our_run_is_split_and_others_are_told_apart(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver(monkeypatch, Nvml())
    async with opened(root, "machine", run="exp12") as (app, screen, pilot):
        await settled(app, screen, pilot)
        said = {
            line.split()[1]: " ".join(line.split()[2:4])
            for line in texts(screen, MemoryPanel).splitlines()
            if len(line.split()) > 3
        }
        assert str(screen.query_one(MemoryPanel).border_title) == "Memory of exp12 · cuda:0"
        # 4 GiB of the process's 5 are explained; the GPU holds 12.
        wanted = {
            "weights": "1.0 GB",
            "gradients": "512.0 MB",
            "optimizer": "1.0 GB",
            "activations": "1.0 GB",
            "cached": "512.0 MB",
            "rest": "1.0 GB",
            "others": "7.0 GB",
            "free": "12.0 GB",
        }
        assert {name: said[name] for name in wanted} == wanted
        assert "steady 4.0 GB · peak 4.0 GB" in texts(screen, MemoryPanel)


async def test_a_lost_driver_reads_as_a_sentence_and_comes_back(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = driver(monkeypatch, Nvml())
    async with opened(root, "machine", run="exp12") as (app, screen, pilot):
        await settled(app, screen, pilot)
        nvml.answers["Count"] = pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        await until(pilot, lambda: not screen.query(GpuBlock))
        assert "does not respond" in shown(screen.query_one(".reason"))
        assert "load" in texts(screen, CpuBlock)
        nvml.answers["Count"] = 2
        await until(pilot, lambda: len(screen.query(GpuBlock)) == 2)


async def test_without_a_driver_the_processor_is_shown(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(monkeypatch, Nvml(nvmlInit=pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)))
    async with opened(root, "machine", run="exp12") as (app, screen, pilot):
        await settled(app, screen, pilot)
        assert "There is no NVIDIA driver" in shown(screen.query_one(".reason"))
        assert f"{os.cpu_count()} cores" in str(screen.query_one(CpuBlock).border_title)
        ours = next(line for line in shown(screen.query_one(ProcessList)).splitlines() if str(os.getpid()) in line)
        assert "lm train exp12" in ours
        assert ours.split()[-3].isdigit()  # threads
        assert str(screen.query_one(MemoryPanel).border_title) == "Memory of exp12 · cuda:0"


async def test_keys_choose_and_steer_runs_and_begin_the_record_anew(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver(monkeypatch, Nvml())
    training_run(root, "other")
    async with opened(root, "machine") as (app, screen, pilot):
        app.session.selected = "exp12"
        await until(pilot, lambda: len(app.session.rows) == 3 and app.session.machine)
        await pilot.press("n")
        assert screen.target_run() == "other"
        await pilot.press("n", "p")
        await until(pilot, lambda: (root / "exp12" / "control.jsonl").exists())
        assert json.loads((root / "exp12" / "control.jsonl").read_text())["action"] == "pause"
        await until(pilot, lambda: len(screen.record.series["cpu.load"]) > 1)
        await pilot.press("r")
        assert len(screen.record.series["cpu.load"]) == 1


async def test_a_gpu_that_appears_is_drawn_in_its_width_at_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(monkeypatch, Nvml())
    monkeypatch.setattr(Session, "read_machine", lambda self: None)
    async with opened(root, "machine", run="exp12") as (app, screen, pilot):
        await until(pilot, lambda: app.session.active)
        app.post_message(TelemetryChanged(tui.session.telemetry.read(1.0, {"exp12": os.getpid()})))
        await until(pilot, lambda: screen.query(GpuBlock))
        block = screen.query(GpuBlock).first()
        processes = block.query_one(ProcessList)
        await until(pilot, lambda: "● lm" in shown(processes))
        await until(pilot, lambda: max(map(len, shown(processes).splitlines())) == block.content_size.width)


async def test_a_click_on_one_of_our_processes_chooses_its_run(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(monkeypatch, Nvml())
    async with opened(root, "machine") as (app, screen, pilot):
        await settled(app, screen, pilot)
        app.session.selected = None
        processes = screen.query(GpuBlock).first().query_one(ProcessList)
        line = next(y for y, text in enumerate(shown(processes).splitlines()) if "● lm" in text)
        await pilot.click(processes, offset=(20, line))
        await until(pilot, lambda: app.session.selected == "exp12")


async def test_folded_devices_and_memory_are_tabs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(monkeypatch, Nvml())
    async with opened(root, "machine", size=(80, 24)) as (app, screen, pilot):
        await settled(app, screen, pilot)
        assert [panel.display for panel in screen.panels] == [True, False]
        await pilot.press("right_square_bracket")
        await pilot.pause()
        assert [panel.display for panel in screen.panels] == [False, True]


def test_a_split_adds_up_to_the_card() -> None:
    event = {
        "memory": {"weights": 2 * GIB, "gradients": GIB, "optimizer": None, "activations": GIB, "cached": 0},
        "memory_bytes": 4 * GIB,
    }
    split = split_of(event, 5 * GIB, Gpu(0, memory_used_bytes=9 * GIB, memory_total_bytes=16 * GIB))
    assert sum(value for value in split.parts.values() if value is not None) == 16 * GIB
    assert split.parts["optimizer"] is None
    bar = stacked(split, 32)
    assert len(bar) == 32
    assert {glyph: bar.count(glyph) for glyph in "█▓░▞╳·"} == {"█": 4, "▓": 2, "░": 2, "▞": 2, "╳": 8, "·": 14}


def test_what_the_driver_does_not_say_is_not_made_up() -> None:
    split = split_of({}, None, Gpu(0))
    assert set(split.parts.values()) == {None}
    assert stacked(split, 10) == ""


def test_the_steady_state_is_the_newer_half() -> None:
    memory = MemoryRecord("exp12")
    for step, used in enumerate([1, 1, 1, 5, 5, 5]):
        memory.add(step, used * GIB)
    memory.add(2, 99 * GIB)  # an old event, read again
    memory.add(9, None)
    assert memory.steady == 5 * GIB
    assert memory.peak == 5 * GIB


def test_the_record_averages_what_it_has_and_leaves_gaps() -> None:
    from lmcore.telemetry import Cpu, GpuReport
    from tui.session.telemetry import Snapshot

    record = Record()
    for second, load in ((0.0, 0.2), (1.0, None), (2.0, 0.4), (60.0, 0.6)):
        record.add(Snapshot(second, GpuReport(), Cpu(load, (), 1, 4)))
    assert list(record.series["cpu.load"]) == [0.2, None, 0.4, None, 0.6]
    assert record.average("cpu.load") == pytest.approx(0.4)
    assert record.average("cpu.memory") == 0.25
    assert record.average("gpu0.load") is None
    assert record.seconds == 60.0
