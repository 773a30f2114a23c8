"""Machine: load and memory of each GPU and of the CPU, and where the memory of a run goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import work
from textual.app import ComposeResult
from textual.message import Message

from lmcore.telemetry import Gpu
from tui.machine.devices import DevicesPanel, ProcessList
from tui.machine.memory import MemoryPanel, split_of
from tui.machine.record import MemoryRecord, Record
from tui.session.messages import CurvesChanged, TelemetryChanged
from tui.watcher import ACTIVE
from tui.widgets.base_screen import BaseScreen

if TYPE_CHECKING:
    from tui.run_data import RunData
    from tui.session import Session
    from tui.session.telemetry import Snapshot
    from tui.watcher import RunRow

POINTS = 2000
"""Train events read of a run's past, evenly spaced, for its steady state."""


class MemoryRead(Message):
    """The memory of a run's past was read."""

    def __init__(self, record: MemoryRecord) -> None:
        super().__init__()
        self.record = record


class MachineScreen(BaseScreen):
    """Devices, processes, memory. The machine is read once a second while this screen is open."""

    MODE = "machine"
    CSS = """
    MachineScreen #body { layout: horizontal; }
    MachineScreen #devices { width: 3fr; }
    MachineScreen #memory { width: 2fr; }
    MachineScreen.-fold #devices, MachineScreen.-fold #memory { width: 1fr; }
    MachineScreen VerticalScroll { scrollbar-size: 1 1; }
    MachineScreen #devices { border: none; padding: 0; }
    MachineScreen #devices .reason { color: $secondary; height: auto; padding: 0 2; }
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.record = Record()
        self.memory: MemoryRecord | None = None
        self._reading: str | None = None

    def compose_panels(self) -> ComposeResult:
        yield DevicesPanel(id="devices")
        yield MemoryPanel(id="memory")

    def on_screen_resume(self) -> None:
        # Another screen has followed other runs in between.
        self._reading = None
        if self.session.machine is not None:
            self._show(self.session.machine)

    def refresh_rows(self, rows: list[RunRow]) -> None:
        name = self.target_run()
        if name is not None and name != self._reading:
            self._reading = name
            self.read_memory(name)
            self.session.follow(frozenset([name]))

    def target_run(self) -> str | None:
        """The selected run if it is active, else the first one that is, else the selected one."""
        active = self.session.active
        return self.session.selected if self.session.selected in active or not active else active[0]

    def action_next_run(self) -> None:
        """Show the memory of the next run that is training."""
        active = self.session.active
        if not active:
            self.notify("No run is training.", severity="warning")
            return
        here = self.target_run()
        self.choose(active[(active.index(here) + 1) % len(active)] if here in active else active[0])

    def action_restart_record(self) -> None:
        """Reset the histories and averages."""
        self.record = Record()
        if self.session.machine is not None:
            self._show(self.session.machine)

    def choose(self, run: str) -> None:
        """Show this run's memory; the keys for runs act on it."""
        self.session.selected = run
        self.refresh_rows(self.session.rows)
        self.refresh_footer()
        if self.session.machine is not None:
            self._draw(self.session.machine)

    def on_process_list_clicked(self, message: ProcessList.Clicked) -> None:
        self.choose(message.run)

    @work(thread=True, exclusive=True, group="memory", exit_on_error=False)
    def read_memory(self, run: str) -> None:
        """Read the memory of a run's past off the UI thread."""
        from lmcore.runs import load_curve

        columns = load_curve(self.session.run(run).events_path, "train", ["step", "memory_bytes"], POINTS)
        record = MemoryRecord(run)
        for step, used in zip(columns["step"].tolist(), columns["memory_bytes"].tolist(), strict=True):
            if used == used:  # not NaN
                record.add(step, used)
        self.post_message(MemoryRead(record))

    def on_memory_read(self, message: MemoryRead) -> None:
        self.memory = message.record
        if self.session.machine is not None:
            self._draw(self.session.machine)

    def receive(self, message: Message) -> None:
        if isinstance(message, TelemetryChanged):
            self._show(message.snapshot)
        elif (
            isinstance(message, CurvesChanged)
            and self.session.machine is not None
            and self.target_run() in message.names
        ):
            self._draw(self.session.machine)

    def _show(self, snapshot: Snapshot) -> None:
        self.record.add(snapshot)
        self._draw(snapshot)

    def _draw(self, snapshot: Snapshot) -> None:
        self.call_later(self._draw_devices, snapshot)
        panel = self.query_one(MemoryPanel)
        with panel.guard():
            self._draw_memory(panel, snapshot)

    async def _draw_devices(self, snapshot: Snapshot) -> None:
        panel = self.query_one(DevicesPanel)
        with panel.guard():
            await panel.show(snapshot, self.record, self._pids(), self.target_run())

    def _pids(self) -> dict[int, str]:
        return {row.pid: row.name for row in self.session.rows if row.pid is not None and row.state in ACTIVE}

    def _draw_memory(self, panel: MemoryPanel, snapshot: Snapshot) -> None:
        run = self.target_run()
        data = self.session.data.get(run) if run else None
        if run is None or data is None or not data.last_train:
            panel.show(run, "", None, None)
            return
        gpu, holds = self._place(run, data, snapshot)
        record = self.memory if self.memory is not None and self.memory.run == run else None
        if record is not None:
            record.add(data.last_train.get("step", -1), data.last_train.get("memory_bytes"))
        where = f"cuda:{gpu.index}" if gpu else str(data.start.get("device", "cpu"))
        panel.show(run, where, split_of(data.last_train, holds, gpu), record)

    def _place(self, run: str, data: RunData, snapshot: Snapshot) -> tuple[Gpu | None, float | None]:
        """The GPU that a run computes on, None for the CPU, and the memory of its process there."""
        pid = data.start.get("pid")
        for gpu in snapshot.gpus.gpus:
            for process in gpu.processes:
                if process.pid == pid:
                    return gpu, process.memory_bytes
        own = snapshot.processes.get(run)
        return None, own.memory_bytes if own else None
