"""Everything a training needs, checked before the first step: data, batches, model, device, and where it ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from lmcore.config import Config
from lmcore.data import Batches, Data, check_vocabulary, load_data, make_batches
from lmcore.errors import LmError, UsageError
from lmcore.models import LanguageModel, apply_pretrained_embedding, build_model
from lmcore.models.device import pick_device
from lmcore.models.pretrained import RANDOM_INSTEAD, matched_by_row
from lmcore.training.device import pick_precision
from lmcore.training.schedules import require_end


@dataclass(frozen=True)
class Setup:
    """What stays the same throughout a training.

    Attributes:
        precision: fp32, bf16 or fp16.
        total_steps: step at which the run ends, None when only time or patience ends it.
    """

    config: Config
    data: Data
    batches: Batches
    device: torch.device
    precision: str
    total_steps: int | None

    def epoch(self, step: int) -> float:
        """Epochs done after `step` steps."""
        return step * self.config.training.accumulate / self.batches.steps_per_epoch

    @property
    def steps_per_epoch(self) -> int:
        """Steps that finish an epoch."""
        return math.ceil(self.batches.steps_per_epoch / self.config.training.accumulate)


def prepare(config: Config, report: Callable[[int, int, str], None] | None = None) -> Setup:
    """Load the data and check that it, the model and the schedule fit together.

    Raises:
        UsageError: no such device; nothing ends the run; a split is shorter than a window; the vocabulary is larger
            than the model's.
        LmError: the corpus cannot be had.
    """
    device = pick_device(config.training.device)
    data = load_data(config, report=report)
    training = config.training
    if config.model.vocab_size:
        check_vocabulary(data, config.model.vocab_size)
    batches = make_batches(
        data.splits["train"],
        config.data,
        batch_size=training.batch_size,
        block_size=config.model.block_size,
        seed=training.seed,
        eos_id=data.tokenizer.eos_id,
        pad_id=data.tokenizer.pad_id,
    )
    total_steps = _total_steps(config, batches.steps_per_epoch)
    require_end(config.schedule, total_steps)
    return Setup(config, data, batches, device, pick_precision(training.precision, device), total_steps)


def new_model(setup: Setup) -> LanguageModel:
    """A model with fresh weights, from the seed, on the device; its embedding pretrained if the config names a table.

    Raises:
        LmError: the table is out of reach, damaged, or does not fit, or its rows are those of another tokenizer; the
            embedding is never left random silently.
    """
    config, tokenizer = setup.config, setup.data.tokenizer
    model = build_model(config.model, tokenizer.vocab_size, device=setup.device, seed=config.training.seed)
    source = config.model.embedding
    if source != "random":
        asked = config.tokenizer.kind
        if asked in ("gpt1", "gpt2") and tokenizer.kind != asked and matched_by_row(source):
            raise LmError(
                f"{source} has a row for each token of {asked}, and this run has another tokenizer in its place.",
                RANDOM_INSTEAD,
            )
        tokens = [tokenizer.token(token_id) for token_id in range(tokenizer.vocab_size)]
        filled = apply_pretrained_embedding(model, source, tokens, pad_first=config.tokenizer.pad_first)
        if filled.rows < len(tokens) - config.tokenizer.pad_first:
            setup.data.warnings.append(
                f"{source} has vectors for {filled.rows:,} of {len(tokens):,} tokens; the others start random."
            )
        setup.data.substitutions.extend(filled.substitutions)
    return model


def _total_steps(config: Config, batches_per_epoch: int) -> int | None:
    training = config.training
    ends = []
    if training.max_steps:
        ends.append(training.max_steps)
    if training.epochs:
        ends.append(max(1, math.ceil(training.epochs * batches_per_epoch / training.accumulate)))
    if not ends and not training.max_minutes and not training.patience:
        raise UsageError(
            "Nothing says when the training ends.",
            "Set training.max_steps, training.epochs, training.max_minutes or training.patience.",
        )
    return min(ends, default=None)
