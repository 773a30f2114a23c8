"""The reader that docs/run-directory.md prints works as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings

from lmcore.runs import History
from tests.runs.event_files import event_files

PAGE = Path(__file__).resolve().parents[2] / "docs" / "run-directory.md"


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=event_files())
def test_the_printed_reader_agrees_with_history(text: str, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(text)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(blocks[0], names)
    history = History.load(path)
    assert names["read_run"](path) == (history.train, history.evaluations("val"))
