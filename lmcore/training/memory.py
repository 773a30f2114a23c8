"""Where the memory goes, as far as the device says, and what to do when there is none left."""

from __future__ import annotations

import contextlib
import resource
import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from lmcore.errors import LmError, is_out_of_memory
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


@contextlib.contextmanager
def memory_explained() -> Iterator[None]:
    """Turn running out of memory into an error that says which settings to lower.

    Raises:
        LmError: the device, or the machine, has no memory left.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise LmError(
            "Out of memory.",
            "Lower training.batch_size (and raise training.accumulate by the same factor: the step stays the same), "
            "model.block_size, model.n_embd or model.n_layer. The checkpoints of this run are kept.",
        ) from error
