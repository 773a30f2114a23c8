"""Token embeddings that were trained elsewhere: from the Hub, a .safetensors file, or GloVe's text files."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lmcore.errors import LmError
from lmcore.hub import hub_file
from lmcore.models.base import LanguageModel
from lmcore.models.weights import WEIGHTS_FILE, read_safetensors

TEXT_SUFFIXES = (".txt", ".vec", ".txt.gz", ".vec.gz")
RANDOM_INSTEAD = "--set model.embedding=random starts from random vectors; add --set model.freeze_embedding=false to train them, or =true to keep them."


def apply_pretrained_embedding(
    model: LanguageModel, source: str, tokens: list[str] | None = None, *, pad_first: bool = False
) -> int:
    """Overwrite rows of the token embedding with trained vectors; what is not overwritten keeps its random ones.

    Args:
        model: with n_embd equal to the vectors' width.
        source: a .safetensors file (or a folder with model.safetensors) that holds one [rows, E] table, a text file in
            GloVe's format (a token and its E numbers a line; also .gz), or a Hub id such as
            `openai-community/openai-gpt`.
        tokens: the token of each id; a text file is matched by them, exactly.
        pad_first: id 0 is padding and every other id is one more than in the table.

    Returns:
        How many rows were overwritten.

    Raises:
        LmError: the source is missing, out of reach or damaged, or no table in it fits.
    """
    path = Path(source).expanduser()
    if source.endswith(TEXT_SUFFIXES):
        return _apply_text(model, path, tokens)
    if path.is_dir():
        path = path / WEIGHTS_FILE
    elif path.suffix != ".safetensors":
        path = hub_file(source, WEIGHTS_FILE, RANDOM_INSTEAD)
    if not path.is_file():
        raise LmError(f"There is no table of embeddings {path}.", RANDOM_INSTEAD)
    first = int(pad_first)
    table = _find_table(path, model.vocab_size - first, model.config.n_embd)
    with torch.no_grad():
        model.embedding.weight[first:].copy_(table)
    return len(table)


def _find_table(path: Path, rows: int, width: int) -> Tensor:
    """The tensor of shape [rows, width] in a file; of several, the one named as an embedding."""
    tensors = read_safetensors(path)
    fitting = {name: tensor for name, tensor in tensors.items() if tuple(tensor.shape) == (rows, width)}
    if len(fitting) > 1:
        fitting = {name: tensor for name, tensor in fitting.items() if "embed" in name or "wte" in name}
    if len(fitting) == 1:
        return next(iter(fitting.values()))
    shapes = sorted(
        {tuple(t.shape) for name, t in tensors.items() if t.dim() == 2 and ("embed" in name or "wte" in name)}
    )
    raise LmError(
        f"{path} has no single table of {rows} rows x {width} (its embeddings: {shapes or 'none'}).",
        "Use the tokenizer and the n_embd that it was trained with, or model.embedding=random.",
    )


def _apply_text(model: LanguageModel, path: Path, tokens: list[str] | None) -> int:
    if tokens is None:
        raise LmError(f"{path} is matched token by token, but this tokenizer does not list its tokens.", RANDOM_INSTEAD)
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
                    "Set model.n_embd to the file's width.",
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
            f"{path}, line {line}, has something that is not a number.", "Use a file in GloVe's format."
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
