"""Scoring a split with the settings of a run, with progress: during training, and once more at the end."""

from __future__ import annotations

from collections.abc import Callable

import torch

from lmcore.config import Config
from lmcore.data import Split
from lmcore.models import LanguageModel
from lmcore.training.evaluate import EvalResult, evaluate
from lmcore.training.journal import Journal
from lmcore.training.setup import Setup


def score(
    setup: Setup, model: LanguageModel, split: str, *, final: bool, journal: Journal, cancelled: Callable[[], bool]
) -> EvalResult:
    """`evaluate` with the settings of the run; the heartbeats of `journal` say how far it is.

    Args:
        final: after the last step of the run: `eval.final_max_tokens` bounds it instead of `eval.max_tokens`.
        cancelled: called before each batch.

    Raises:
        Cancelled: `cancelled` returned True.
    """
    with journal.scoring(split, final=final) as tell:
        return evaluate_as(
            setup.config,
            model,
            setup.data.splits[split],
            setup.device,
            setup.precision,
            final=final,
            cancelled=cancelled,
            report=tell,
        )


def evaluate_as(
    config: Config,
    model: LanguageModel,
    split: Split,
    device: torch.device,
    precision: str,
    *,
    final: bool,
    cancelled: Callable[[], bool] = lambda: False,
    report: Callable[[int, int], None] = lambda scored, wanted: None,
) -> EvalResult:
    """`evaluate` with the `[eval]` settings of `config`; for `final`, `cancelled` and what is raised see `score`."""
    settings = config.eval
    return evaluate(
        model,
        split,
        block_size=model.config.block_size,
        batch_size=settings.batch_size or config.training.batch_size,
        stride=settings.stride,
        max_tokens=settings.final_max_tokens if final else settings.max_tokens,
        carry_state=settings.carry_state,
        device=device,
        precision=precision,
        cancelled=cancelled,
        report=report,
    )


def tokens_to_score(setup: Setup, split: str, max_tokens: int) -> int:
    """Targets of a split, or the first `max_tokens` of them (0: all); the first token has no context and is none."""
    targets = max(0, len(setup.data.splits[split].tokens) - 1)
    return min(max_tokens, targets) if max_tokens else targets


def final_tokens(setup: Setup) -> dict[str, int]:
    """Targets to score at the end, by split. Validation is scored again only if that gives a figure on more tokens."""
    limits = setup.config.eval
    val = tokens_to_score(setup, "val", limits.final_max_tokens)
    test = tokens_to_score(setup, "test", limits.final_max_tokens)
    again = val > tokens_to_score(setup, "val", limits.max_tokens)
    return {**({"val": val} if again else {}), **({"test": test} if test else {})}
