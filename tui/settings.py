"""What the screen remembers between two starts: theme, layout, last selection, and the user's own keys."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from lmcore.errors import LmError, UsageError, did_you_mean
from lmcore.files import replacing

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
    generate: dict[str, float] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)

    def save(self, folder: Path | None = None) -> None:
        """Write atomically, because two screens may close at once. A home that is read-only is only logged."""
        try:
            with replacing((folder or state_dir()) / "tui.json") as draft:
                draft.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")
        except (LmError, OSError) as error:
            log.warning("settings were not saved: %s", error)


RENAMED_SCREENS = {"write": "generate", "gpu": "machine"}
"""Names of screens in settings that earlier versions saved."""


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
    values = _with_present_names(values) if isinstance(values, dict) else {}
    for f in fields(settings):
        default = getattr(settings, f.name)
        value = values.get(f.name, default)
        if isinstance(value, int) and isinstance(default, float):
            value = float(value)
        if type(value) is type(default):
            setattr(settings, f.name, value)
    return settings


def _with_present_names(values: dict[str, Any]) -> dict[str, Any]:
    """Saved values under the names of today."""
    values = {RENAMED_SCREENS.get(name, name): value for name, value in values.items()}
    if isinstance(values.get("mode"), str):
        values["mode"] = RENAMED_SCREENS.get(values["mode"], values["mode"])
    if isinstance(values.get("keys"), dict):
        values["keys"] = {_present_action(action_id): key for action_id, key in values["keys"].items()}
    return values


def _present_action(action_id: str) -> str:
    """`write.copy`, `app.write` and `runs.write` of earlier versions as `generate.copy`, `app.generate` and so on."""
    return ".".join(RENAMED_SCREENS.get(part, part) for part in action_id.split("."))


def checked_keys(keys: dict[str, str]) -> dict[str, str]:
    """Key overrides by action id.

    Raises:
        UsageError: an unknown action, or a key that tmux or the terminal does not pass on.
    """
    from tui.actions.table import ACTIONS, SWALLOWED_KEYS

    known = [action.id for action in ACTIONS]
    for action_id, key in keys.items():
        if action_id not in known:
            hint = did_you_mean(action_id, known, "docs/tui.md lists all actions.")
            raise UsageError(f"\"keys\" in {state_dir() / 'tui.json'} contains an unknown action, '{action_id}'.", hint)
        if swallowed := SWALLOWED_KEYS & {part.strip() for part in key.split(",")}:
            raise UsageError(
                f"The key '{min(swallowed)}' for '{action_id}' never reaches lm: tmux or the terminal uses it.",
                f"Choose another key in {state_dir() / 'tui.json'}.",
            )
    return keys
