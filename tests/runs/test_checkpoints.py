"""Checkpoints are whole or absent, whatever stops the writer; damage is found and named."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lmcore.config import Config
from lmcore.errors import LmError
from lmcore.runs import (
    Run,
    clean_leftovers,
    create_run,
    prune_checkpoints,
    publish_checkpoint,
    set_pointer,
    verify_checkpoint,
)
from lmcore.runs.checkpoints import _hidden, read_pointer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run() -> Run:
    return create_run("r", Config(), {})


def fill(text: str = "weights") -> object:
    def write(folder: Path) -> None:
        (folder / "model.safetensors").write_text(text)
        (folder / "trainer.json").write_text("{}")

    return write


def publish(run: Run, step: int, text: str = "weights") -> Path:
    return publish_checkpoint(run.path, step, fill(text))  # type: ignore[arg-type]


def test_a_published_checkpoint_is_whole_and_listed_by_step(run: Run) -> None:
    publish(run, 1000)
    folder = publish(run, 500)
    verify_checkpoint(folder)
    assert folder == run.path / "step-00000500"
    assert [step for step, _ in run.checkpoints()] == [500, 1000]
    assert set(json.loads((folder / "manifest.json").read_text())["files"]) == {"model.safetensors", "trainer.json"}
    assert [path.name for path in run.path.iterdir() if path.name.startswith(".")] == []


def test_files_in_subfolders_are_in_the_manifest_too(run: Run) -> None:
    def write(folder: Path) -> None:
        (folder / "tokenizer").mkdir()
        (folder / "tokenizer" / "merges.txt").write_text("a b")

    folder = publish_checkpoint(run.path, 1, write)
    (folder / "tokenizer" / "merges.txt").write_text("a c")
    with pytest.raises(LmError, match=r"tokenizer/merges.txt has changed"):
        verify_checkpoint(folder)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.write_bytes(b"weightz"), "model.safetensors has changed"),
        (lambda path: path.write_bytes(b"weigh"), "model.safetensors has 5 bytes instead of 7"),
        (lambda path: path.write_bytes(b"weightss"), "model.safetensors has 8 bytes instead of 7"),
        (lambda path: path.unlink(), "model.safetensors is missing"),
        (lambda path: (path.parent / "manifest.json").unlink(), "manifest.json is missing"),
        (lambda path: (path.parent / "manifest.json").write_text("[]"), "manifest.json cannot be read"),
        (lambda path: shutil.rmtree(path.parent), "its folder is missing"),
    ],
)
def test_damage_is_named_with_a_checkpoint_that_is_intact(run: Run, damage: object, said: str) -> None:
    older, folder = publish(run, 1), publish(run, 2)
    damage(folder / "model.safetensors")  # type: ignore[operator]
    with pytest.raises(LmError, match=said) as caught:
        verify_checkpoint(folder)
    assert str(older) in caught.value.hint
    (older / "trainer.json").write_text("[]")
    with pytest.raises(LmError, match="no other intact checkpoint"):
        verify_checkpoint(folder)


def test_the_same_step_again_replaces_it(run: Run) -> None:
    publish(run, 5, "old")
    folder = publish(run, 5, "new")
    verify_checkpoint(folder)
    assert (folder / "model.safetensors").read_text() == "new"
    assert [step for step, _ in run.checkpoints()] == [5]


def test_best_and_last_point_to_checkpoints_and_last_falls_back(run: Run) -> None:
    for which in ("best", "last", 3):
        with pytest.raises(LmError, match=r"has no .*checkpoint.*no checkpoints yet"):
            run.checkpoint(which)
    first, second = publish(run, 1), publish(run, 2)
    set_pointer(run.path, "best", first)
    set_pointer(run.path, "last", first)
    assert (run.path / "best").read_text() == "step-00000001\n"
    assert run.checkpoint("best") == run.checkpoint("last") == run.checkpoint(1) == run.checkpoint("1") == first
    shutil.rmtree(first)
    assert run.checkpoint("last") == second
    with pytest.raises(LmError, match=r"no best checkpoint.*one of the steps 2"):
        run.checkpoint("best")
    with pytest.raises(LmError, match="no checkpoint step-00000007"):
        run.checkpoint(7)


@pytest.mark.parametrize("content", ["", "../other/step-00000001", "/etc", "step-00000009", "step-1", "\x00"])
def test_a_pointer_that_names_no_checkpoint_of_the_run_is_not_followed(run: Run, content: str) -> None:
    publish(create_run("other", Config(), {}), 1)
    folder = publish(run, 1)
    (run.path / "last").write_text(content)
    (run.path / "best").write_text(content)
    assert read_pointer(run.path, "last") == folder
    assert read_pointer(run.path, "best") is None


def test_pruning_keeps_the_newest_the_best_and_the_last(run: Run) -> None:
    folders = {step: publish(run, step) for step in (1, 2, 3, 4, 5, 6)}
    set_pointer(run.path, "best", folders[2])
    set_pointer(run.path, "last", folders[6])
    assert prune_checkpoints(run.path, 2) == [folders[1], folders[3]]
    assert [step for step, _ in run.checkpoints()] == [2, 4, 5, 6]
    assert prune_checkpoints(run.path, 2) == []


def test_without_pointers_the_newest_is_kept(run: Run) -> None:
    for step in (1, 2, 3):
        publish(run, step)
    prune_checkpoints(run.path, 0)
    assert [step for step, _ in run.checkpoints()] == [3]


@pytest.mark.parametrize("moment", ["writing", "renamed away"])
def test_a_kill_while_publishing_leaves_the_older_checkpoint(run: Run, moment: str) -> None:
    """Killed for good: in the middle of a file, and between the two renames of a replacement."""
    publish(run, 1, "one")
    set_pointer(run.path, "last", run.path / "step-00000001")
    code = f"""
import os, signal, sys
from pathlib import Path
from lmcore.runs import publish_checkpoint
def write(folder):
    (folder / "model.safetensors").write_text("half")
    if {moment == "writing"}:
        os.kill(os.getpid(), signal.SIGKILL)
rename = Path.rename
def kill_after(self, target):
    rename(self, target)
    if ".old." in str(target):
        os.kill(os.getpid(), signal.SIGKILL)
Path.rename = kill_after
publish_checkpoint(Path({str(run.path)!r}), 1, write)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    clean_leftovers(run.path)
    verify_checkpoint(run.checkpoint("last"))
    assert (run.checkpoint("last") / "model.safetensors").read_text() == "one"
    assert [path.name for path in run.path.iterdir() if path.name.startswith(".")] == []


def test_folders_of_living_writers_are_left_alone(run: Run) -> None:
    mine = _hidden(run.path / "step-00000001", "new")
    mine.mkdir()
    recycled = [
        run.path / f".step-00000002.{purpose}.{os.getpid()}.{since}"
        for purpose in ("new", "gone")
        for since in ("1", "1.00")
    ]
    for folder in recycled:
        folder.mkdir()
    clean_leftovers(run.path)
    assert mine.is_dir()
    assert [folder for folder in recycled if folder.exists()] == []


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_said_and_nothing_is_lost(run: Run, error: Exception) -> None:
    publish(run, 1)

    def write(folder: Path) -> None:
        (folder / "model.safetensors").write_text("half")
        raise error

    with pytest.raises(LmError, match=r"The disk is full.*step-00000001 is intact.*lm train --resume r"):
        publish_checkpoint(run.path, 2, write)
    assert [step for step, _ in run.checkpoints()] == [1]
    assert [path.name for path in run.path.iterdir() if path.name.startswith(".")] == []


def test_another_failure_passes_through_and_leaves_nothing(run: Run) -> None:
    def write(folder: Path) -> None:
        (folder / "a").write_text("a")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        publish_checkpoint(run.path, 2, write)
    assert run.checkpoints() == []
    assert not list(run.path.glob(".step-*"))


@pytest.fixture
def small_disk(tmp_path: Path) -> object:
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)], capture_output=True, check=False
    ).returncode:
        pytest.skip("only root may mount a small disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def write_forever(run: Run) -> None:
    for step in itertools.count():
        run.events.write("train", step=step)


@pytest.mark.skipif(shutil.which("mount") is None, reason="no mount command here")
def test_on_a_disk_that_is_really_full(small_disk: Path) -> None:
    run = create_run("r", Config(), {}, small_disk)
    publish_checkpoint(run.path, 1, lambda folder: (folder / "a").write_bytes(bytes(1000)))
    set_pointer(run.path, "last", run.path / "step-00000001")
    with pytest.raises(LmError, match="The disk is full"):
        publish_checkpoint(run.path, 2, lambda folder: (folder / "a").write_bytes(bytes(500_000)))
    verify_checkpoint(run.checkpoint("last"))
    with pytest.raises(LmError, match="The disk is full"):
        write_forever(run)
    written = len(run.history().train)
    with pytest.raises(LmError, match=r"No space left on device.*lm train --resume r"):
        set_pointer(run.path, "last", run.path / "step-00000002")
    with pytest.raises(LmError, match="The disk is full"):
        create_run("s", Config(), {}, small_disk)
    verify_checkpoint(run.checkpoint("last"))
    shutil.rmtree(run.path / "step-00000001")
    run.events.write("train", step=written)
    # The disk may have been full just before the newline of a line: then the next line completes that one too.
    steps = [event["step"] for event in run.history().train]
    assert (steps[:written], steps[-1]) == ([*range(written)], written)
    assert len(steps) - written in (1, 2)
