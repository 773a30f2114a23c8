"""`lm --help` and `lm runs` answer at once because they import nothing slow; this is what keeps them so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.conftest import HOUSE

SLOW = ("torch", "numpy", "pydantic", "rich", "textual", "plotext", "tokenizers", "safetensors", "psutil", "wcwidth")


def imported_by(*arguments: str) -> set[str]:
    code = f"""
import sys
sys.path.insert(0, {str(HOUSE)!r})
import cli
from commands.output.errors import run_safely
assert run_safely(cli.app, {list(arguments)!r}) == 0
import json
print("\\n" + json.dumps(sorted(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [("--help",), ("train", "--help"), ("runs", "--help")])
def test_help_imports_nothing_slow(arguments: tuple[str, ...]) -> None:
    modules = imported_by(*arguments)
    assert "typer" in modules
    assert modules.isdisjoint(SLOW)
    assert not any(module.startswith(("tui", "lmcore.runs", "lmcore.config")) for module in modules)


@pytest.mark.parametrize("command", ["generate", "compare"])
def test_help_on_sampler_settings_needs_the_config_and_nothing_slower(command: str) -> None:
    modules = imported_by(command, "--help")
    assert "lmcore.config" in modules
    assert modules.isdisjoint(set(SLOW) - {"pydantic"})


def test_listing_runs_imports_nothing_slow(runs: Path) -> None:
    modules = imported_by("runs")
    assert "lmcore.runs" in modules
    assert modules.isdisjoint(SLOW)


def test_showing_presets_as_a_list_needs_no_torch() -> None:
    assert "torch" not in imported_by("presets", "list")
