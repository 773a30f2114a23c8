"""`lm lr-find` proposes a command that works as it stands."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

from tests.commands.conftest import TINY, Answer

Lm = Callable[..., Answer]


def test_the_proposed_command_is_the_whole_one_quoted_for_a_shell(lm: Lm, text_file: Path, tmp_path: Path) -> None:
    text = tmp_path / "a text of mine.txt"
    text.write_text(text_file.read_text())
    found = json.loads(lm("lr-find", "--data", str(text), "--steps", "30", "--device", "cpu", "--json", *TINY).out)
    words = shlex.split(found["command"])
    settings = [setting.removeprefix("--set=") for setting in TINY if "optimizer.lr" not in setting]
    expected = ["lm", "train", "--preset", "quick", "--data", str(text)]
    for setting in [*settings, f"optimizer.lr={found['suggestion']:.1e}"]:
        expected += ["--set", setting]
    assert words == [*expected, "--device", "cpu"]

    answer = lm(*words[1:], "--run", "found", "--max-steps", "1", "--json")
    assert answer.code == 0, answer.err


def test_the_command_is_printed_below_the_curve(lm: Lm, text_file: Path) -> None:
    out = lm("lr-find", "--data", str(text_file), "--steps", "30", *TINY).out
    assert out.splitlines()[-1].startswith(f"  lm train --preset quick --data {text_file} --set ")
