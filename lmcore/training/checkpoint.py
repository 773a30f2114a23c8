"""The half of a checkpoint that only a resume reads: the sum of what each part of the trainer remembers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import save
from torch import Tensor

from lmcore.errors import LmError
from lmcore.models.weights import read_safetensors
from lmcore.training.old_checkpoints import is_old, modernized

TENSORS_FILE = "trainer.safetensors"
VALUES_FILE = "trainer.json"
# The precision may change when a run is resumed, so fp16's loss scale may be new, or no longer needed.
OPTIONAL = {"scaler"}
StateDict = dict[str, Any]


class Stateful(Protocol):
    """A part of the trainer: it alone knows what of it must outlive the process."""

    def state_dict(self) -> StateDict:
        """Everything that it remembers: tensors, and values that JSON has (no NaN, no infinity), by name."""

    def load_state_dict(self, state: StateDict) -> None:
        """Take over what `state_dict` of an equal part gave; tensors may be on any device."""


def save_state(parts: Mapping[str, Stateful], folder: Path) -> None:
    """Write the state of all parts: tensors to `trainer.safetensors` as `part:name`, the rest to `trainer.json`."""
    tensors: dict[str, Tensor] = {}
    values: dict[str, StateDict] = {}
    for part, state in ((part, owner.state_dict()) for part, owner in parts.items()):
        kept = {name: value for name, value in state.items() if isinstance(value, Tensor)}
        tensors |= {f"{part}:{name}": tensor.detach().cpu().contiguous() for name, tensor in kept.items()}
        values[part] = {name: value for name, value in state.items() if name not in kept}
    (folder / TENSORS_FILE).write_bytes(save(tensors))
    (folder / VALUES_FILE).write_text(json.dumps(values, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def load_state(parts: Mapping[str, Stateful], folder: Path, device: torch.device) -> None:
    """Give each part what `save_state` wrote of it, tensors on `device`; after that the run goes on bit for bit as it
    would have.

    Raises:
        LmError: a file is missing, damaged or of another version; the text is not the one the run was trained on.
    """
    states = read_state(folder)
    missing = parts.keys() - states.keys() - OPTIONAL
    if missing:
        raise LmError(
            f"{folder / VALUES_FILE} was written by another version of lm: it lacks {', '.join(sorted(missing))}.",
            "Resume with that version, or start a new run.",
        )
    for name, part in parts.items():
        if state := states.get(name):
            part.load_state_dict({key: _moved(value, device) for key, value in state.items()})


def read_state(folder: Path) -> dict[str, StateDict]:
    """What `save_state` wrote, by part, tensors on the CPU.

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
        part, _, name = key.partition(":")
        tensors.setdefault(part, {})[name] = tensor.clone()
    if is_old(values):
        values, tensors = modernized(values, tensors)
    return {part: {**values.get(part, {}), **tensors.get(part, {})} for part in values.keys() | tensors.keys()}


def _moved(value: Any, device: torch.device) -> Any:
    return value.to(device) if isinstance(value, Tensor) else value
