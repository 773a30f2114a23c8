"""What nvidia-smi shows of each GPU, live; and the same of the CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from lmcore.telemetry import Cpu, Gpu, Process
from lmcore.text import harmless, human_bytes, human_time
from tui.machine.record import Record, cpu_shares, gpu_shares
from tui.session.telemetry import Snapshot
from tui.theme import ascii_only
from tui.widgets.cells import fit
from tui.widgets.meter import Trace, meter
from tui.widgets.panel import Panel

NOT_KNOWN = "N/A"
NARROW, WIDE = 50, 80
"""Cells from which a gauge has room for the average, and for how long it was taken."""


def said(value: float | None, form: str) -> str:
    """A figure, or N/A where the driver gives none."""
    return NOT_KNOWN if value is None else form.format(value)


def said_bytes(value: float | None) -> str:
    """Bytes, or N/A."""
    return NOT_KNOWN if value is None else human_bytes(value)


@dataclass(frozen=True)
class ProcessLine:
    """One line of a list of processes; `run` is set where it trains a run."""

    pid: int
    name: str
    figures: tuple[str, ...]
    run: str = ""


class ProcessList(Static):
    """Processes as a table; a click on one that trains a run selects the run."""

    DEFAULT_CSS = "ProcessList { height: auto; margin-top: 1; text-wrap: nowrap; text-overflow: ellipsis; }"

    class Clicked(Message):
        """A process that trains a run was clicked."""

        def __init__(self, run: str) -> None:
            super().__init__()
            self.run = run

    def __init__(self) -> None:
        super().__init__(markup=False)
        self._lines: list[ProcessLine] = []

    def show(self, titles: tuple[str, ...], lines: list[ProcessLine], chosen: str | None, empty: str) -> None:
        """Draw the table; the chosen run stands out."""
        self._lines = lines
        if not lines:
            self.update(Content.styled(empty, "$secondary"))
            return
        mark = "  * lm" if ascii_only() else "  ● lm"
        room = max(self.size.width - 9 - 10 * len(titles) - len(mark), 12)
        head = f"{'pid':>7}  {'process':<{room}}" + "".join(f"{title:>10}" for title in titles)
        rows = [Content.styled(head, "$secondary")]
        for line in lines:
            # Runs by their names: their command lines all begin alike.
            name = f"lm train {line.run}" if line.run else harmless(line.name, keep_newlines=False)
            text = f"{line.pid:>7}  {fit(name, room)}" + "".join(f"{figure:>10}" for figure in line.figures)
            style = "bold $foreground" if line.run and line.run == chosen else "$foreground"
            rows.append(Content.assemble((text, style), (mark if line.run else "", "$accent")))
        self.update(Content("\n").join(rows))

    def on_click(self, event: events.Click) -> None:
        if 1 <= event.y <= len(self._lines) and self._lines[event.y - 1].run:
            self.post_message(self.Clicked(self._lines[event.y - 1].run))


class DeviceBlock(Vertical):
    """Load and memory of a GPU or of the CPU, each with its history, then the processes."""

    DEFAULT_CSS = """
    DeviceBlock { height: auto; border: round $border; padding: 0 1; }
    DeviceBlock { border-title-color: $foreground; border-subtitle-color: $secondary; }
    DeviceBlock.-ascii { border: ascii $border; }
    DeviceBlock .gauge { height: 1; text-wrap: nowrap; }
    DeviceBlock Trace { height: 2; margin: 0 0 0 8; }
    DeviceBlock Trace.memory { height: 1; color: $secondary 70%; }
    """

    def compose(self) -> ComposeResult:
        yield Static(classes="gauge", id="load", markup=False)
        yield Trace(classes="load")
        yield Static(classes="gauge", id="memory", markup=False)
        yield Trace(classes="memory")
        yield Static(classes="gauge", id="cores", markup=False)
        yield ProcessList()

    def __init__(self) -> None:
        super().__init__()
        self._show_again: Callable[[], None] | None = None
        self._drawn_width = 0

    def on_mount(self) -> None:
        self.set_class(ascii_only(), "-ascii")

    def on_resize(self) -> None:
        # A block is first shown before it has a place on the screen.
        if self._show_again is not None and self.content_size.width != self._drawn_width:
            self._show_again()

    def show_gauges(self, name: str, shares: dict[str, float | None], memory: str, record: Record) -> None:
        """Bars and histories; `name` is the device's in the record."""
        self._drawn_width = self.content_size.width
        load = shares["load"]
        texts = {"load": said(None if load is None else 100 * load, "{:.0f}%"), "memory": memory}
        for kind, text in texts.items():
            average = record.average(f"{name}.{kind}")
            room = self.content_size.width
            over = "" if average is None or record.seconds < 10 else f"average {average:.0%}"
            over += f" in {human_time(record.seconds)}" if over and room >= WIDE else ""
            beside = (25 if room >= WIDE else 14) if room >= NARROW else 0
            gauge = Content.assemble(
                (f"{kind:<8}", "$secondary"),
                meter(shares[kind], max(room - 8 - 20 - beside, 8)),
                f" {text:<19}",
                (f"{over:>{beside}}" if beside else "", "$secondary"),
            )
            self.query_one(f"#{kind}", Static).update(gauge)
            self.query_one(f"Trace.{kind}", Trace).show(list(record.series[f"{name}.{kind}"]))


class GpuBlock(DeviceBlock):
    """A GPU."""

    def show(self, gpu: Gpu, record: Record, pids: dict[int, str], chosen: str | None) -> None:
        """Show a reading; `pids` are the processes of the runs."""
        self._show_again = partial(self.show, gpu, record, pids, chosen)
        dot = " - " if ascii_only() else " · "
        degree = " C" if ascii_only() else " °C"
        self.border_title = Content(f"{gpu.index}{dot}{harmless(gpu.name or NOT_KNOWN, keep_newlines=False)}")
        power = f"{said(gpu.power_watts, '{:.0f} W')} / {said(gpu.power_limit_watts, '{:.0f} W')}"
        self.border_subtitle = Content(f"{said(gpu.temperature_celsius, '{}' + degree)}{dot}{power}")
        self.query_one("#cores").display = False
        memory = f"{said_bytes(gpu.memory_used_bytes)} / {said_bytes(gpu.memory_total_bytes)}"
        self.show_gauges(f"gpu{gpu.index}", gpu_shares(gpu), memory, record)
        lines = [
            ProcessLine(p.pid, p.name or NOT_KNOWN, (said_bytes(p.memory_bytes),), pids.get(p.pid, ""))
            for p in gpu.processes
        ]
        self.query_one(ProcessList).show(("memory",), lines, chosen, "no processes on this GPU")


class CpuBlock(DeviceBlock):
    """The CPU, and the processes of the runs."""

    def __init__(self) -> None:
        super().__init__()
        self._before: dict[int, tuple[float, float]] = {}
        self._busy: dict[int, float] = {}

    def show(self, snapshot: Snapshot, record: Record, chosen: str | None) -> None:
        """Show a reading."""
        self._show_again = partial(self.show, snapshot, record, chosen)
        cpu = snapshot.cpu
        cores = len(cpu.load_per_core)
        self.border_title = Content(f"CPU{f', {cores} cores' if cores else ''}")
        memory = f"{said_bytes(cpu.memory_used_bytes)} / {said_bytes(cpu.memory_total_bytes)}"
        self.show_gauges("cpu", cpu_shares(cpu), memory, record)
        self.query_one("#cores", Static).update(self._cores(cpu))
        lines = [self._line(run, process, snapshot.time) for run, process in sorted(snapshot.processes.items())]
        self.query_one(ProcessList).show(
            ("cpu", "memory", "threads"), lines, chosen, "no run is training on this machine"
        )

    def _cores(self, cpu: Cpu) -> Content:
        most = max((self.content_size.width - 8) // 11, 1)
        bars = [Content.assemble(meter(load, 4), f" {load:>4.0%}  ") for load in cpu.load_per_core[:most]]
        return Content.assemble((f"{'cores':<8}", "$secondary"), *bars) if bars else Content("")

    def _line(self, run: str, process: Process, now: float) -> ProcessLine:
        if process.cpu_seconds is not None:
            then, seconds = self._before.get(process.pid, (now, process.cpu_seconds))
            if now > then:
                self._busy[process.pid] = (process.cpu_seconds - seconds) / (now - then)
            self._before[process.pid] = (now, process.cpu_seconds)
        busy = self._busy.get(process.pid)
        figures = (
            said(None if busy is None else 100 * busy, "{:.0f}%"),
            said_bytes(process.memory_bytes),
            said(process.threads, "{}"),
        )
        return ProcessLine(process.pid, "lm train", figures, run)


class DevicesPanel(Panel):
    """All GPUs, then the CPU."""

    TITLE = "Devices"

    def compose_panel(self) -> ComposeResult:
        yield Static("reading …" if not ascii_only() else "reading ...", classes="reason", markup=False)
        with VerticalScroll():
            yield CpuBlock()

    async def show(self, snapshot: Snapshot, record: Record, pids: dict[int, str], chosen: str | None) -> None:
        """Show a reading; blocks come and go with the GPUs."""
        reason = self.query_one(".reason", Static)
        reason.update(harmless(snapshot.gpus.reason, keep_newlines=False))
        reason.display = bool(snapshot.gpus.reason)
        blocks = list(self.query(GpuBlock))
        missing = len(snapshot.gpus.gpus) - len(blocks)
        if missing > 0:
            await self.query_one(VerticalScroll).mount_all(
                [GpuBlock() for _ in range(missing)], before=self.query_one(CpuBlock)
            )
        for block in blocks[len(snapshot.gpus.gpus) :]:
            await block.remove()
        for block, gpu in zip(self.query(GpuBlock), snapshot.gpus.gpus, strict=True):
            block.show(gpu, record, pids, chosen)
        self.query_one(CpuBlock).show(snapshot, record, chosen)
