"""The list of keys in docs/tui.md: `python -m tui.actions.manual docs/tui.md` makes it from the table of actions."""

from __future__ import annotations

import sys
from pathlib import Path

from tui.actions.table import ACTIONS, MODES, help_sections, shown_key

BEGIN, END = "<!-- keys: made by `python -m tui.actions.manual docs/tui.md` -->", "<!-- end of keys -->"


def key_tables() -> str:
    """Every action with its key, its id and its screens, as Markdown."""
    parts = []
    for title, actions in help_sections(ACTIONS).items():
        rows = [
            f"| `{shown_key(action)}` | {action.help} | {_screens(action.screens)} | `{action.id}` |"
            for action in actions
        ]
        parts.append("\n".join([f"### {title}", "", "| key | what it does | on | id |", "|---|---|---|---|", *rows]))
    return "\n\n".join(parts)


def _screens(screens: tuple[str, ...]) -> str:
    return ", ".join(mode.capitalize() for mode in MODES if mode in screens) or "every screen"


def with_keys(manual: str) -> str:
    """The manual with its list of keys replaced."""
    before, _, rest = manual.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{key_tables()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(with_keys(path.read_text(encoding="utf-8")), encoding="utf-8")
