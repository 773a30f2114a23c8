"""Where data lies: the folders of `$LM_DATA`, then the user's cache."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

import platformdirs

from lmcore.errors import LmError


def data_folders() -> list[Path]:
    """The folders of `$LM_DATA`, separated by ':'; those that exist."""
    folders = [Path(part).expanduser() for part in os.environ.get("LM_DATA", "").split(os.pathsep) if part]
    return [folder for folder in folders if folder.is_dir()]


def default_cache() -> Path:
    """`$LM_CACHE`, else the user's cache folder: downloads, trained tokenizers, token files."""
    return Path(os.environ.get("LM_CACHE") or platformdirs.user_cache_dir("lm-tui"))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new file to write that becomes `path` at the end, or vanishes if something fails: readers see all of it or
    nothing.

    Raises:
        LmError: the folder cannot be written, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
    except OSError as error:
        raise LmError(
            f"{path} cannot be written: {error.strerror}.", "Free some space, or set LM_CACHE to another folder."
        ) from None
