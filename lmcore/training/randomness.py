"""PyTorch's random numbers: kept out of the way of what only looks, and part of a checkpoint."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from lmcore.models.device import cuda_index


@contextlib.contextmanager
def random_stream_kept(device: torch.device) -> Iterator[None]:
    """Whatever is drawn while entered, the random stream afterwards goes on as if nothing had been."""
    with torch.random.fork_rng(devices=cuda_index(device)):
        yield


class RandomState:
    """PyTorch's generators, of the CPU and of the device, as a part of a checkpoint."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def state_dict(self) -> dict[str, Any]:
        """Their states, by device type."""
        states = {"cpu": torch.get_rng_state()}
        if self._device.type != "cpu":
            module = torch.get_device_module(self._device)
            states[self._device.type] = module.get_rng_state(*cuda_index(self._device))
        return states

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`; a device that the state was not taken on keeps its own stream."""
        torch.set_rng_state(state["cpu"].cpu())
        if self._device.type != "cpu" and self._device.type in state:
            module = torch.get_device_module(self._device)
            module.set_rng_state(state[self._device.type].cpu(), *cuda_index(self._device))
