"""What turns ids into vectors: the token table and the positions."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

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


class ComputedTable(nn.Module, ABC):
    """Holds buffers that follow from the settings: they are computed, neither trained nor stored."""

    @abstractmethod
    def fill(self) -> None:
        """Compute the buffers in place."""


class SinusoidalPositions(ComputedTable):
    """`sin(p / 10000^(2i/E))` in column 2i, `cos` of the same in column 2i + 1 (Vaswani et al., 2017, section 3.5).

    As published in the study that the `hw1` presets repeat, the exponent is 2c/E at every column c: twice as large at
    even columns, and not the same for the two columns of a pair.
    """

    table: Tensor

    def __init__(self, block_size: int, width: int, *, published: bool = False) -> None:
        super().__init__()
        self.published = published
        self.register_buffer("table", torch.empty(block_size, width), persistent=False)

    def fill(self) -> None:
        """As in `ComputedTable`."""
        block_size, width = self.table.shape
        columns = torch.arange(width)
        angles = _angles(block_size, (2 * columns if self.published else columns // 2 * 2).double() / width, 10_000.0)
        self.table.copy_(torch.where(columns % 2 == 0, angles.sin(), angles.cos()))

    def forward(self, start: int, length: int) -> Tensor:
        return self.table[start : start + length]  # [T, E]


class RotaryPositions(ComputedTable):
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
        """As in `ComputedTable`."""
        block_size, half = self.cos.shape
        angles = _angles(block_size, torch.arange(half, dtype=torch.float64) / half, self.theta)
        self.cos.copy_(angles.cos())
        self.sin.copy_(angles.sin())

    def forward(self, x: Tensor, start: int) -> Tensor:
        """`x` [B, H, T, D], whose first position is `start`."""
        cos, sin = self.cos[start : start + x.shape[-2]], self.sin[start : start + x.shape[-2]]  # [T, D/2]
        a, b = x.chunk(2, dim=-1)  # 2 x [B, H, T, D/2]
        return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1).to(x.dtype)


def _angles(positions: int, exponents: Tensor, base: float) -> Tensor:
    """`p * base^-exponent` as [positions, exponents], computed in float64."""
    rates = torch.exp(exponents.double() * -math.log(base))
    return torch.arange(positions, dtype=torch.float64)[:, None] * rates
