"""Processes that the screens start, from a folder whose files are named like ours."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tui.child_process import environment, python_module
from tui.presets.launch import start_training, wait_for_run


@pytest.fixture(autouse=True)
def beside_files_named_like_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cli", "lmcore", "tui", "torch", "random"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('the {name}.py of this folder')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LM_STATE", str(tmp_path / "state"))


def test_a_run_is_trained_by_our_cli(tmp_path: Path) -> None:
    process, log = start_training("no-such-preset", "mine", [], tmp_path / "runs")
    said = wait_for_run(process, log, tmp_path / "runs" / "mine", lambda: False)
    assert "There is no preset 'no-such-preset'." in said
    assert "of this folder" not in said


def test_the_engine_is_ours() -> None:
    done = subprocess.run(
        python_module("tui.engine.server"), input="", env=environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_users_own_python_path_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "mine"))
    first, second = environment(LM_RUNS="runs")["PYTHONPATH"].split(":")
    assert (Path(first) / "cli.py").is_file()
    assert second == str(tmp_path / "mine")
