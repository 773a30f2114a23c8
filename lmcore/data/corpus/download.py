"""Downloads of public corpora: checked against their sha256, never half there."""

from __future__ import annotations

import http.client
import shutil
import tempfile
import urllib.request
import zipfile
from pathlib import Path

from lmcore.data.corpus.catalogue import CATALOGUE, Entry
from lmcore.data.token_files import Report, hash_file
from lmcore.errors import LmError, UsageError

_TIMEOUT_SECONDS = 30
_BLOCK = 1 << 18


def fetch_files(name: str, cache: Path, report: Report | None = None) -> Path:
    """Download a corpus of the catalogue into the cache; what is there already stays.

    Returns:
        its file or folder.

    Raises:
        UsageError: it has no public home.
        LmError: no network, a wrong checksum, or a full disk.
    """
    entry = CATALOGUE.get(name)
    if entry is None:
        raise UsageError(f"'{name}' cannot be downloaded.", f"These can: {', '.join(CATALOGUE)}.")
    target = cache / "corpora" / (entry.filename or name)
    if target.exists():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-") as work:
            part = Path(work) / "part"
            _download(name, entry, part, report)
            _put_in_place(_unpack(part, entry) if entry.members else part, target)
    except OSError as error:
        raise LmError(
            f"{target} cannot be written: {error.strerror}.", "Free some space, or set LM_CACHE to another folder."
        ) from None
    return target


def _put_in_place(finished: Path, target: Path) -> None:
    try:
        finished.rename(target)
    except OSError:
        # Another process may have fetched the same in the meantime.
        if not target.exists():
            raise


def _download(name: str, entry: Entry, path: Path, report: Report | None) -> None:
    problems = []
    for url in entry.urls:
        try:
            _copy(url, path, entry.size, report, name)
        except (OSError, http.client.HTTPException) as error:
            problems.append(f"{url}: {getattr(error, 'reason', None) or error}")
            continue
        if hash_file(path) == entry.sha256:
            return
        problems.append(f"{url}: the content is not the expected one (sha256)")
    raise LmError(
        f"{name} could not be downloaded ({'; '.join(problems)}).",
        "Put it into a folder of $LM_DATA, or give a text of yours with --data PATH.",
    )


def _copy(url: str, path: Path, size: int, report: Report | None, name: str) -> None:
    request = urllib.request.Request(url, headers={"User-Agent": "lm-tui"})
    done = 0
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer, path.open("wb") as file:
        while block := answer.read(_BLOCK):
            file.write(block)
            done += len(block)
            if report is not None:
                report(done, size, f"downloading {name}")


def _unpack(archive: Path, entry: Entry) -> Path:
    folder = archive.with_name("unpacked")
    folder.mkdir()
    with zipfile.ZipFile(archive) as packed:
        for member, filename in entry.members:
            with packed.open(member) as source, (folder / filename).open("wb") as file:
                shutil.copyfileobj(source, file)
    return folder
