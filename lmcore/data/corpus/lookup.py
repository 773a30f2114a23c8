"""Corpora by name or by path: which files are which split."""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from lmcore.data.checksums import remembered_hash
from lmcore.data.corpus.catalogue import CATALOGUE, IN_GPT1_TOKENS, Entry, known_by
from lmcore.data.corpus.download import downloaded
from lmcore.data.corpus.embedded import EMBEDDED, python_docs
from lmcore.data.corpus.hub_dataset import PREFIX, downloaded_dataset, downloaded_names
from lmcore.data.corpus.sources import PACKED, TEXT_SUFFIXES, Reading, TextSource, is_text
from lmcore.data.places import CACHE_HINT, data_folders, data_subfolders, default_cache
from lmcore.errors import LmError, UsageError, did_you_mean
from lmcore.files import replacing
from lmcore.measures import SPLITS

TOKEN_SUFFIXES = (".npz", ".bin")
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


def find_corpus(name: str, reading: Reading | None = None, cache_dir: Path | None = None) -> Corpus | None:
    """The corpus of this name or path; None when it is known but has to be downloaded first.

    A name is looked up among the embedded and added corpora, in the folders of `$LM_DATA`, then in the cache; anything
    else is a path. If only the published token files of a public corpus are here, they are the corpus.

    Raises:
        UsageError: there is no such name or path.
        LmError: a folder without text.
    """
    reading, cache = reading or Reading(), cache_dir or default_cache()
    if name == EMBEDDED:
        return Corpus(name, "embedded", texts={"all": TextSource(name, texts=python_docs)})
    if name.startswith(PREFIX):
        dataset = downloaded_dataset(name, cache)
        if dataset is None:
            return None
        return corpus_at(dataset.folder, name, replace(reading, field=dataset.column or reading.field))
    if name in IN_GPT1_TOKENS and (tokens := published_tokens(IN_GPT1_TOKENS[name], cache)):
        return tokens
    path = locate(name, cache) or (locate(IN_GPT1_TOKENS[name], cache) if name in IN_GPT1_TOKENS else None)
    if path is not None:
        return corpus_at(path, name, reading)
    if name in CATALOGUE or name in IN_GPT1_TOKENS:
        return published_tokens(name, cache)
    if any(char in name for char in "*?[") and (
        matches := sorted(Path(match) for match in glob.glob(str(Path(name).expanduser()), recursive=True))
    ):
        files = [match for match in matches if match.is_file()]
        return _corpus_of_files(name, name, files, reading, files[0].parent if files else None)
    path = Path(name).expanduser()
    if path.exists():
        return corpus_at(path, name, reading)
    raise UsageError(
        f"There is no corpus or file '{name}'.",
        did_you_mean(
            name,
            known_names(cache),
            "`lm data list` lists all corpora; --data PATH takes your own file, folder or glob.",
        ),
    )


def is_name(name: str, cache_dir: Path | None = None) -> bool:
    """Whether this is the name of a corpus, wherever the program runs, and not a path."""
    named = name in (EMBEDDED, *CATALOGUE, *IN_GPT1_TOKENS) or name.startswith(PREFIX)
    return named or locate(name, cache_dir) is not None


def published_tokens(name: str, cache_dir: Path | None = None) -> Corpus | None:
    """A public corpus as the token files that were published of it, known by their sha256, from a folder of
    `$LM_DATA`; None where there are none.
    """
    entry, cache = CATALOGUE.get(name), cache_dir or default_cache()
    if entry is None or not entry.published:
        return None
    for folder in data_subfolders():
        tokens = {split: found[0] for split, found in _by_split(sorted(folder.glob("*.npz")), folder).items()}
        if tokens and published_entry(tokens, cache) is entry:
            return Corpus(name, str(folder), tokens=tokens, folder=folder)
    return None


def published_entry(files: dict[str, Path], cache: Path) -> Entry | None:
    """The public corpus whose published texts or token files these are, by split; None where they are anything else."""
    sizes = {known.bytes for entry in CATALOGUE.values() for known in entry.published.values()}
    if not all(path.suffix == ".npz" or path.stat().st_size in sizes for path in files.values()):
        return None
    return known_by({split: remembered_hash(path, cache) for split, path in files.items()})


def locate(name: str, cache_dir: Path | None = None) -> Path | None:
    """Where a named corpus lies: added by the user, in `$LM_DATA`, or downloaded before."""
    cache = cache_dir or default_cache()
    if name in (added := added_corpora(cache)):
        return Path(added[name])
    if Path(name).name != name or name in (".", ".."):
        return None
    entry = CATALOGUE.get(name)
    suffixes = ["", *TEXT_SUFFIXES, ".npz", *(text + packed for text in TEXT_SUFFIXES for packed in PACKED)]
    for folder in data_folders():
        for path in (folder / (name + suffix) for suffix in suffixes):
            if path.exists() and (entry is None or _is_whole(path, entry)):
                return path
    if entry is None:
        return None
    if entry.filename:
        for path in (folder / entry.filename for folder in data_subfolders()):
            if path.is_file() and remembered_hash(path, cache) == entry.text_sha256:
                return path
    path = downloaded(name, cache)
    return path if path.exists() else None


def _is_whole(path: Path, entry: Entry) -> bool:
    """A folder with only some of a public corpus's splits is not the corpus."""
    if not path.is_dir():
        return True
    files = [file for file in sorted(path.rglob("*")) if file.is_file() and is_text(file)]
    return bool(files) and set(entry.splits) <= set(_by_split(files, path))


def corpus_at(path: Path, name: str, reading: Reading | None = None) -> Corpus:
    """The corpus that a file or a folder holds.

    Raises:
        LmError: it is missing, or a folder without text or token files.
    """
    reading = reading or Reading()
    if path.is_dir():
        files = sorted(
            file
            for file in path.rglob("*")
            if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts)
        )
        return _corpus_of_files(name, str(path), files, reading, path)
    if not path.exists():
        raise LmError(f"{path} does not exist.", "Check the path; `lm data list` lists all corpora.")
    if path.suffix in TOKEN_SUFFIXES:
        return Corpus(name, str(path), tokens={"all": path}, folder=path.parent)
    return Corpus(name, str(path), texts={"all": TextSource(name, (path,), reading)}, folder=path.parent)


def _corpus_of_files(name: str, where: str, files: list[Path], reading: Reading, folder: Path | None) -> Corpus:
    tokens = [file for file in files if file.suffix in TOKEN_SUFFIXES]
    texts = [file for file in files if is_text(file)] or (
        [] if folder and Path(where) == folder else [file for file in files if file not in tokens]
    )
    by_split = _by_split(texts, folder)
    if by_split:
        sources = {split: TextSource(name, tuple(found), reading) for split, found in by_split.items()}
        return Corpus(name, where, texts=sources, folder=folder, left_out=len(texts) - sum(map(len, by_split.values())))
    if texts:
        return Corpus(name, where, texts={"all": TextSource(name, tuple(texts), reading)}, folder=folder)
    token_splits = {split: found[0] for split, found in _by_split(tokens, folder).items()}
    if token_splits or len(tokens) == 1:
        return Corpus(name, where, tokens=token_splits or {"all": tokens[0]}, folder=folder)
    kinds = ", ".join(TEXT_SUFFIXES)
    raise LmError(
        f"There is no text in {where}.",
        f"A folder needs files ending in {kinds} (also with .gz or .zst), or train and val as .npz or .bin.",
    )


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
            f"{cache / 'corpora.json'} is damaged: {error}.",
            "Delete it, and add your corpora again with `lm data add`.",
        ) from None
    return {str(name): str(path) for name, path in values.items()}


def remember_corpus(name: str, path: Path, cache: Path) -> None:
    """Keep a user's name for a path."""
    _write_added(added_corpora(cache) | {name: str(path.resolve())}, cache)


def forget_corpus(name: str, cache: Path) -> None:
    """Drop a user's name for a path; the file stays."""
    _write_added({known: path for known, path in added_corpora(cache).items() if known != name}, cache)


def _write_added(added: dict[str, str], cache: Path) -> None:
    with replacing(cache / "corpora.json", CACHE_HINT) as new:
        new.write_text(json.dumps(added, indent=1), encoding="utf-8")


def known_names(cache_dir: Path | None = None) -> list[str]:
    """Every name that can be asked for: embedded, downloadable, added, in `$LM_DATA`."""
    cache = cache_dir or default_cache()
    names: Iterable[str] = [
        EMBEDDED,
        *CATALOGUE,
        *IN_GPT1_TOKENS,
        *added_corpora(cache),
        *downloaded_names(cache),
        *_in_data_folders(),
    ]
    return list(dict.fromkeys(names))


def _in_data_folders() -> list[str]:
    names = []
    for folder in data_folders():
        for path in sorted(folder.iterdir()):
            if path.name.startswith("."):
                continue
            if path.is_dir() and any(is_text(file) or file.suffix in TOKEN_SUFFIXES for file in path.rglob("*")):
                names.append(path.name)
            elif path.is_file() and (is_text(path) or path.suffix == ".npz"):
                names.append(path.name.split(".")[0])
    return names
