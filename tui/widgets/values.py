"""Values of settings as text."""

from __future__ import annotations

import json
from typing import Any


def value_text(value: Any) -> str:
    """A value as it is typed: text bare, the rest as in TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return json.dumps(list(value), ensure_ascii=False)
    return str(value)
