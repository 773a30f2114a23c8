"""Where the memory goes, as far as the device says."""

from __future__ import annotations

import resource
import sys
from typing import Any

import torch
from torch import nn

from lmcore.telemetry import process_memory


def memory_bytes(device: torch.device) -> int | None:
    """Bytes that this process holds on `device`: reserved by PyTorch on a CUDA GPU, else resident in RAM."""
    return torch.cuda.memory_reserved(device) if device.type == "cuda" else process_memory()


def peak_memory_bytes(device: torch.device) -> int:
    """The most bytes that this process ever held, on the GPU or in RAM."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def memory_split(model: nn.Module, optimizer_bytes: int, device: torch.device) -> dict[str, Any]:
    """Bytes by purpose. Activations (the rest at the peak so far) and PyTorch's cache are known on CUDA only, else
    None.
    """
    weights = sum(parameter.nbytes for parameter in model.parameters())
    gradients = sum(parameter.nbytes for parameter in model.parameters() if parameter.requires_grad)
    activations = cached = None
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device)
        activations = max(0, peak - weights - gradients - optimizer_bytes)
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return {
        "weights": weights,
        "gradients": gradients,
        "optimizer": optimizer_bytes,
        "activations": activations,
        "cached": cached,
    }
