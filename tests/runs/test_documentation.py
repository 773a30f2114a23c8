"""The reader that docs/run-directory.md prints works as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from lmcore.config import Config
from lmcore.runs import create_run

PAGE = Path(__file__).resolve().parents[2] / "docs" / "run-directory.md"


def test_the_printed_reader_agrees_with_history() -> None:
    run = create_run("a", Config(), {})
    for resumed in (None, 3):
        run.events.write("start", resumed_from=resumed)
        for step in range((resumed or 0) + 1, 6):
            run.events.write("train", step=step, session=resumed)
            run.events.write("new kind", step=step)
    with run.events_path.open("a") as file:
        file.write('torn\n{"kind": "train", "step": 6')
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(blocks[0], names)
    assert names["read_run"](run.events_path) == run.history().train
