"""Samples that are worth keeping: one JSON object a line, in the folder of the run that generated them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from lmcore.errors import LmError
from lmcore.runs import find_run

FILE = "kept-samples.jsonl"


def keep_sample(run: str, root: Path | None, fallback: Path, **sample: Any) -> Path:
    """Append a sample to the run's `kept-samples.jsonl`, or to that in `fallback` when the run's folder is gone or
    read-only; where it is.
    """
    line = json.dumps({"time": round(time.time(), 3), "run": run, **sample}, ensure_ascii=False) + "\n"
    try:
        path = find_run(run, root).path / FILE
        _append(path, line)
    except (LmError, OSError):
        fallback.mkdir(parents=True, exist_ok=True)
        path = fallback / FILE
        _append(path, line)
    return path


def _append(path: Path, line: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(line)
