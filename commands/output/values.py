"""How a setting and a figure of a run are written."""

from __future__ import annotations

import json
from typing import Any

from lmcore.text import harmless


def show_value(value: Any) -> str:
    """A setting's value as it is written in TOML, with nothing in it that a terminal would act on."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(harmless(value), ensure_ascii=False)  # TOML's basic strings are escaped like JSON's
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(show_value(item) for item in value)}]"
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return str(value)


def model_name(summary: dict[str, Any]) -> str:
    """`transformer x4`."""
    return f"{summary.get('architecture') or '?'} x{summary.get('n_layer') or '?'}"


def number(value: float | None, digits: int = 2) -> str:
    """A figure with thousands separated, `-` when it is not known."""
    return "-" if value is None else f"{value:,.{digits}f}"
