"""Everything a run needs, checked before the first step: data, batches, device, and where it ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from lmcore.config import Config
from lmcore.data import Batches, Data, check_vocabulary, load_data, make_batches
from lmcore.data.tokenizer.select import PUBLISHED_TITLES
from lmcore.errors import LmError, OutOfReachError, UsageError
from lmcore.hub import INSTALL, client_is_installed
from lmcore.models import LanguageModel, apply_pretrained_embedding, build_model
from lmcore.models.device import pick_device
from lmcore.models.pretrained import RANDOM_INSTEAD, matched_by_row
from lmcore.training.device import pick_precision
from lmcore.training.schedules import require_end


@dataclass(frozen=True)
class Setup:
    """What stays the same throughout a run.

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

    @property
    def tokens_per_step(self) -> int:
        """Targets of a step, on average."""
        return self.batches.tokens_per_epoch * self.config.training.accumulate // self.batches.steps_per_epoch

    @property
    def substitutions(self) -> list[str]:
        """Sentences on what stands in for something that was asked for and is out of reach; loading the data and
        building the model add to it.
        """
        return self.data.substitutions

    def state_dict(self) -> dict[str, Any]:
        """The hashes of the text, by which a resumed run knows it again."""
        return {"corpus_hash": self.data.corpus_hash, "tokenizer_hash": self.data.tokenizer_hash}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Refuse to resume on another text than the run began with.

        Raises:
            LmError: the corpus or the tokenizer has changed.
        """
        for name, now in self.state_dict().items():
            if state[name] != now:
                raise LmError(
                    f"The {name.removesuffix('_hash')} is not the one this run was trained on.",
                    "Restore the original text, or start a new run.",
                )


def prepare(config: Config, report: Callable[[int, int, str], None] | None = None) -> Setup:
    """Load the data, once, and check that it, the model and the schedule fit together.

    Args:
        report: called with (bytes done, bytes in all, what) while data is downloaded or encoded.

    Raises:
        UsageError: no such device; nothing ends the run; a split is shorter than a window; the vocabulary is larger
            than the model's.
        LmError: the corpus is unreadable, or cannot be downloaded.
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
    total_steps = steps_in_all(config, batches.steps_per_epoch)
    if total_steps is None and not training.max_minutes and not training.patience:
        raise UsageError(
            "The run has no stopping condition.",
            "Set training.max_steps, training.epochs, training.max_minutes or training.patience.",
        )
    require_end(config.schedule, total_steps)
    return Setup(config, data, batches, device, pick_precision(training.precision, device), total_steps)


def new_model(setup: Setup) -> LanguageModel:
    """A model with fresh weights, from the seed, on the device; its embedding pretrained if the config names a table.

    Raises:
        OutOfReachError: the table cannot be downloaded, or its rows are those of a tokenizer that could not be.
        LmError: the table is damaged or does not fit; the embedding is never left random silently.
    """
    config, tokenizer = setup.config, setup.data.tokenizer
    model = build_model(config.model, tokenizer.vocab_size, device=setup.device, seed=config.training.seed)
    source = config.model.embedding
    if source != "random":
        asked = config.tokenizer.kind
        if asked in PUBLISHED_TITLES and tokenizer.kind != asked and matched_by_row(source):
            extra = "" if client_is_installed() else f" (it needs huggingface-hub: {INSTALL})"
            raise OutOfReachError(
                f"{source} has one row per token of {PUBLISHED_TITLES[asked]}'s tokenizer, which could not be "
                f"downloaded{extra}; the BPE trained on the corpus instead has different tokens.",
                RANDOM_INSTEAD,
            )
        tokens = [tokenizer.token(token_id) for token_id in range(tokenizer.vocab_size)]
        filled = apply_pretrained_embedding(model, source, tokens, pad_first=config.tokenizer.pad_first)
        if filled.rows < len(tokens) - config.tokenizer.pad_first:
            setup.data.warnings.append(
                f"{source} has vectors for {filled.rows:,} of {len(tokens):,} tokens; the others start at random."
            )
        setup.data.substitutions.extend(filled.substitutions)
    return model


def steps_in_all(config: Config, batches_per_epoch: int) -> int | None:
    """The step at which `training.max_steps` or `training.epochs` ends a run, whichever comes first; None without
    them.
    """
    training, ends = config.training, []
    if training.max_steps:
        ends.append(training.max_steps)
    if training.epochs:
        ends.append(max(1, math.ceil(training.epochs * batches_per_epoch / training.accumulate)))
    return min(ends, default=None)
