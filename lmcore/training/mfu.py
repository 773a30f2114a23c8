"""Model FLOPs utilization: the share of a GPU's published speed that becomes training."""

from __future__ import annotations

import torch

# Dense bf16/fp16 tensor-core FLOP/s with float32 sums, from NVIDIA's data sheets. A GPU that is not here gives no
# figure, not a guess.
PEAK_FLOPS = {
    "H200": 989e12,
    "H100 80GB HBM3": 989e12,
    "H100 PCIe": 756e12,
    "A100": 312e12,
    "A10G": 70e12,
    "RTX A4000": 76.7e12,
    "RTX 4090": 165.2e12,
    "L4": 121e12,
    "L40S": 362e12,
    "V100": 125e12,
    "T4": 65e12,
}


def utilization(flops: float, tokens_per_second: float, device: torch.device, precision: str) -> float | None:
    """The share of the GPU's peak, or None for a device or precision whose peak is not known."""
    if device.type != "cuda" or precision == "fp32":
        return None
    peak = peak_flops(torch.cuda.get_device_name(device))
    return None if peak is None else flops * tokens_per_second / peak


def peak_flops(gpu: str) -> float | None:
    """The published FLOP/s of a GPU by the name that its driver gives it; None if it is not in the table."""
    words = {word for part in gpu.split() for word in (part, part.partition("-")[0])}  # "A100-SXM4-80GB" is an A100
    if "Laptop" in words:
        return None
    return next((flops for name, flops in PEAK_FLOPS.items() if set(name.split()) <= words), None)
