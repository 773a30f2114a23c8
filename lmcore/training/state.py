"""The files in a checkpoint that only a resume reads, and what must not have changed when it does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from lmcore.config import Config, differences
from lmcore.errors import LmError, UsageError
from lmcore.models.weights import read_safetensors

TENSORS_FILE = "trainer.safetensors"
VALUES_FILE = "trainer.json"
# With another value of one of these the same step would mean something else.
FIXED_SECTIONS = ("data", "tokenizer", "model")
FIXED_SETTINGS = ("training.batch_size", "training.accumulate", "training.seed", "training.average", "optimizer.name")


@dataclass
class TrainerState:
    """`values` are plain; `tensors` come in groups: optimizer, trained, carried, random."""

    values: dict[str, Any]
    tensors: dict[str, Mapping[str, Tensor]]

    def save(self, folder: Path) -> None:
        """Write `trainer.json` and `trainer.safetensors`."""
        flat = {
            f"{group}:{name}": tensor.detach().cpu().contiguous()
            for group, tensors in self.tensors.items()
            for name, tensor in tensors.items()
        }
        (folder / TENSORS_FILE).write_bytes(save(flat))
        (folder / VALUES_FILE).write_text(json.dumps(self.values, indent=1, allow_nan=False) + "\n", encoding="utf-8")

    def on(self, device: torch.device, group: str) -> dict[str, Tensor]:
        """The tensors of a group, on `device`."""
        return {name: tensor.to(device) for name, tensor in self.tensors.get(group, {}).items()}


def read_state(folder: Path) -> TrainerState:
    """What `TrainerState.save` wrote.

    Raises:
        LmError: a file is missing or damaged.
    """
    try:
        values = json.loads((folder / VALUES_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LmError(
            f"{folder / VALUES_FILE} cannot be read: {error}.", "Resume from another checkpoint, or start a new run."
        ) from None
    tensors: dict[str, dict[str, Tensor]] = {}
    for key, tensor in read_safetensors(folder / TENSORS_FILE).items():
        group, _, name = key.partition(":")
        tensors.setdefault(group, {})[name] = tensor.clone()
    return TrainerState(values, dict(tensors))


def check_unchanged(before: Config, now: Config) -> None:
    """Refuse to resume with settings that would make it another run.

    Raises:
        UsageError: the data, the model, or what a step is, has changed.
    """
    changed = [
        name for name in differences(before, now) if name.partition(".")[0] in FIXED_SECTIONS or name in FIXED_SETTINGS
    ]
    if changed:
        raise UsageError(
            f"A resumed run cannot change {', '.join(changed)}.", "Leave it as it was, or start a new run."
        )


def check_same_text(values: Mapping[str, Any], corpus_hash: str, tokenizer_hash: str) -> None:
    """Refuse to resume on another text than the run began with.

    Raises:
        LmError: the corpus or the tokenizer has changed.
    """
    for what, now in (("corpus", corpus_hash), ("tokenizer", tokenizer_hash)):
        if values[f"{what}_hash"] != now:
            raise LmError(
                f"The {what} is not the one this run was trained on.", "Put the old text back, or start a new run."
            )
