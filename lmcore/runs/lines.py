"""Append-only files of JSON lines, written by one process and read by others at the same time."""

from __future__ import annotations

import errno
import json
import math
import os
import threading
from pathlib import Path
from typing import Any

from lmcore.errors import LmError

CHUNK_BYTES = 1 << 20
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def parse_line(line: bytes) -> dict[str, Any] | None:
    """The object on a line, NaN and Infinity read as None; None when the line is not one JSON object."""
    try:
        value = _DECODER.decode(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


class LineWriter:
    """Appends JSON objects, each with a single `write` call, so that lines of several threads and processes never mix.

    If the file ends in half a line (its writer was killed, or the disk was full), the next line starts on its own.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._fd: int | None = None
        self._torn = False

    def append(self, values: dict[str, Any]) -> int:
        """Write one object; numbers that are not finite become null.

        Returns:
            The byte of the file at which its line begins.

        Raises:
            LmError: the line could not be written, for example because the disk is full.
        """
        line = to_json(values).encode() + b"\n"
        with self._lock:
            try:
                if self._fd is None:
                    self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
                    self._torn = _ends_in_half_a_line(self._fd)
                data = b"\n" + line if self._torn else line
                self._torn = True
                while data:
                    data = data[os.write(self._fd, data) :]
                self._torn = False
                # An appending write leaves the position at its own end, whatever other processes have appended since.
                return os.lseek(self._fd, 0, os.SEEK_CUR) - len(line)
            except OSError as error:
                raise write_error(self.path, error) from error

    def close(self) -> None:
        """Close the file; the next `append` opens it again."""
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None


class LineTail:
    """Reads what was appended since the last look.

    `offset` is the byte to begin at, where a line begins. A last line without its newline waits for the rest. A file
    that was truncated or replaced is read again from its beginning, and `resets` counts that. Lines that are not JSON
    objects are skipped, and `skipped` counts them.
    """

    def __init__(self, path: Path, *, offset: int = 0) -> None:
        self.path = path
        self.skipped = 0
        self.resets = 0
        self._offset = offset
        self._partial = b""
        self._inode: int | None = None

    def poll(self, max_bytes: int = 8 * CHUNK_BYTES) -> list[dict[str, Any]]:
        """Objects appended since the last call, at most `max_bytes` of them (the next call goes on); empty when there
        is no file.
        """
        found = []
        for line in self.poll_lines(max_bytes):
            value = parse_line(line)
            if value is None:
                self.skipped += 1
            else:
                found.append(value)
        return found

    def poll_lines(self, max_bytes: int) -> list[bytes]:
        """Like `poll`, but whole lines as bytes, empty ones left out."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return []
        lines: list[bytes] = []
        with file:
            status = os.fstat(file.fileno())
            if self._inode not in (None, status.st_ino) or status.st_size < self._offset:
                self.resets += 1
                self._offset, self._partial = 0, b""
            self._inode = status.st_ino
            file.seek(self._offset)
            left = max_bytes
            while left > 0 and (chunk := file.read(min(CHUNK_BYTES, left))):
                left -= len(chunk)
                self._offset += len(chunk)
                whole, newline, rest = chunk.rpartition(b"\n")
                if not newline:
                    self._partial += rest
                    continue
                lines.extend(line for line in (self._partial + whole).split(b"\n") if line)
                self._partial = rest
        return lines


def end_of_lines(path: Path) -> int:
    """The byte where the last whole line of a file ends; 0 if there is none."""
    try:
        file = path.open("rb", buffering=0)
    except FileNotFoundError:
        return 0
    with file:
        return last_line_end(file.fileno(), os.fstat(file.fileno()).st_size)


def last_line_end(fd: int, size: int) -> int:
    """The byte where the last whole line before byte `size` of an open file ends; 0 if there is none."""
    while size > 0:
        begin = max(0, size - CHUNK_BYTES)
        newline = os.pread(fd, size - begin, begin).rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        size = begin
    return 0


def to_json(values: dict[str, Any]) -> str:
    """One line of JSON in plain ASCII; not finite numbers become null, numpy and torch scalars plain numbers, paths
    text.
    """
    try:
        return json.dumps(values, allow_nan=False)
    except (TypeError, ValueError):
        return json.dumps(_plain(values), allow_nan=False)


def write_error(path: Path, error: OSError) -> LmError:
    """The error for people when `path` cannot be written."""
    if error.errno in FULL_DISK:
        return LmError(
            f"The disk is full: {path} could not be written.",
            "Free some space, then continue with `lm train --resume RUN`.",
        )
    return LmError(
        f"{path} could not be written: {error.strerror}.",
        "Check that the folder exists and that you have permission to write there.",
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if not isinstance(value, str | int | float | None) and hasattr(value, "tolist"):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _ends_in_half_a_line(fd: int) -> bool:
    size = os.fstat(fd).st_size
    return size > 0 and os.pread(fd, 1, size - 1) != b"\n"


def _null(constant: str) -> None:
    """NaN, Infinity and -Infinity, which foreign writers leave behind, are read as null."""


_DECODER = json.JSONDecoder(parse_constant=_null)
