"""A recurrent model's state between micro-batches (truncated backpropagation through time)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class CarriedState:
    """The state after the last micro-batch: tensors [layers, B, H], or None for a model without one."""

    def __init__(self) -> None:
        self.tensors: tuple[Tensor, ...] | None = None

    def reset_unless(self, finite: Tensor) -> None:
        """Set the state to zero where `finite` (a boolean scalar on the device) is false: a state that is not finite
        would spoil all steps to come.
        """
        if self.tensors is not None:
            self.tensors = tuple(torch.where(finite, part, 0.0) for part in self.tensors)

    def state_dict(self) -> dict[str, Any]:
        """The tensors by their number."""
        return {str(number): tensor for number, tensor in enumerate(self.tensors or ())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""
        self.tensors = tuple(state[str(number)] for number in range(len(state))) or None
