"""Corpora by name or by path: which files are which split."""

from __future__ import annotations

import difflib
import glob
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from lmcore.data.corpus.catalogue import CATALOGUE, Entry
from lmcore.data.corpus.embedded import python_docs
from lmcore.data.corpus.sources import TextSource
from lmcore.data.places import data_folders, default_cache, replacing
from lmcore.errors import LmError, UsageError

SPLITS = ("train", "val", "test")
TEXT_SUFFIXES = (".txt", ".text", ".md", ".rst", ".tokens", ".raw", ".jsonl", ".ndjson")
PACKED = (".gz", ".zst")
_SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "valid": "val",
    "validation": "val",
    "val": "val",
    "dev": "val",
    "test": "test",
}
_SPLIT = re.compile(rf"(?:^|[._-])({'|'.join(sorted(_SPLIT_NAMES, key=len, reverse=True))})(?:[._-]|$)", re.IGNORECASE)
_NOT_TEXT = re.compile(r"^(readme|licen[cs]e|copying|changelog)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Corpus:
    """What was found: text in `texts`, or token files in `tokens`, by split; the key `all` where there are no splits.

    Attributes:
        name: as asked for.
        where: a path, or 'embedded'.
        folder: where tokenizer files beside the data may lie.
        left_out: text files that belong to none of the splits found.
    """

    name: str
    where: str
    texts: dict[str, TextSource] = field(default_factory=dict)
    tokens: dict[str, Path] = field(default_factory=dict)
    folder: Path | None = None
    left_out: int = 0

    @property
    def splits(self) -> list[str]:
        """The splits it brings; empty when it is to be cut."""
        return [name for name in SPLITS if name in self.texts or name in self.tokens]


def find_corpus(name: str, text_field: str = "text", cache_dir: Path | None = None) -> Corpus | None:
    """The corpus of this name or path; None when it is known but has to be downloaded first.

    A name is looked up among the embedded and added corpora, in the folders of `$LM_DATA`, then in the cache; what is
    none of these is a path.

    Raises:
        UsageError: there is no such name or path.
        LmError: a folder without text.
    """
    if name == "python-docs":
        return Corpus(name, "embedded", texts={"all": TextSource(name, texts=python_docs)})
    path = locate(name, cache_dir)
    if path is not None:
        return corpus_at(path, name, text_field)
    if name in CATALOGUE:
        return None
    if any(char in name for char in "*?[") and (
        matches := sorted(Path(match) for match in glob.glob(str(Path(name).expanduser()), recursive=True))
    ):
        files = [match for match in matches if match.is_file()]
        return _corpus_of_files(name, name, files, text_field, files[0].parent if files else None)
    path = Path(name).expanduser()
    if path.exists():
        return corpus_at(path, name, text_field)
    raise UsageError(f"There is no corpus or file '{name}'.", _nearest(name, cache_dir))


def locate(name: str, cache_dir: Path | None = None) -> Path | None:
    """Where a named corpus lies: added by the user, in `$LM_DATA`, or downloaded before."""
    cache = cache_dir or default_cache()
    if name in (added := added_corpora(cache)):
        return Path(added[name])
    if Path(name).name != name or name in (".", ".."):
        return None
    for folder in [*data_folders(), cache / "corpora"]:
        suffixes = ["", *TEXT_SUFFIXES, ".npz", *(text + packed for text in TEXT_SUFFIXES for packed in PACKED)]
        found = next((folder / (name + suffix) for suffix in suffixes if (folder / (name + suffix)).exists()), None)
        if found is not None:
            return found
    return None


def corpus_at(path: Path, name: str, text_field: str = "text") -> Corpus:
    """The corpus that a file or a folder holds.

    Raises:
        LmError: it is missing, or a folder without text or token files.
    """
    if path.is_dir():
        files = sorted(
            file
            for file in path.rglob("*")
            if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts)
        )
        return _corpus_of_files(name, str(path), files, text_field, path)
    if not path.exists():
        raise LmError(f"{path} does not exist.", "Check the path; `lm data list` shows what is known.")
    if path.suffix in (".npz", ".bin"):
        return Corpus(name, str(path), tokens={"all": path}, folder=path.parent)
    return Corpus(name, str(path), texts={"all": TextSource(name, (path,), text_field)}, folder=path.parent)


def _corpus_of_files(name: str, where: str, files: list[Path], text_field: str, folder: Path | None) -> Corpus:
    tokens = [file for file in files if file.suffix in (".npz", ".bin")]
    texts = [file for file in files if is_text(file)] or (
        [] if folder and Path(where) == folder else [file for file in files if file not in tokens]
    )
    by_split = _by_split(texts, folder)
    if by_split:
        sources = {split: TextSource(name, tuple(found), text_field) for split, found in by_split.items()}
        return Corpus(name, where, texts=sources, folder=folder, left_out=len(texts) - sum(map(len, by_split.values())))
    if texts:
        return Corpus(name, where, texts={"all": TextSource(name, tuple(texts), text_field)}, folder=folder)
    token_splits = {split: found[0] for split, found in _by_split(tokens, folder).items()}
    if token_splits or len(tokens) == 1:
        return Corpus(name, where, tokens=token_splits or {"all": tokens[0]}, folder=folder)
    kinds = ", ".join(TEXT_SUFFIXES)
    raise LmError(
        f"There is no text in {where}.",
        f"A folder needs files that end in {kinds} (or these with .gz or .zst), or train and val .npz or .bin.",
    )


def is_text(path: Path) -> bool:
    """Whether a file in a folder counts as text: by its suffix, and not a README."""
    suffixes = path.suffixes
    if suffixes and suffixes[-1] in PACKED:
        suffixes = suffixes[:-1]
    return bool(suffixes) and suffixes[-1].lower() in TEXT_SUFFIXES and not _NOT_TEXT.match(path.name)


def _by_split(files: list[Path], folder: Path | None) -> dict[str, list[Path]]:
    """Files by the split in their name or in their folder's; empty unless there is a train and another one."""
    found: dict[str, list[Path]] = {}
    for file in files:
        inside = file.relative_to(folder) if folder and file.is_relative_to(folder) else Path(file.name)
        names = [match.group(1).lower() for part in reversed(inside.parts) if (match := _SPLIT.search(part))]
        if names:
            found.setdefault(_SPLIT_NAMES[names[0]], []).append(file)
    return found if "train" in found and len(found) > 1 else {}


def added_corpora(cache: Path) -> dict[str, str]:
    """Names that the user gave to paths."""
    try:
        values = json.loads((cache / "corpora.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise LmError(
            f"{cache / 'corpora.json'} is damaged: {error}.", "Remove it, and add your corpora again."
        ) from None
    return {str(name): str(path) for name, path in values.items()}


def remember_corpus(name: str, path: Path, cache: Path) -> None:
    """Keep a user's name for a path."""
    with replacing(cache / "corpora.json") as new:
        new.write_text(json.dumps(added_corpora(cache) | {name: str(path.resolve())}, indent=1), encoding="utf-8")


def known_names(cache_dir: Path | None = None) -> list[str]:
    """Every name that can be asked for: embedded, downloadable, added, in `$LM_DATA`."""
    names: Iterable[str] = [
        "python-docs",
        *CATALOGUE,
        *added_corpora(cache_dir or default_cache()),
        *_in_data_folders(),
    ]
    return list(dict.fromkeys(names))


def _in_data_folders() -> list[str]:
    names = []
    for folder in data_folders():
        for path in sorted(folder.iterdir()):
            if path.name.startswith("."):
                continue
            if path.is_dir() and any(is_text(file) or file.suffix in (".npz", ".bin") for file in path.rglob("*")):
                names.append(path.name)
            elif path.is_file() and (is_text(path) or path.suffix == ".npz"):
                names.append(path.name.split(".")[0])
    return names


def catalogue_entry(name: str) -> Entry | None:
    """What is known about a public corpus: source, licence, checksum."""
    return CATALOGUE.get(name)


def _nearest(name: str, cache_dir: Path | None) -> str:
    matches = difflib.get_close_matches(name, known_names(cache_dir), n=1, cutoff=0.6)
    if matches:
        return f"Did you mean '{matches[0]}'?"
    return "`lm data list` shows the known ones; --data PATH takes your own: a file, a folder or a glob."
