"""Checkpoint folders: complete or absent, never half; and the pointers `best` and `last`."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from lmcore.errors import LmError
from lmcore.files import hash_file, replacing, sync
from lmcore.runs.lines import FULL_DISK
from lmcore.runs.process import is_alive, started

MANIFEST = "manifest.json"
POINTERS = ("best", "last")
_NAME = re.compile(r"step-(\d{8,})")
# A hidden folder names its purpose and its process: `.step-00000500.new.1234.567890`.
_HIDDEN = re.compile(r"\.(step-\d{8,})\.(new|old|gone)\.(\d+)\.(\d+(?:\.\d+)?)")


class Checkpoint(NamedTuple):
    """A complete checkpoint."""

    step: int
    path: Path


def checkpoint_name(step: int) -> str:
    """The folder's name: `step-00000500`."""
    return f"step-{step:08d}"


def publish_checkpoint(run_path: Path, step: int, write: Callable[[Path], object]) -> Path:
    """Write a checkpoint so that readers see it whole or not at all, whenever the process or the machine stops.

    `write(folder)` fills a hidden folder; every file is then fsynced, the manifest written last, and the folder renamed
    to its place. A checkpoint of the same step is replaced.

    Returns:
        The checkpoint's folder.

    Raises:
        LmError: the disk is full or cannot be written. Older checkpoints stay as they were. What else `write` raises
            passes through.
    """
    clean_leftovers(run_path)
    final = run_path / checkpoint_name(step)
    hidden = _hidden(final, "new")
    try:
        hidden.mkdir()
        write(hidden)
        _write_manifest(hidden, step)
        _put_in_place(hidden, final)
    except Exception as error:
        shutil.rmtree(hidden, ignore_errors=True)
        if isinstance(error, OSError) or _says_full(error):
            raise _explain(run_path, final, error) from error
        raise
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise
    return final


def list_checkpoints(run_path: Path) -> list[Checkpoint]:
    """Complete checkpoints by step, the oldest first."""
    found = []
    for folder in run_path.glob("step-*"):
        match = _NAME.fullmatch(folder.name)
        if match and (folder / MANIFEST).is_file():
            found.append(Checkpoint(int(match[1]), folder))
    return sorted(found)


def verify_checkpoint(folder: Path) -> None:
    """Check every file of a checkpoint against its manifest.

    Raises:
        LmError: a file is missing, was cut short or changed, or there is no manifest; it names the file and an intact
            checkpoint.
    """
    problem = _problem(folder)
    if problem is None:
        return
    others = [other for other in reversed(list_checkpoints(folder.parent)) if other.path.name != folder.name]
    intact = next((other for other in others if _problem(other.path) is None), None)
    hint = (
        f"{intact.path} is intact: use that one."
        if intact
        else "This run has no other intact checkpoint: train it again."
    )
    raise LmError(f"The checkpoint {folder} is damaged: {problem}.", hint)


def set_pointer(run_path: Path, pointer: str, folder: Path) -> None:
    """Make `best` or `last` name a checkpoint folder, atomically.

    Raises:
        LmError: the disk is full or cannot be written; the pointer is as it was.
    """
    assert pointer in POINTERS, pointer
    hint = f"Check that there is free space, then continue with `lm train --resume {run_path.name}`."
    with replacing(run_path / pointer, hint, durable=True) as temporary:
        temporary.write_text(f"{folder.name}\n", encoding="utf-8")


def read_pointer(run_path: Path, pointer: str) -> Path | None:
    """The checkpoint that `best` or `last` names; None when there is none.

    If what `last` names is not there (or `last` itself is missing), it is the newest complete checkpoint.
    """
    try:
        name = (run_path / pointer).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        name = ""
    folder = run_path / name
    if _NAME.fullmatch(name) and (folder / MANIFEST).is_file():
        return folder
    complete = list_checkpoints(run_path)
    return complete[-1].path if pointer == "last" and complete else None


def prune_checkpoints(run_path: Path, keep: int) -> list[Path]:
    """Remove all but the `keep` newest checkpoints; the best and the last stay in any case and are not counted.

    Returns:
        The folders that were removed.
    """
    named = {read_pointer(run_path, pointer) for pointer in POINTERS}
    others = [checkpoint.path for checkpoint in list_checkpoints(run_path) if checkpoint.path not in named]
    removed = others[: len(others) - keep] if keep < len(others) else []
    for folder in removed:
        hidden = _hidden(folder, "gone")
        folder.rename(hidden)
        shutil.rmtree(hidden, ignore_errors=True)
    return removed


def clean_leftovers(run_path: Path) -> None:
    """Clear away what killed processes left half done. Folders of living processes are not touched."""
    for folder in run_path.glob(".step-*"):
        match = _HIDDEN.fullmatch(folder.name)
        # Without a point the start time is in clock ticks, as earlier versions wrote it: see `is_alive`.
        if match is None or is_alive(int(match[3]), (float if "." in match[4] else int)(match[4]) or None):
            continue
        place = run_path / match[1]
        if match[2] == "old" and not place.exists():
            # Killed between the two renames of a replacement: the replaced checkpoint is the one there is.
            folder.rename(place)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _put_in_place(hidden: Path, final: Path) -> None:
    old = None
    if final.exists():
        old = _hidden(final, "old")
        final.rename(old)
    hidden.rename(final)
    sync(final.parent)
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)


def _hidden(final: Path, purpose: str) -> Path:
    pid = os.getpid()
    return final.parent / f".{final.name}.{purpose}.{pid}.{started(pid) or 0.0:.2f}"


def _write_manifest(folder: Path, step: int) -> None:
    files = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        sync(path)
        files[path.relative_to(folder).as_posix()] = {"sha256": hash_file(path), "bytes": path.stat().st_size}
    manifest = {"step": step, "time": round(time.time(), 3), "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    sync(folder / MANIFEST)
    for inner in [path for path in folder.rglob("*") if path.is_dir()]:
        sync(inner)
    sync(folder)


def _problem(folder: Path) -> str | None:
    """The first thing wrong with a checkpoint, or None."""
    if not folder.is_dir():
        return "its folder is missing"
    try:
        files: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        expected = {name: (int(entry["bytes"]), str(entry["sha256"])) for name, entry in files.items()}
    except FileNotFoundError:
        return f"{MANIFEST} is missing"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"{MANIFEST} cannot be read"
    for name, (size, digest) in expected.items():
        path = folder / name
        try:
            if path.stat().st_size != size:
                return f"{name} has {path.stat().st_size} bytes instead of {size}"
            if hash_file(path) != digest:
                return f"{name} has changed since it was written"
        except OSError as error:
            return (
                f"{name} is missing"
                if isinstance(error, FileNotFoundError)
                else f"{name} cannot be read ({error.strerror})"
            )
    return None


def _says_full(error: Exception) -> bool:
    """safetensors reports a full disk as an error of its own, in words."""
    return "No space left on device" in str(error)


def _explain(run_path: Path, final: Path, error: Exception) -> LmError:
    if isinstance(error, OSError) and error.errno not in FULL_DISK and not _says_full(error):
        return LmError(
            f"The checkpoint {final} could not be written: {error.strerror or error}.",
            "Check that you have permission to write in that folder.",
        )
    older = read_pointer(run_path, "last")
    kept = f"{older.name} is intact. " if older else ""
    return LmError(
        f"The disk is full: the checkpoint {final} could not be written.",
        f"{kept}Free some space, then continue with `lm train --resume {run_path.name}`.",
    )
