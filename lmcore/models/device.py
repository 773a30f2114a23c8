"""Which device a name stands for on this machine, and its index among its kind."""

from __future__ import annotations

import torch

from lmcore.errors import UsageError


def pick_device(name: str) -> torch.device:
    """The device of a `training.device` setting; `auto` is CUDA, then Apple's MPS, then the CPU.

    Raises:
        UsageError: that is not a device, or this machine does not have it.
    """
    if name == "auto":
        return torch.device(
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"'{name}' is not a device.", "Choose auto, cpu, cuda, cuda:N or mps.") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"The device '{name}' is not available: PyTorch finds {torch.cuda.device_count()} CUDA GPUs.",
            "Choose another one with --device, or use auto.",
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError(
            "There is no device 'mps': this machine has no Apple GPU, or PyTorch cannot use it.",
            "Choose another one with --device, or use auto.",
        )
    return device


def cuda_index(device: torch.device) -> list[int]:
    """The index of a CUDA device; nothing for other devices, of which there is only one."""
    if device.type != "cuda":
        return []
    return [device.index if device.index is not None else torch.cuda.current_device()]
