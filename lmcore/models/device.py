"""Which device a name stands for on this machine."""

from __future__ import annotations

import torch

from lmcore.errors import UsageError


def pick_device(name: str) -> torch.device:
    """The device of a `training.device` setting; `auto` is CUDA, then Apple's MPS, then the CPU.

    Raises:
        UsageError: that is no device, or this machine has none of that name.
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
            f"There is no device '{name}': PyTorch sees {torch.cuda.device_count()} CUDA GPUs.",
            "Choose another with --device, or auto.",
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError(
            "There is no device 'mps': this is no Apple GPU, or this PyTorch cannot use it.",
            "Choose another with --device, or auto.",
        )
    return device
