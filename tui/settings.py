"""What the screen remembers between two starts: theme, layout, last selection, and keys of one's own."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from lmcore.errors import UsageError

log = logging.getLogger("lm.tui")


def state_dir() -> Path:
    """Where the screen keeps its settings and its log: `$LM_STATE`, else the user's state directory."""
    if os.environ.get("LM_STATE"):
        return Path(os.environ["LM_STATE"])
    import platformdirs

    return Path(platformdirs.user_state_dir("lm"))


@dataclass
class Settings:
    """What is remembered. Every field has a default, so that a missing or damaged file is no obstacle."""

    theme: str = "lm-dark"
    layout: str = "panels"
    mode: str = "watch"
    run: str = ""
    overlay: list[str] = field(default_factory=list)
    metric: str = "perplexity"
    x_axis: str = "step"
    log_y: bool = True
    smoothing: float = 0.6
    sort: str = "recent"
    sort_reverse: bool = False
    preset: str = ""
    sources: list[str] = field(default_factory=list)
    prompts: list[str] = field(default_factory=list)
    write: dict[str, float] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)

    def save(self, folder: Path | None = None) -> None:
        """Write atomically, so that two screens closing at once leave a whole file; a read-only home is only logged."""
        folder = folder or state_dir()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            draft = folder / f".tui.json.{os.getpid()}"
            draft.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")
            draft.replace(folder / "tui.json")
        except OSError as error:
            log.warning("settings were not saved: %s", error)


def load_settings(folder: Path | None = None) -> Settings:
    """The remembered settings; unknown fields and fields of another type fall back to their defaults."""
    path = (folder or state_dir()) / "tui.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Settings()
    except (OSError, ValueError) as error:
        log.warning("settings were not read from %s: %s", path, error)
        return Settings()
    settings = Settings()
    for f in fields(settings) if isinstance(values, dict) else ():
        default = getattr(settings, f.name)
        value = values.get(f.name, default)
        if isinstance(value, int) and isinstance(default, float):
            value = float(value)
        if type(value) is type(default):
            setattr(settings, f.name, value)
    return settings


def checked_keys(keys: dict[str, str]) -> dict[str, str]:
    """Key overrides by action id.

    Raises:
        UsageError: an unknown action, or a key that tmux or the terminal keeps for itself.
    """
    from tui.actions import ACTIONS, SWALLOWED_KEYS

    known = {action.id for action in ACTIONS}
    for action_id, key in keys.items():
        if action_id not in known:
            raise UsageError(f"There is no action '{action_id}'.", "docs/tui.md lists them all.")
        if SWALLOWED_KEYS & set(key.split(",")):
            raise UsageError(f"'{key}' never reaches the screen: tmux or the terminal keeps it.", "Choose another key.")
    return keys
