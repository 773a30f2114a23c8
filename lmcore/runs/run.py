"""One run: what its directory says, and its state, derived from the events and the process."""

from __future__ import annotations

import json
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmcore.errors import LmError, UsageError
from lmcore.runs.checkpoints import POINTERS, Checkpoint, checkpoint_name, list_checkpoints, read_pointer
from lmcore.runs.control import CONTROL_FILE, write_request
from lmcore.runs.events import EVENTS_FILE, EventWriter
from lmcore.runs.fold import Latest
from lmcore.runs.history import History
from lmcore.runs.process import host, is_alive
from lmcore.runs.summary import figures, latest_events

if TYPE_CHECKING:
    from lmcore.config import Config

CONFIG_FILE = "config.toml"
INFO_FILE = "run.json"
SILENT_SECONDS = 60.0
# What a finished run's last word makes of it; every other one is "finished".
ENDED = {"stopped": "stopped", "interrupted": "stopped", "diverged": "crashed", "error": "crashed"}


def is_run(path: Path) -> bool:
    """Whether a directory holds a run."""
    return (path / CONFIG_FILE).is_file() or (path / EVENTS_FILE).is_file()


class Run:
    """A run directory. Nothing is read before it is asked for, and what changes is read anew each time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[tuple[int, int, int], Latest] | None = None

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def name(self) -> str:
        """The directory's name."""
        return self.path.name

    @property
    def events_path(self) -> Path:
        """The event file, for `EventTail`."""
        return self.path / EVENTS_FILE

    @property
    def control_path(self) -> Path:
        """The request file, for `ControlReader`."""
        return self.path / CONTROL_FILE

    @cached_property
    def events(self) -> EventWriter:
        """Appends events; for the process that trains the run only."""
        return EventWriter(self.events_path)

    def config_values(self) -> dict[str, Any]:
        """`config.toml` as plain values, without pydantic; empty when there is none.

        Raises:
            LmError: it cannot be read.
        """
        import tomllib

        try:
            return tomllib.loads((self.path / CONFIG_FILE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise LmError(
                f"{self.path / CONFIG_FILE} cannot be read: {error}.", "Correct the file, or remove the run."
            ) from error

    def config(self) -> Config:
        """The run's settings, validated.

        Raises:
            LmError: they cannot be read, or this version does not know one of them.
        """
        from lmcore.config import Config

        try:
            return Config.from_dict(self.config_values())
        except UsageError as error:
            raise LmError(
                f"The run '{self.name}' has settings that this version of lm cannot use: {error.message}",
                f"Update lm to the version that made the run, or correct {self.path / CONFIG_FILE}.",
            ) from error

    def known_config(self) -> Config | None:
        """What this version knows of the run's settings, for readers that only show them: those of a newer version are
        left out. None where the others are no valid config.
        """
        from lmcore.config import Config, known_settings

        try:
            return Config.from_dict(known_settings(self.config_values()))
        except LmError:
            return None

    def info(self) -> dict[str, Any]:
        """`run.json`; empty when it is missing or cannot be read."""
        try:
            values = json.loads((self.path / INFO_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return values if isinstance(values, dict) else {}

    def history(self, *, max_train: int | None = None) -> History:
        """Everything that happened; with `max_train`, at most that many train events, evenly spaced."""
        return History.load(self.events_path, max_train=max_train)

    def latest(self) -> Latest:
        """The events that decide how the run stands; read again only when the file has changed."""
        try:
            status = self.events_path.stat()
        except OSError:
            return Latest()
        key = (status.st_ino, status.st_size, status.st_mtime_ns)
        if self._seen is None or self._seen[0] != key:
            self._seen = (key, latest_events(self.events_path))
        return self._seen[1]

    def state(self) -> str:
        """`created`, `running`, `paused`, `finished`, `stopped`, `crashed` or `stale` (docs/design.md, "Events")."""
        now = self.latest()
        if now.start is None:
            return "created"
        if now.finish is not None:
            return ENDED.get(str(now.finish.get("why")), "finished")
        if self._is_local(now) and not self._process_lives(now):
            return "crashed"
        if time.time() - self.when() > SILENT_SECONDS:
            return "stale"
        return "paused" if now.heartbeat and now.heartbeat.get("paused") else "running"

    def is_active(self) -> bool:
        """Whether a process still trains it: running, paused, or silent but alive on this machine."""
        state = self.state()
        return state in ("running", "paused") or (state == "stale" and self._is_local(self.latest()))

    def when(self) -> float:
        """When something happened last: the last event, else the creation. Unix seconds; 0 if the run is gone."""
        last = self.latest().last_time
        if last is not None:
            return last
        created = self.info().get("created")
        if isinstance(created, int | float):
            return float(created)
        try:
            return self.path.stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def request(self, action: str) -> str:
        """Ask the process that trains this run to `pause`, `resume`, `checkpoint` or `stop`; returns the id that the
        answering `control` event carries.

        Raises:
            UsageError: no process trains this run, or there is no such action.
        """
        if not self.is_active():
            raise UsageError(
                f"The run '{self.name}' is not training: it is {self.state()}.",
                f"Continue it with `lm train --resume {self.name}`.",
            )
        return write_request(self.control_path, action)

    def checkpoints(self) -> list[Checkpoint]:
        """Complete checkpoints, the oldest first."""
        return list_checkpoints(self.path)

    def checkpoint(self, which: str | int = "last") -> Path:
        """The folder of the `best` or the `last` checkpoint, or that of a step.

        Raises:
            LmError: there is no such checkpoint.
        """
        if which in POINTERS:
            folder = read_pointer(self.path, str(which))
        else:
            folder = next(
                (path for step, path in self.checkpoints() if str(step) == str(which) or path.name == which), None
            )
        if folder is not None:
            return folder
        steps = [str(step) for step, _ in self.checkpoints()]
        wanted = (
            f"{which} checkpoint"
            if which in POINTERS
            else f"checkpoint {which if isinstance(which, str) else checkpoint_name(which)}"
        )
        hint = f"Choose 'last' or one of the steps {', '.join(steps)}." if steps else "It has no checkpoints yet."
        raise LmError(f"The run '{self.name}' has no {wanted}.", hint)

    def summary(self) -> dict[str, Any]:
        """The run's line in a table: its name and preset, the settings of `headline_of`, `state`, the numbers of
        `figures`, and `when` something happened last in Unix seconds. What is not known is None.
        """
        info = self.info()
        return {
            "name": self.name,
            "preset": info.get("preset"),
            **self._headline(info),
            "state": self.state(),
            **figures(self.latest()),
            "when": self.when(),
        }

    def _headline(self, info: dict[str, Any]) -> dict[str, Any]:
        """The four settings that tables name, from `run.json` if they stand there: TOML is slow to read for hundreds of
        runs.
        """
        headline = info.get("headline")
        if isinstance(headline, dict):
            return headline
        try:
            values = self.config_values()
        except LmError:
            values = {}
        return headline_of(values)

    def _is_local(self, now: Latest) -> bool:
        return now.start is not None and now.start.get("host") in (None, host())

    def _process_lives(self, now: Latest) -> bool:
        pid = (now.start or {}).get("pid")
        return isinstance(pid, int) and is_alive(pid, (now.start or {}).get("pid_started"))


def headline_of(values: dict[str, Any]) -> dict[str, Any]:
    """`architecture`, `n_layer`, `optimizer` and `dataset` of a config's values."""
    model = values.get("model", {})
    return {
        "architecture": model.get("architecture"),
        "n_layer": model.get("n_layer"),
        "optimizer": values.get("optimizer", {}).get("name"),
        "dataset": values.get("data", {}).get("corpus"),
    }
