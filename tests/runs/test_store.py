"""Runs by name: what a user may call them, and what happens to those that are there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lmcore.config import Config
from lmcore.errors import LmError, UsageError
from lmcore.runs import (
    Run,
    create_run,
    find_run,
    identity,
    list_runs,
    newest_run,
    next_name,
    remove_run,
    rename_run,
    runs_root,
)

ROOT = Path(__file__).resolve().parents[2]


def test_a_new_run_has_its_whole_config_and_who_made_it() -> None:
    config = Config().with_settings({"model.n_layer": 7})
    run = create_run("exp-1.b_2", config, {"preset": "quick", "argv": ["lm", "train"], "loss": float("nan")})
    assert run.config() == config
    assert run.config_values() == config.to_dict()
    assert run.info()["preset"] == "quick"
    assert run.info()["loss"] is None
    assert run.info()["created"] > 1e9
    assert run.path == runs_root() / "exp-1.b_2"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "../x", "/x", ".hidden", "-dash", "a b", "ä", "a\n", "x" * 101, "a\x1b[31m"]
)
def test_names_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="not a valid run name"):
        create_run(name, Config(), {})
    assert not runs_root().exists()


def test_a_run_already_there_is_kept_and_the_ways_out_are_named() -> None:
    run = create_run("exp1", Config(), {"mark": 1})
    with pytest.raises(UsageError, match=r"already a run 'exp1'.*--resume exp1.*--run"):
        create_run("exp1", Config(), {"mark": 2})
    assert run.info()["mark"] == 1
    assert [path.name for path in runs_root().iterdir()] == ["exp1"]


def test_a_root_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LmError, match="could not be written"):
        create_run("a", Config(), {}, tmp_path / "file" / "runs")


def test_runs_are_listed_in_natural_order_and_other_things_are_not() -> None:
    for name in ("exp10", "exp2", "a"):
        create_run(name, Config(), {})
    (runs_root() / "empty").mkdir()
    (runs_root() / ".hidden").mkdir()
    (runs_root() / ".hidden" / "config.toml").write_text("")
    (runs_root() / "README.md").write_text("")
    assert [run.name for run in list_runs()] == ["a", "exp2", "exp10"]
    assert list_runs(runs_root() / "nowhere") == []


def test_a_run_is_found_by_name_or_path_or_the_nearest_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    run = create_run("exp12", Config(), {})
    assert find_run("exp12").path == run.path
    assert find_run(run.path).path == run.path
    monkeypatch.chdir(run.path)
    assert find_run(".").name == "exp12"
    with pytest.raises(UsageError, match=r"no run 'exp21'.*Did you mean 'exp12'"):
        find_run("exp21")
    with pytest.raises(UsageError, match="no run ''"):
        find_run("")
    with pytest.raises(UsageError, match=r"no run.*Start one"):
        find_run("exp1", runs_root() / "nowhere")


def test_the_newest_run_is_that_of_the_last_event() -> None:
    with pytest.raises(UsageError, match=r"no runs.*Start one"):
        newest_run()
    for name, time in (("a", 3e9), ("b", 4e9), ("c", 3.5e9)):
        run = create_run(name, Config(), {})
        run.events_path.write_text(json.dumps({"kind": "start", "time": time}) + "\n")
    os.utime(runs_root() / "a" / "events.jsonl")
    assert newest_run().name == "b"


def test_names_count_up_past_the_highest() -> None:
    assert next_name("quick") == "quick-1"
    for name in ("quick-1", "quick-9", "quick-x", "quicker-12"):
        create_run(name, Config(), {})
    assert next_name("quick") == "quick-10"
    create_run(next_name("my corpus/é.txt"), Config(), {})


def test_rename_keeps_everything_and_never_overwrites() -> None:
    run = create_run("a", Config(), {"mark": 1})
    create_run("b", Config(), {})
    with pytest.raises(UsageError, match="already a run 'b'"):
        rename_run(run, "b")
    with pytest.raises(UsageError, match="not a valid"):
        rename_run(run, "../c")
    assert rename_run(run, "c").info()["mark"] == 1
    assert [found.name for found in list_runs()] == ["b", "c"]


def test_a_running_run_is_neither_renamed_nor_removed() -> None:
    run = create_run("a", Config(), {})
    run.events.write("start", **identity())
    with pytest.raises(UsageError, match=r"still training.*Stop it first.*lm control a stop"):
        rename_run(run, "b")
    with pytest.raises(UsageError, match="still training"):
        remove_run(run)
    run.events.write("finish", why="stopped")
    remove_run(run)
    assert list(runs_root().iterdir()) == []


def test_a_summary_tells_what_is_known_and_none_for_the_rest() -> None:
    run = create_run(
        "a", Config().with_settings({"model.architecture": "lstm", "optimizer.name": "adam"}), {"preset": "exp1"}
    )
    row = run.summary()
    assert (row["preset"], row["architecture"], row["n_layer"], row["optimizer"], row["dataset"]) == (
        "exp1",
        "lstm",
        4,
        "adam",
        "python-docs",
    )
    assert (row["state"], row["step"], row["val_loss"], row["val_perplexity"]) == ("created", None, None, None)
    run.events.write("start", total_steps=20, parameters={"total": 9, "learnable": 5}, **identity())
    run.events.write("train", step=10, epoch=0.5, loss=3.0, epoch_loss=3.5, seconds=4.0, memory_bytes=7)
    run.events.write("eval", step=5, split="val", loss=0.0, best=True)
    run.events.write("eval", step=10, split="val", loss=2.0, best=False)
    run.events.write("eval", step=10, split="test", loss=1.0, bits_per_byte=1.5)
    row = run.summary()
    assert (row["state"], row["step"], row["total_steps"], row["epoch"]) == ("running", 10, 20, 0.5)
    assert (row["train_loss"], row["val_perplexity"], row["best_step"], row["bits_per_byte"]) == (3.5, 1.0, 5, 1.5)
    assert (row["parameters"], row["learnable"], row["seconds"], row["memory_bytes"]) == (9, 5, 4.0, 7)


def test_a_summary_is_json_whatever_the_figures_are() -> None:
    run = create_run("a", Config(), {})
    run.events.write("train", step=1, loss=float("inf"), epoch_loss="much", memory_bytes=True)
    run.events.write("eval", step=1, split="val", loss=800.0, best=True)
    run.events.write("finish", step=1, why="done", summary=None)
    row = run.summary()
    json.dumps(row, allow_nan=False)
    assert (row["val_loss"], row["val_perplexity"]) == (800.0, None)
    assert (row["train_loss"], row["train_perplexity"], row["memory_bytes"]) == (None, None, None)


def test_a_test_score_is_that_of_the_best_checkpoint() -> None:
    run = create_run("a", Config(), {})
    run.events.write("start", resumed_from=None)
    run.events.write("eval", step=5, split="val", loss=2.0, best=True)
    run.events.write("eval", step=5, split="test", loss=2.5, best=False, final=True)
    assert run.summary()["test_loss"] == 2.5
    run.events.write("start", resumed_from=5)
    assert run.summary()["test_loss"] == 2.5, "the best checkpoint is still the one that was tested"
    run.events.write("eval", step=10, split="val", loss=1.0, best=True)
    assert run.summary()["test_loss"] is None


def test_a_run_made_elsewhere_without_run_json_is_shown_too() -> None:
    path = runs_root() / "copied"
    path.mkdir(parents=True)
    (path / "config.toml").write_text('[model]\narchitecture = "gru"\n')
    assert Run(path).summary()["architecture"] == "gru"
    (path / "config.toml").write_text("not toml")
    assert Run(path).summary()["architecture"] is None
    with pytest.raises(LmError, match=r"config.toml cannot be read"):
        Run(path).config()


def test_a_run_that_was_deleted_after_it_was_listed_is_the_oldest() -> None:
    create_run("kept", Config(), {})
    create_run("gone", Config(), {})
    listed = list_runs()
    remove_run(find_run("gone"))
    assert [run.name for run in sorted(listed, key=Run.when)] == ["gone", "kept"]


def test_listing_imports_nothing_slow() -> None:
    """`lm runs` answers in under 0.2 s only if this room leaves these alone."""
    create_run("a", Config(), {})
    code = (
        "import sys; from lmcore.runs import list_runs; [run.summary() for run in list_runs()]; "
        "print([name for name in ('numpy', 'pydantic', 'torch', 'hashlib', 'tomllib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_run_of_a_newer_version_can_be_shown_by_what_is_known_of_it() -> None:
    run = create_run("new", Config().with_settings({"model.n_layer": 7}), {})
    path = run.path / "config.toml"
    path.write_text(path.read_text().replace("[model]\n", "[model]\nexperts = 8\n") + "\n[quantum]\nbits = 3\n")
    known = run.known_config()
    assert known is not None
    assert known.model.n_layer == 7
    with pytest.raises(LmError, match="settings that this version of lm cannot use"):
        run.config()
    path.write_text("[model]\nn_layer = 'many'\n")
    assert run.known_config() is None
