"""What turns ids into vectors: the token table and the positions."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class TokenEmbedding(nn.Module):
    """A table with one row per token."""

    def __init__(self, vocab_size: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocab_size, width))

    def forward(self, ids: Tensor) -> Tensor:
        return F.embedding(ids, self.weight)  # [...] -> [..., E]


class Head(nn.Module):
    """What the output layer owns: its weight unless it is tied to the token table, and a bias if it has one."""

    def __init__(self, width: int, vocab_size: int, *, tied: bool, bias: bool) -> None:
        super().__init__()
        self.weight = None if tied else nn.Parameter(torch.empty(vocab_size, width))
        self.bias = nn.Parameter(torch.empty(vocab_size)) if bias else None


class LearnedPositions(nn.Module):
    """A table with one row per position (GPT-1, GPT-2)."""

    def __init__(self, block_size: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(block_size, width))

    def forward(self, start: int, length: int) -> Tensor:
        return self.weight[start : start + length]  # [T, E]


class SinusoidalPositions(nn.Module):
    """`sin(p / 10000^(2i/E))` in the even columns, `cos` of the same in the odd ones (Vaswani et al., 2017, section
    3.5).
    """

    table: Tensor

    def __init__(self, block_size: int, width: int) -> None:
        super().__init__()
        self.register_buffer("table", torch.empty(block_size, width), persistent=False)

    def fill(self) -> None:
        """Compute the table; it is not stored with the weights."""
        block_size, width = self.table.shape
        angles = _angles(block_size, width, 10_000.0)
        self.table.copy_(torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1))

    def forward(self, start: int, length: int) -> Tensor:
        return self.table[start : start + length]  # [T, E]


class RotaryPositions(nn.Module):
    """Rotates each pair of a query's or key's coordinates by an angle that grows with its position (Su et al., 2021).

    Coordinate i is paired with i + D/2, as in GPT-NeoX and Llama. The dot product of two rotated vectors depends on
    their distance only.
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, block_size: int, head_width: int, theta: float) -> None:
        super().__init__()
        self.theta = theta
        self.register_buffer("cos", torch.empty(block_size, head_width // 2), persistent=False)
        self.register_buffer("sin", torch.empty(block_size, head_width // 2), persistent=False)

    def fill(self) -> None:
        """Compute the tables; they are not stored with the weights."""
        block_size, half = self.cos.shape
        angles = _angles(block_size, 2 * half, self.theta)
        self.cos.copy_(angles.cos())
        self.sin.copy_(angles.sin())

    def forward(self, x: Tensor, start: int) -> Tensor:
        """`x` [B, H, T, D], whose first position is `start`."""
        cos, sin = self.cos[start : start + x.shape[-2]], self.sin[start : start + x.shape[-2]]  # [T, D/2]
        a, b = x.chunk(2, dim=-1)  # 2 x [B, H, T, D/2]
        return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1).to(x.dtype)


def _angles(positions: int, width: int, base: float) -> Tensor:
    """`p * base^(-2i/width)` as [positions, width/2], computed in float64."""
    rates = torch.exp(torch.arange(0, width, 2, dtype=torch.float64) * (-math.log(base) / width))
    return torch.arange(positions, dtype=torch.float64)[:, None] * rates
