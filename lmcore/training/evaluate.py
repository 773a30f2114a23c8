"""How well a model predicts a text: every token of it is scored exactly once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
import torch

from lmcore.data import Batch, Split, eval_window_batches
from lmcore.errors import UsageError
from lmcore.measures import IGNORED, perplexity
from lmcore.models import LanguageModel
from lmcore.training.device import autocast
from lmcore.training.memory import memory_explained

# A recurrent model reads the split as parallel streams, each at least this many windows long: then the few tokens at
# their starts that have less context do not show in the result.
WINDOWS_PER_STREAM = 8


@dataclass(frozen=True)
class EvalResult:
    """The scores of a model on a text.

    Attributes:
        loss: mean negative log-likelihood, nats per token scored.
        tokens: how many were scored.
        perplexity: exp(loss).
        word_perplexity: exp(total / words); None where the words are not known.
        bits_per_byte: total in bits / UTF-8 bytes; None where the bytes are not known.
        accuracy: share of tokens that were the model's likeliest.
    """

    loss: float
    tokens: int
    perplexity: float
    word_perplexity: float | None
    bits_per_byte: float | None
    accuracy: float

    def fields(self) -> dict[str, float | None]:
        """As an `eval` event says it, where `tokens` are those trained on."""
        fields: dict[str, float | None] = asdict(self)
        fields["tokens_scored"] = fields.pop("tokens")
        return fields


class Cancelled(Exception):  # noqa: N818 - nothing went wrong
    """An evaluation was abandoned because `cancelled` returned True."""


@torch.no_grad()
def evaluate(
    model: LanguageModel,
    split: Split,
    *,
    block_size: int,
    batch_size: int,
    stride: int = 0,
    max_tokens: int = 0,
    device: torch.device,
    precision: str = "fp32",
    carry_state: bool = True,
    cancelled: Callable[[], bool] = lambda: False,
    report: Callable[[int, int], None] = lambda scored, wanted: None,
) -> EvalResult:
    """Score tokens 1 … N−1 of `split` (the first has no context), or the first `max_tokens` of them.

    A transformer reads windows of `block_size` tokens that move by `stride` (0: `block_size`): each token is scored in
    the first window that holds it, so with at least `block_size - stride` tokens of context where the text has them. A
    recurrent model reads up to `batch_size` parallel streams and carries its state along each; without `carry_state` it
    reads windows as a transformer does, each from a state of zeros. No random number is drawn.

    Args:
        cancelled: called before each batch of windows.
        report: called before the first batch and after each with (tokens scored, tokens to score).

    Raises:
        UsageError: the split has fewer than two tokens, or `stride` is over `block_size`.
        LmError: out of memory.
        Cancelled: `cancelled()` returned True.
    """
    if len(split.tokens) < 2:
        raise UsageError(
            "There is nothing to score: the split has fewer than two tokens.", "Use a longer text, or another split."
        )
    if stride > block_size:
        raise UsageError(
            f"eval.stride {stride} is longer than a window of {block_size} tokens and would skip tokens.",
            f"Set it to at most {block_size}.",
        )
    targets = len(split.tokens) - 1
    wanted = min(max_tokens, targets) if max_tokens else targets
    tokens = split.tokens[: wanted + 1]
    carries = model.carries_state
    batches = (
        _streams(tokens, block_size, batch_size)
        if carries and carry_state
        else eval_window_batches(tokens, block_size, batch_size, stride)
    )

    was_training = model.training
    model.eval()
    total = torch.zeros((), dtype=torch.float64)
    correct, scored, state = 0, 0, None
    try:
        report(0, wanted)
        with memory_explained():
            for batch in batches:
                if cancelled():
                    raise Cancelled
                x, y = torch.from_numpy(batch.x).to(device), torch.from_numpy(batch.y).to(device)  # [B, T]
                with autocast(device, precision):
                    score = model.score(x, y, state if batch.carry else None)
                state = score.state
                total += score.nll.sum(dtype=torch.float32 if device.type == "mps" else torch.float64).cpu()
                correct += int(score.correct.sum())
                scored += batch.tokens
                report(scored, wanted)
    finally:
        model.train(was_training)
    return _result(total.item(), scored, correct, split, scored / targets)


def _result(total: float, scored: int, correct: int, split: Split, share: float) -> EvalResult:
    """Figures from `total` nats; `share` is how much of the split was scored."""
    return EvalResult(
        loss=total / scored,
        tokens=scored,
        perplexity=perplexity(total / scored),
        word_perplexity=perplexity(total / (split.words * share)) if split.words else None,
        bits_per_byte=total / math.log(2) / (split.bytes * share) if split.bytes else None,
        accuracy=correct / scored,
    )


def _streams(tokens: np.ndarray, block_size: int, batch_size: int) -> Iterator[Batch]:
    """Batches for a recurrent model that carries its state from each to the next: row b reads the b-th of several
    parallel streams.

    Streams overlap by one window, which the later one reads without scoring it, to know what came before.
    """
    targets = len(tokens) - 1
    streams = max(1, min(batch_size, targets // (WINDOWS_PER_STREAM * block_size)))
    overlap = block_size if streams > 1 else 0
    length = math.ceil((targets + (streams - 1) * overlap) / streams)
    row = np.arange(streams)[:, None]
    for start in range(0, length, block_size):
        offsets = np.arange(start, min(start + block_size, length))
        places = row * (length - overlap) + offsets  # [B, T]
        scored = ((offsets >= overlap) | (row == 0)) & (places < targets)
        places = np.minimum(places, targets - 1)  # past the end nothing is scored, so any token will do
        x = tokens[places].astype(np.int64)
        y = np.where(scored, tokens[places + 1].astype(np.int64), IGNORED)
        yield Batch(x, y, start > 0, int(scored.sum()))
