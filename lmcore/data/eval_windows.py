"""How a split is read for scoring: every token but the first is a target exactly once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from lmcore.data.batches import Batch
from lmcore.measures import IGNORED


class EvalWindows(NamedTuple):
    """Windows over a split of N tokens; window k reads x = tokens[start:end], with targets tokens[start+1:end+1].

    Attributes:
        starts, ends: [windows] int64.
        skips: [windows] int64; the first `skip` targets were scored by earlier windows and are context only.
    """

    starts: np.ndarray
    ends: np.ndarray
    skips: np.ndarray


def eval_windows(n_tokens: int, block_size: int, stride: int = 0) -> EvalWindows:
    """Windows of `block_size` that move by `stride` (0: `block_size`), so that each target is scored once with at least
    `block_size - stride` tokens of context where the text has them.

    Raises:
        ValueError: `stride` exceeds `block_size`, or one of them is out of range.
    """
    if block_size < 1 or not 0 <= stride <= block_size:
        raise ValueError(f"stride {stride} must lie between 0 and block_size {block_size}, which must be at least 1")
    targets = max(n_tokens - 1, 0)
    step = stride or block_size
    more = -(-max(targets - block_size, 0) // step)
    ends = (
        np.minimum(block_size + step * np.arange(more + 1, dtype=np.int64), targets)
        if targets
        else np.zeros(0, np.int64)
    )
    starts = np.maximum(ends - block_size, 0)
    scored_before = np.concatenate([np.zeros(min(len(ends), 1), np.int64), ends[:-1]])
    return EvalWindows(starts, ends, scored_before - starts)


def eval_window_batches(tokens: np.ndarray, block_size: int, batch_size: int, stride: int = 0) -> Iterator[Batch]:
    """`eval_windows` as batches; y is -100 for context and padding, x is 0 there."""
    windows = eval_windows(len(tokens), block_size, stride)
    tokens = np.asarray(tokens)
    column = np.arange(block_size)
    for first in range(0, len(windows.starts), batch_size):
        rows = slice(first, first + batch_size)
        index = windows.starts[rows, None] + column
        inside = index < windows.ends[rows, None]
        index = np.minimum(index, len(tokens) - 2)
        scored = inside & (column >= windows.skips[rows, None])
        x = np.where(inside, tokens[index], 0).astype(np.int64)
        y = np.where(scored, tokens[index + 1].astype(np.int64), IGNORED)
        yield Batch(x, y, False, int(scored.sum()))
