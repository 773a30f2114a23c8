"""Downloads of public corpora: checked against their size and sha256, never half there."""

from __future__ import annotations

import http.client
import importlib.metadata
import shutil
import tempfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

from lmcore.data.corpus.catalogue import CATALOGUE, Download, Entry
from lmcore.data.places import CACHE_HINT, Report
from lmcore.errors import LmError, OutOfReachError, UsageError
from lmcore.files import hash_file, put_in_place

_TIMEOUT_SECONDS = 30
_BLOCK = 1 << 18
_CONLLU_TEXT = b"# text = "


def fetch_files(name: str, cache: Path, report: Report | None = None) -> Path:
    """Download a corpus of the catalogue into the cache; what is there already stays.

    Returns:
        its file or folder.

    Raises:
        UsageError: it is not in the catalogue.
        OutOfReachError: it cannot be downloaded from any address: no network, or a wrong checksum.
        LmError: a full disk.
    """
    entry = CATALOGUE.get(name)
    if entry is None:
        raise UsageError(f"'{name}' cannot be downloaded.", f"Corpora that can be downloaded: {', '.join(CATALOGUE)}.")
    target = downloaded(name, cache)
    if target.exists():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-") as work:
            put_in_place(_text_of(name, entry, Path(work), report), target)
    except OSError as error:
        raise LmError(f"{target} cannot be written: {error.strerror or error}.", CACHE_HINT) from None
    return target


def downloaded(name: str, cache: Path) -> Path:
    """Where a corpus of the catalogue lies once it was downloaded."""
    return cache / "corpora" / (CATALOGUE[name].filename or name)


def _text_of(name: str, entry: Entry, work: Path, report: Report | None) -> Path:
    """The corpus as it will lie in the cache, made from its downloads in `work`."""
    parts = []
    before = 0
    for number, file in enumerate(entry.downloads):
        part = work / f"part-{number}"
        _download(name, file, part, _DownloadProgress(report, name, before, entry.size))
        before += file.size
        parts.append(part)
    if entry.form == "zip":
        return _unpack(parts[0], entry)
    if entry.form == "conllu":
        return _sentences(parts, work / "sentences")
    return parts[0]


def _download(name: str, file: Download, path: Path, report: _DownloadProgress) -> None:
    problems = []
    for url in file.urls:
        try:
            size = _copy(url, path, file.size, report)
        except (OSError, http.client.HTTPException) as error:
            problems.append(f"{url}: {_why(error)}")
            continue
        if size != file.size:
            problems.append(f"{url}: the file has {size:,} bytes instead of {file.size:,}")
        elif hash_file(path) != file.sha256:
            problems.append(f"{url}: the file's sha256 is not the published one")
        else:
            return
    raise OutOfReachError(
        f"{name} could not be downloaded ({'; '.join(problems)}).",
        "Put it in a folder listed in $LM_DATA, or train on your own text with --data PATH.",
    )


def _copy(url: str, path: Path, size: int, report: _DownloadProgress) -> int:
    """Bytes received; a server that sends more than `size` is cut off after the first block too many."""
    # Some hosts refuse Python's own name.
    request = urllib.request.Request(url, headers={"User-Agent": f"lm-tui/{_version()}"})
    done = 0
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer, path.open("wb") as file:
        while done <= size and (block := answer.read(_BLOCK)):
            file.write(block)
            done += len(block)
            report(done)
    return done


def _why(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        return str(getattr(error.reason, "strerror", None) or error.reason)
    return str(error) or type(error).__name__


def _version() -> str:
    try:
        return importlib.metadata.version("lm-tui")
    except importlib.metadata.PackageNotFoundError:
        return "0"


class _DownloadProgress:
    def __init__(self, report: Report | None, name: str, before: int, total: int) -> None:
        self._report, self._name, self._before, self._total = report, name, before, total

    def __call__(self, done: int) -> None:
        if self._report is not None:
            self._report(self._before + done, self._total, f"downloading {self._name}")


def _unpack(archive: Path, entry: Entry) -> Path:
    folder = archive.with_name("unpacked")
    folder.mkdir()
    with zipfile.ZipFile(archive) as packed:
        for member, filename in entry.members:
            with packed.open(member) as source, (folder / filename).open("wb") as file:
                shutil.copyfileobj(source, file)
    return folder


def _sentences(treebanks: list[Path], path: Path) -> Path:
    """The sentences of CoNLL-U files, one a line (https://universaldependencies.org/format.html)."""
    with path.open("wb") as file:
        for treebank in treebanks:
            with treebank.open("rb") as lines:
                file.writelines(line.removeprefix(_CONLLU_TEXT) for line in lines if line.startswith(_CONLLU_TEXT))
    return path
