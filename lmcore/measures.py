"""What is scored, and what the loss becomes for people. Loss is nats per token everywhere in `lm`."""

from __future__ import annotations

import math
from typing import overload

# The target of a position that is not scored; it is PyTorch's default `ignore_index`.
IGNORED = -100

# The splits of a corpus, in the order in which they are named.
SPLITS = ("train", "val", "test")

# exp of more than this is no float64 any more.
_LARGEST_EXPONENT = 709.0


@overload
def perplexity(loss: float) -> float: ...
@overload
def perplexity(loss: None) -> None: ...
@overload
def perplexity(loss: float | None) -> float | None: ...
def perplexity(loss: float | None) -> float | None:
    """exp(loss), for a loss in nats per token (or per word: then it is word perplexity).

    None for None, NaN for NaN, infinity where exp(loss) is too large for a float.
    """
    if loss is None:
        return None
    return math.exp(loss) if not loss > _LARGEST_EXPONENT else math.inf
