"""The order in which a model sees tokens. Every batch is a pure function of its number, so a run resumes anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lmcore.config import DataConfig
from lmcore.data.token_files import Split
from lmcore.errors import UsageError
from lmcore.measures import IGNORED


@dataclass(frozen=True)
class Batch:
    """Inputs and next tokens.

    Attributes:
        x: [B, T] int64.
        y: [B, T] int64; -100 where nothing is scored.
        carry: row b continues where row b of the previous batch ended, so a recurrent state is carried over.
        tokens: targets scored.
    """

    x: np.ndarray
    y: np.ndarray
    carry: bool
    tokens: int


class Batches(Protocol):
    """Batches of endless epochs.

    Attributes:
        steps_per_epoch: batches in an epoch.
        tokens_per_epoch: targets scored in an epoch.
    """

    steps_per_epoch: int
    tokens_per_epoch: int

    def get(self, i: int) -> Batch:
        """Batch `i` counted from the start of training; epoch `i // steps_per_epoch`."""
        ...


def make_batches(
    split: Split,
    data_config: DataConfig,
    *,
    batch_size: int,
    block_size: int,
    seed: int,
    eos_id: int | None = None,
    pad_id: int | None = None,
) -> Batches:
    """Batches of a split in the order that `data_config.batching` names.

    Raises:
        UsageError: the split is shorter than one window, has no documents, or fewer tokens than streams.
    """
    if data_config.batching == "documents":
        return DocumentBatches(split, batch_size, block_size, seed, eos_id, pad_id)
    if len(split.tokens) <= block_size:
        raise UsageError(
            f"The training split has {len(split.tokens)} tokens, too few for one window of {block_size} and one more.",
            "Reduce model.block_size, or use a longer text.",
        )
    if data_config.batching == "streams":
        return StreamBatches(split.tokens, batch_size, block_size, data_config.stream_shift)
    return WindowBatches(split.tokens, batch_size, block_size, seed, data_config.random_offset, pad_id)


class StreamBatches:
    """The text as `batch_size` parallel contiguous streams, read from left to right with the state carried (truncated
    BPTT).

    Stream b holds the tokens [bL, (b+1)L) with L = (N-1) // B; its last target is the next stream's first token. Fewer
    than B tokens at the end are left out. The last chunk of an epoch may be shorter than `block_size`.

    With `shift` S, epoch e starts at token eS mod `block_size`, so that its chunks are cut at other places than those
    of the epoch before. All epochs are of the same length: the tokens that the largest shift skips are left out.
    """

    def __init__(self, tokens: np.ndarray, batch_size: int, block_size: int, shift: int = 0) -> None:
        self._shift = shift
        self._length = (len(tokens) - 1 - (block_size - 1 if shift else 0)) // batch_size
        if self._length < 1:
            raise UsageError(
                f"{len(tokens)} tokens do not fill {batch_size} streams.",
                "Reduce training.batch_size, or use a longer text.",
            )
        self._tokens = np.asarray(tokens)
        self._starts = np.arange(batch_size)[:, None] * self._length
        self._block_size = block_size
        self.steps_per_epoch = -(-self._length // block_size)
        self.tokens_per_epoch = self._length * batch_size

    def get(self, i: int) -> Batch:
        """See `Batches.get`."""
        epoch, step = divmod(i, self.steps_per_epoch)
        start = step * self._block_size
        length = min(self._block_size, self._length - start)
        first = start + epoch * self._shift % self._block_size
        rows = self._tokens[self._starts + np.arange(first, first + length + 1)].astype(np.int64)
        return Batch(rows[:, :-1].copy(), rows[:, 1:].copy(), start > 0, length * len(rows))


class WindowBatches:
    """Contiguous windows that do not overlap, shuffled anew each epoch.

    Without an offset, the last window is padded (x with `pad_id` or 0, y with -100) so that every token but the first
    is a target once an epoch. With a random offset, whole windows start at a token that differs from epoch to epoch.
    """

    def __init__(
        self,
        tokens: np.ndarray,
        batch_size: int,
        block_size: int,
        seed: int,
        random_offset: bool = False,
        pad_id: int | None = None,
    ) -> None:
        self._tokens = np.asarray(tokens)
        self._batch_size, self._block_size, self._seed, self._pad_id = batch_size, block_size, seed, pad_id or 0
        self._targets = len(tokens) - 1
        self._random_offset = random_offset
        self._windows = (
            max((self._targets - block_size + 1) // block_size, 1) if random_offset else -(-self._targets // block_size)
        )
        self._epoch = -1
        self._order = np.zeros(0, np.int64)
        self.steps_per_epoch = -(-self._windows // batch_size)
        self.tokens_per_epoch = self._windows * block_size if random_offset else self._targets

    def get(self, i: int) -> Batch:
        """See `Batches.get`."""
        epoch, step = divmod(i, self.steps_per_epoch)
        if epoch != self._epoch:
            self._order, self._epoch = self._starts_of(epoch), epoch
        starts = self._order[step * self._batch_size : (step + 1) * self._batch_size]
        index = starts[:, None] + np.arange(self._block_size + 1)
        if int(index[:, -1].max()) <= self._targets:
            rows = self._tokens[index].astype(np.int64)
            return Batch(rows[:, :-1].copy(), rows[:, 1:].copy(), False, rows[:, 1:].size)
        rows = np.where(
            index <= self._targets, self._tokens[np.minimum(index, self._targets)].astype(np.int64), IGNORED
        )
        y = rows[:, 1:].copy()
        x = np.where(rows[:, :-1] == IGNORED, self._pad_id, rows[:, :-1])
        return Batch(x, y, False, int((y != IGNORED).sum()))

    def _starts_of(self, epoch: int) -> np.ndarray:
        random = np.random.default_rng([self._seed, epoch])
        order: np.ndarray = random.permutation(self._windows) * self._block_size
        if self._random_offset:
            order += random.integers(self._targets - self._windows * self._block_size + 1)
        return order


class DocumentBatches:
    """One document a row, shuffled each epoch, cut after `block_size` targets, the rest of the row padded and not
    scored.

    A document that lacks an end-of-text token gets one, unless it is cut. Documents without a target are left out.
    """

    def __init__(
        self, split: Split, batch_size: int, block_size: int, seed: int, eos_id: int | None, pad_id: int | None
    ) -> None:
        if split.documents is None:
            raise UsageError(
                "data.batching is documents, but the corpus is one continuous text.",
                "Set data.batching to windows or streams, or use several documents: a folder, JSONL or Parquet.",
            )
        self._tokens = np.asarray(split.tokens)
        starts = np.asarray(split.documents)
        ends = np.append(starts[1:], len(self._tokens))
        starts, ends = starts[starts < ends], ends[starts < ends]
        lacks_eos = (
            np.zeros(len(starts), np.int64) if eos_id is None else (self._tokens[ends - 1] != eos_id).astype(np.int64)
        )
        targets = np.minimum(ends - starts + lacks_eos - 1, block_size)
        kept = targets > 0
        if not kept.any():
            raise UsageError("No document has at least two tokens.", "Use longer documents.")
        self._starts, self._ends, self._targets = starts[kept], ends[kept], targets[kept]
        self._batch_size, self._block_size, self._seed = batch_size, block_size, seed
        self._eos_id = eos_id or 0
        self._pad_id = next((token for token in (pad_id, eos_id) if token is not None), 0)
        self._epoch = -1
        self._order = np.zeros(0, np.int64)
        self.steps_per_epoch = -(-len(self._starts) // batch_size)
        self.tokens_per_epoch = int(self._targets.sum())

    def get(self, i: int) -> Batch:
        """See `Batches.get`."""
        epoch, step = divmod(i, self.steps_per_epoch)
        if epoch != self._epoch:
            self._order, self._epoch = np.random.default_rng([self._seed, epoch]).permutation(len(self._starts)), epoch
        rows = self._order[step * self._batch_size : (step + 1) * self._batch_size]
        column = np.arange(self._block_size + 1)
        index = self._starts[rows, None] + column
        inside = index < self._ends[rows, None]
        ids = np.where(inside, self._tokens[np.minimum(index, len(self._tokens) - 1)].astype(np.int64), self._eos_id)
        scored = column[None, :-1] < self._targets[rows, None]
        x = np.where(scored, ids[:, :-1], self._pad_id)
        return Batch(x, np.where(scored, ids[:, 1:], IGNORED), False, int(scored.sum()))
