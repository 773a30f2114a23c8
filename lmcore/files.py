"""Files: there whole or not at all, on the disk for certain, and known by their sha256."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lmcore.errors import LmError


@contextmanager
def replacing(path: Path, hint: str = "", *, durable: bool = False) -> Iterator[Path]:
    """A new file to write that becomes `path` at the end, or vanishes if something fails: a reader sees the old content
    or all of the new one.

    Args:
        path: its folder is made if need be.
        hint: what to do if it cannot be written, a whole sentence.
        durable: the content survives a power failure (fsync of the file and its folder).

    Raises:
        LmError: the folder cannot be written, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
        # Not `tempfile`, whose files only their owner may read; nor `secrets`, which would load OpenSSL for each
        # command.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        try:
            yield temporary
            if durable:
                sync(temporary)
            os.replace(temporary, path)
            if durable:
                sync(path.parent)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
    except OSError as error:
        raise LmError(
            f"{path} cannot be written: {error.strerror or error}.",
            hint or "Check that there is free space and that you have permission to write there.",
        ) from error


def put_in_place(finished: Path, target: Path) -> None:
    """Rename a finished file or folder to `target`. If another process was faster, its result stays.

    Raises:
        OSError: it cannot be renamed, and there is no `target`.
    """
    try:
        finished.rename(target)
    except OSError:
        if not target.exists():
            raise


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def hash_file(path: Path) -> str:
    """sha256 of a file's bytes."""
    import hashlib  # late: it loads OpenSSL, which most commands do without

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
