"""Where data lies: the folders of `$LM_DATA`, then the user's cache."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import platformdirs

# What to do when the cache cannot be written.
CACHE_HINT = "Free some space, or set LM_CACHE to another folder."

# Called with (done, total, what) while something takes its time: bytes of a download or of a text that is encoded.
Report = Callable[[int, int, str], None]


def data_folders() -> list[Path]:
    """The folders of `$LM_DATA`, separated by ':'; those that exist."""
    folders = [Path(part).expanduser() for part in os.environ.get("LM_DATA", "").split(os.pathsep) if part]
    return [folder for folder in folders if folder.is_dir()]


def data_subfolders() -> list[Path]:
    """The folders of `$LM_DATA`, each followed by the folders in it."""
    return [
        place
        for folder in data_folders()
        for place in (folder, *sorted(child for child in folder.iterdir() if child.is_dir()))
    ]


def default_cache() -> Path:
    """`$LM_CACHE`, else the user's cache folder: downloads, trained tokenizers, token files."""
    return Path(os.environ.get("LM_CACHE") or platformdirs.user_cache_dir("lm-tui"))
