"""After the last step: the best checkpoint is scored, and the figures are looked at."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lmcore.measures import perplexity
from lmcore.models import load_model
from lmcore.training.evaluate import Cancelled, EvalResult
from lmcore.training.journal import Journal
from lmcore.training.scoring import final_tokens, score, tokens_to_score
from lmcore.training.setup import Setup

# When validation and test loss lie "far apart". Splits of one text differ by a few percent of the loss: WikiText-2 by
# 0.05 to 0.1 nats of about 4.5, a novel by 0.04 to 0.2 of 4. A license behind a novel made it 0.66 of 4.4 for a model
# that had seen the text once, and 1.1 of 4.2 for a trained one. The bound lies between, on a scale that holds for
# characters, BPE and words alike.
FAR_SHARE = 0.1
FAR_NATS = 0.1
# Short splits differ by chance: the standard deviation of a token's loss is about its mean, so this many standard
# errors of the difference are allowed.
STANDARD_ERRORS = 4.0


@dataclass(frozen=True)
class FinalScores:
    """Figures of the best checkpoint; None where there is no such split, or the scoring was interrupted.

    Attributes:
        val_loss: nats per token, on `val_tokens` tokens.
    """

    val_loss: float | None = None
    val_tokens: int | None = None
    test: EvalResult | None = None

    def figures(self) -> dict[str, Any]:
        """What the run's summary says of them."""
        return {
            "val_loss": self.val_loss,
            "val_perplexity": perplexity(self.val_loss),
            "val_tokens_scored": self.val_tokens,
            "test_loss": self.test.loss if self.test else None,
            "test_perplexity": self.test.perplexity if self.test else None,
            "test_tokens_scored": self.test.tokens if self.test else None,
            "bits_per_byte": self.test.bits_per_byte if self.test else None,
        }


def scores_so_far(setup: Setup, best_loss: float) -> FinalScores:
    """What is known without scoring anything: the lowest validation loss of the run."""
    if not math.isfinite(best_loss):
        return FinalScores()
    return FinalScores(best_loss, tokens_to_score(setup, "val", setup.config.eval.max_tokens))


def final_scores(
    setup: Setup,
    journal: Journal,
    best_loss: float,
    progress: Callable[[], dict[str, Any]],
    cancelled: Callable[[], bool],
) -> FinalScores:
    """Score the best checkpoint on the test split, and on validation if training looked at a part of it only; write
    the `eval` events, and a warning if the two are far apart.

    Args:
        best_loss: the validation loss that made it the best.
        progress: gives `step`, `epoch`, `tokens` and `seconds` of an event written now.
        cancelled: called before each batch; what has been scored until then is kept.
    """
    scores = scores_so_far(setup, best_loss)
    splits = final_tokens(setup)
    if scores.val_loss is None or not splits:
        return scores
    model = load_model(journal.run.checkpoint("best"), setup.device)
    val_loss, val_tokens, test = scores.val_loss, scores.val_tokens, None
    for split in splits:
        try:
            result = score(setup, model, split, final=True, journal=journal, cancelled=cancelled)
        except Cancelled:
            break
        journal.write("eval", **progress(), split=split, **result.fields(), best=split == "val", final=True)
        if split == "val":
            val_loss, val_tokens = result.loss, result.tokens
        else:
            test = result
    if test is not None and val_tokens and far_apart(val_loss, val_tokens, test.loss, test.tokens):
        journal.warn(
            "data",
            f"The validation loss ({val_loss:.2f}) and the test loss ({test.loss:.2f}) are far apart, so the two "
            f"splits contain different kinds of text. Look at the beginning and the end of {setup.data.name} for a "
            "license, an index or another language, and remove what does not belong to the text.",
        )
    return FinalScores(val_loss, val_tokens, test)


def far_apart(val_loss: float, val_tokens: int, test_loss: float, test_tokens: int) -> bool:
    """Whether two losses (nats per token, on so many tokens) differ more than two splits of one text do."""
    if not (math.isfinite(val_loss) and math.isfinite(test_loss)):
        return False
    chance = STANDARD_ERRORS * math.sqrt(1 / val_tokens + 1 / test_tokens)
    return abs(test_loss - val_loss) > max(FAR_NATS, min(val_loss, test_loss) * max(FAR_SHARE, chance))


def cut_short(setup: Setup) -> str:
    """A sentence that says on how many tokens the final scores rest, if not on all; else empty."""
    whole = {split: tokens_to_score(setup, split, 0) for split in ("val", "test")}
    parts = [
        f"{count:,} of {whole[split]:,} {split} tokens"
        for split, count in final_tokens(setup).items()
        if count < whole[split]
    ]
    return f"The final scores are based on the first {' and '.join(parts)} (eval.final_max_tokens)." if parts else ""
