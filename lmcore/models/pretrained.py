"""Embeddings that were trained elsewhere: from the Hugging Face Hub, a .safetensors or .npz file, or a GloVe text file.

A table may hold positions beside tokens, as GPT-1's does; a model whose positions are frozen takes them from there.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor, nn

from lmcore.embedding_files import GLOVE_SUFFIXES, is_file_name
from lmcore.errors import LmError
from lmcore.hub import hub_file
from lmcore.models.base import LanguageModel
from lmcore.models.embeddings import LearnedPositions
from lmcore.models.weights import WEIGHTS_FILE, read_safetensors

RANDOM_INSTEAD = (
    "Name a file with the table (--set model.embedding=PATH), or start from a random one: "
    "--set model.embedding=random --set model.freeze_embedding=false --set model.freeze_positions=false"
)


@dataclass(frozen=True)
class Filled:
    """What was taken from a pretrained source.

    Attributes:
        rows: rows of the token embedding that were overwritten.
        substitutions: sentences on what the config asks for and the source does not have.
    """

    rows: int
    substitutions: tuple[str, ...] = ()


def apply_pretrained_embedding(
    model: LanguageModel, source: str, tokens: list[str] | None = None, *, pad_first: bool = False
) -> Filled:
    """Overwrite rows of the token embedding, and the position embedding if it is frozen, with trained vectors; what is
    not overwritten keeps its random ones.

    Args:
        model: with n_embd equal to the vectors' width E.
        source: a .safetensors or .npz file (or a folder with model.safetensors) that holds one [vocabulary, E] table of
            tokens and perhaps a [positions, E] table with "pos" in its name; a text file in GloVe's format (a token and
            its E numbers per line; also .gz); or a Hub id such as `openai-community/openai-gpt`.
        tokens: the token of each id; a text file is matched by them, exactly.
        pad_first: id 0 is padding. A table with a row for each other id fills the rows from 1 on; one that has a row
            for padding as well fills all.

    Raises:
        LmError: the source is missing, out of reach or damaged, or no table in it fits.
    """
    path = Path(source).expanduser()
    if not matched_by_row(source):
        if not path.is_file():
            raise LmError(
                f"There is no file of word vectors at {path}.",
                "Download one in GloVe's format (such as glove.6B.zip from https://nlp.stanford.edu/projects/glove/), "
                "name it with --set model.embedding=PATH, or start from random vectors: --set model.embedding=random",
            )
        filled = _apply_text(model, path, tokens)
        return Filled(filled, _missing_positions(model, source, found=False))
    if path.is_dir():
        path = path / WEIGHTS_FILE
    elif not is_file_name(source):
        path = hub_file(source, WEIGHTS_FILE, RANDOM_INSTEAD)
    if not path.is_file():
        raise LmError(f"There is no embedding table at {path}.", RANDOM_INSTEAD)
    tables = _read_npz(path) if path.suffix == ".npz" else read_safetensors(path)
    table = _find_tokens(tables, path, model.vocab_size, model.config.n_embd, pad_first)
    with torch.no_grad():
        model.embedding.weight[model.vocab_size - len(table) :].copy_(table)
    return Filled(len(table), _missing_positions(model, source, found=_fill_positions(model, tables)))


def matched_by_row(source: str) -> bool:
    """Whether the rows of a source belong to the ids of one tokenizer; a text file names its tokens instead."""
    return not source.endswith(GLOVE_SUFFIXES)


def _find_tokens(tables: Mapping[str, Tensor], path: Path, rows: int, width: int, pad_first: bool) -> Tensor:
    """The table of `rows` tokens (or one fewer, without the padding) in a file; of several, the one named so."""
    heights = (rows - 1, rows) if pad_first else (rows,)
    fitting = {name: t for name, t in tables.items() if t.dim() == 2 and t.shape[1] == width and len(t) in heights}
    if len(fitting) > 1:
        fitting = {name: t for name, t in fitting.items() if _is_embedding(name) and not _is_positions(name)}
    if len(fitting) == 1:
        return next(iter(fitting.values()))
    shapes = sorted({tuple(t.shape) for name, t in tables.items() if t.dim() == 2 and _is_embedding(name)})
    raise LmError(
        f"{path} has no single table of {' or '.join(f'{height:,}' for height in heights)} rows x {width} "
        f"(its embeddings: {shapes or 'none'}).",
        "Use the tokenizer and the n_embd that it was trained with, or model.embedding=random.",
    )


def _fill_positions(model: LanguageModel, tables: Mapping[str, Tensor]) -> bool:
    """Overwrite frozen positions with the first rows of the source's; whether that was done."""
    weight = _frozen_positions(model)
    if weight is None:
        return False
    for name, table in tables.items():
        if _is_positions(name) and table.dim() == 2 and table.shape[1] == weight.shape[1] and len(table) >= len(weight):
            with torch.no_grad():
                weight.copy_(table[: len(weight)])
            return True
    return False


def _missing_positions(model: LanguageModel, source: str, *, found: bool) -> tuple[str, ...]:
    """A sentence where the positions are frozen and the source has none for them."""
    weight = _frozen_positions(model)
    if weight is None or found:
        return ()
    return (
        f"{source} has no embedding of {len(weight)} positions: the frozen positions are random "
        "(set model.freeze_positions=false to train them).",
    )


def _frozen_positions(model: LanguageModel) -> nn.Parameter | None:
    positions = next((module for module in model.modules() if isinstance(module, LearnedPositions)), None)
    return None if positions is None or positions.weight.requires_grad else positions.weight


def _is_embedding(name: str) -> bool:
    return any(word in name.lower() for word in ("embed", "wte", "token"))


def _is_positions(name: str) -> bool:
    return "pos" in name.lower() or "wpe" in name.lower()


def _read_npz(path: Path) -> dict[str, Tensor]:
    """All arrays of numbers in a file, by name, as float32."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            read = {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, BadZipFile) as error:
        raise LmError(f"{path} is damaged or unreadable: {error}.", RANDOM_INSTEAD) from None
    return {
        name: torch.from_numpy(array.astype(np.float32)) for name, array in read.items() if array.dtype.kind in "fiu"
    }


def _apply_text(model: LanguageModel, path: Path, tokens: list[str] | None) -> int:
    if tokens is None:
        raise LmError(f"{path} is matched by token, but this tokenizer does not list its tokens.", RANDOM_INSTEAD)
    width = model.config.n_embd
    rows = {token: row for row, token in enumerate(tokens)}
    found: dict[int, np.ndarray] = {}
    with _open_text(path) as lines:
        for number, line in enumerate(lines, start=1):
            if number == 1 and len(line.split()) == 2:
                continue  # word2vec's and fastText's header: how many, how wide
            token, *numbers = line.rstrip().rsplit(" ", width)
            if len(numbers) < width or (number <= 2 and " " in token):
                raise LmError(
                    f"{path}, line {number}, does not hold a token and {width} numbers.",
                    "Set model.n_embd to the width of the file's vectors.",
                )
            row = rows.get(token)
            if row is not None:
                found[row] = _numbers(numbers, path, number)
    if found:
        with torch.no_grad():
            index = torch.tensor(list(found), device=model.embedding.weight.device)
            model.embedding.weight[index] = torch.from_numpy(np.stack(list(found.values()))).to(model.embedding.weight)
    return len(found)


def _numbers(texts: list[str], path: Path, line: int) -> np.ndarray:
    try:
        return np.array(texts, dtype=np.float32)
    except ValueError:
        raise LmError(
            f"{path}, line {line}, contains something that is not a number.", "Use a file in GloVe's format."
        ) from None


@contextmanager
def _open_text(path: Path) -> Iterator[io.TextIOBase]:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8", newline="\n") as lines:
            yield lines
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise LmError(
            f"{path} cannot be read: {error}.", "Name a text file in GloVe's format, or set model.embedding=random."
        ) from None
