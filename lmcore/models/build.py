"""How a model is built from its settings; which class it is, `lmcore.registry` says."""

from __future__ import annotations

import torch

from lmcore.config import ModelConfig
from lmcore.errors import LmError
from lmcore.models.base import LanguageModel
from lmcore.models.init import initialize
from lmcore.registry import ARCHITECTURES, resolve


def build_model(
    model_config: ModelConfig, vocab_size: int, *, device: str | torch.device | None = None, seed: int | None = None
) -> LanguageModel:
    """A model with fresh weights.

    Args:
        model_config: its settings; `vocab_size` there, if set, is the number of rows.
        vocab_size: tokens in the vocabulary.
        device: where it lies (None: CPU). On "meta" it has shapes and counts, but no memory.
        seed: of the weights: the same on every device (None: drawn from the global generator).

    Raises:
        LmError: the vocabulary is larger than the model's.
    """
    rows = model_config.vocab_size or vocab_size
    if vocab_size > rows:
        raise LmError(
            f"The vocabulary has {vocab_size} tokens, but model.vocab_size is {rows}.",
            f"Set model.vocab_size=0 to take the vocabulary's size, or at least {vocab_size}.",
        )
    model = empty_model(model_config, rows)
    if torch.device(device or "cpu").type == "meta":
        return model
    model = model.to_empty(device="cpu")
    initialize(model, None if seed is None else torch.Generator().manual_seed(seed))
    return model.to(device or "cpu")


def empty_model(model_config: ModelConfig, vocab_size: int) -> LanguageModel:
    """A model on the meta device: what is built there costs no memory and draws no random numbers."""
    architecture = resolve(ARCHITECTURES[model_config.architecture].model)
    with torch.device("meta"):
        model: LanguageModel = architecture(model_config, vocab_size)
    return model


def count_parameters(model_config: ModelConfig, vocab_size: int) -> tuple[int, int]:
    """(total, learnable) of the model, without building it in memory."""
    return build_model(model_config, vocab_size, device="meta").parameter_counts()
