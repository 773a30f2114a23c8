"""Datasets on the Hugging Face Hub, by the name `hf:OWNER/NAME[:config][:column]`.

The Hub converts most datasets to Parquet, in the branch refs/convert/parquet, as CONFIG/SPLIT/0000.parquet
(https://huggingface.co/docs/dataset-viewer/parquet). Code in a dataset is never run.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lmcore.data.corpus.parquet import require_pyarrow
from lmcore.data.places import CACHE_HINT, Report
from lmcore.errors import LmError, UsageError, did_you_mean
from lmcore.files import put_in_place, replacing
from lmcore.hub import download_parquet, parquet_files

PREFIX = "hf:"
_NAME = re.compile(r"hf:(?P<repository>[\w.-]+(?:/[\w.-]+)?)(?::(?P<first>[^:/]*))?(?::(?P<second>[^:/]+))?")
# SPLIT, or partial-SPLIT where the Hub converted only the beginning of a large one.
_SPLIT = re.compile(r"(?:partial-)?(?:train|validation|valid|val|dev|test)")


@dataclass(frozen=True)
class HubDataset:
    """A dataset in the cache.

    Attributes:
        folder: SPLIT/NUMBER.parquet.
        column: that holds the text; empty where the name does not say.
    """

    folder: Path
    column: str


def downloaded_dataset(name: str, cache: Path) -> HubDataset | None:
    """The dataset of this name, if it was downloaded.

    Raises:
        UsageError: the name is not valid.
    """
    _parts(name)
    known = _recorded(_record(name, cache))
    folder = cache / "corpora" / known["folder"] if known else None
    return HubDataset(folder, known["column"]) if folder and folder.is_dir() else None


def downloaded_names(cache: Path) -> list[str]:
    """Names under which datasets were downloaded."""
    records = sorted((cache / "corpora" / "hub").glob("*.json"))
    names = [known["name"] for record in records if (known := _recorded(record))]
    return [name for name in names if downloaded_dataset(name, cache)]


def fetch_dataset(name: str, cache: Path, report: Report | None = None) -> Path:
    """Download a dataset's splits into the cache, unless they are there; their folder.

    Raises:
        UsageError: the name is not valid, or there is no such configuration.
        OutOfReachError: huggingface-hub is not installed, the Hub cannot be reached, or it has no such dataset.
        LmError: the Hub did not convert it; pyarrow is not installed; a full disk.
    """
    if known := downloaded_dataset(name, cache):
        return known.folder
    repository, first, second = _parts(name)
    require_pyarrow(f"'{name}'")
    sizes = parquet_files(repository)
    config, column = _choose(name, first, second, {path.split("/")[0] for path in sizes if path.count("/") == 2})
    sizes = _wanted({path: size for path, size in sizes.items() if path.startswith(f"{config}/")})
    folder = Path("hub") / repository.replace("/", "--") / config
    target = cache / "corpora" / folder
    if not target.is_dir():
        try:
            _download(repository, config, sizes, target, report)
        except OSError as error:
            raise LmError(f"{target} cannot be written: {error.strerror or error}.", CACHE_HINT) from None
    with replacing(_record(name, cache), CACHE_HINT) as new:
        new.write_text(json.dumps({"name": name, "folder": str(folder), "column": column}), encoding="utf-8")
    return target


def remove_dataset(name: str, cache: Path) -> None:
    """Delete a downloaded dataset, under each name by which it was requested."""
    dataset = downloaded_dataset(name, cache)
    if dataset is None:
        return
    for record in (cache / "corpora" / "hub").glob("*.json"):
        known = _recorded(record)
        if known and cache / "corpora" / known["folder"] == dataset.folder:
            record.unlink()
    shutil.rmtree(dataset.folder)


def _parts(name: str) -> tuple[str, str, str]:
    match = _NAME.fullmatch(name)
    if match is None or ".." in name:
        raise UsageError(
            f"'{name}' is not a valid name of a Hugging Face dataset.",
            "Use hf:OWNER/NAME, or hf:OWNER/NAME:CONFIGURATION:COLUMN.",
        )
    return match["repository"], match["first"] or "", match["second"] or ""


def _choose(name: str, first: str, second: str, configs: Iterable[str]) -> tuple[str, str]:
    """Configuration and column. A single part after the dataset's name is a configuration if the dataset has it."""
    known = sorted(configs)
    if not known:
        raise LmError(
            f"The Hugging Face Hub has not converted '{name}' to Parquet.",
            "Download its files yourself, and pass text, JSONL or Parquet with --data PATH.",
        )
    if first and (second or first in known):
        if first not in known:
            raise UsageError(
                f"'{name}' has no configuration '{first}'.", did_you_mean(first, known, f"It has: {', '.join(known)}.")
            )
        return first, second
    default = known[0] if len(known) == 1 else "default"
    if default not in known:
        raise UsageError(
            f"'{name}' has several configurations: {', '.join(known[:20])}{', …' * (len(known) > 20)}.",
            f"Choose one, for example {name}:{known[0]}.",
        )
    return default, second or first


def _wanted(sizes: dict[str, int]) -> dict[str, int]:
    """The files of the usual splits; all files where there is no train split."""
    usual = {path: size for path, size in sizes.items() if _SPLIT.fullmatch(path.split("/")[1])}
    return usual if any("train" in path.split("/")[1] for path in usual) else sizes


def _download(repository: str, config: str, sizes: dict[str, int], target: Path, report: Report | None) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-") as work:
        done, total = 0, sum(sizes.values())
        for path, size in sizes.items():
            if report is not None:
                report(done, total, f"downloading {repository}")
            download_parquet(repository, path, Path(work))
            done += size
        if report is not None:
            report(done, total, f"downloading {repository}")
        put_in_place(Path(work) / config, target)


def _record(name: str, cache: Path) -> Path:
    """What a name, as it was typed, stands for: only the Hub knows which configurations there are."""
    return cache / "corpora" / "hub" / f"{name.removeprefix(PREFIX).replace('/', '--').replace(':', '+')}.json"


def _recorded(record: Path) -> dict[str, str]:
    """What `fetch_dataset` wrote; empty where nothing is there or it is damaged: then it is fetched again."""
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
        return {key: str(known[key]) for key in ("name", "folder", "column")}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}
