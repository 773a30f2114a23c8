"""sha256 of large files, computed once."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from lmcore.data.places import CACHE_HINT
from lmcore.files import hash_file, replacing


def remembered_hash(path: Path, cache: Path) -> str:
    """sha256 of a file's bytes, remembered in the cache until the file's size or time changes."""
    status = path.stat()
    key = hashlib.sha256(json.dumps([str(path.resolve()), status.st_size, status.st_mtime_ns]).encode()).hexdigest()
    known = cache / "scans" / f"{key[:32]}.sha256"
    if known.exists():
        return known.read_text(encoding="ascii")
    found = hash_file(path)
    with replacing(known, CACHE_HINT) as new:
        new.write_text(found, encoding="ascii")
    return found
