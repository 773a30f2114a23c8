"""The parts of a block that are not attention: linear maps, norms and the MLP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmcore.config import ModelConfig

Role = Literal["matrix", "embedding", "vector", "head"]
"""What a parameter is to an optimizer: `matrix` is a hidden 2-D weight (decayed; Muon may take it), `head` an untied
output weight (decayed), `embedding` a table of tokens or positions, `vector` a bias or a norm's gain (neither of these
is decayed).
"""


class Linear(nn.Linear):
    """`nn.Linear` that knows what initialization asks: how many matrices of equal height it holds, and whether it ends
    a residual branch.
    """

    def __init__(
        self, in_features: int, out_features: int, *, bias: bool, parts: int = 1, residual: bool = False
    ) -> None:
        super().__init__(in_features, out_features, bias=bias)
        self.parts = parts
        self.residual = residual


class AnnotatedNorm(nn.Module):
    """`a (x - mean) / (std + eps) + b` with the unbiased standard deviation, as in The Annotated Transformer (Rush,
    2018).

    It differs from LayerNorm in dividing the squares by n - 1 and in adding eps to the deviation, not to the variance.
    """

    def __init__(self, width: int, eps: float, *, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        variance = centred.square().sum(-1, keepdim=True) / (x.shape[-1] - 1)
        deviation = variance.clamp(min=torch.finfo(variance.dtype).tiny).sqrt()  # the gradient of sqrt is infinite at 0
        y = self.weight * (centred / (deviation + self.eps))
        return y if self.bias is None else y + self.bias


def make_norm(config: ModelConfig) -> nn.Module:
    """The norm that the config names, over the last dimension (n_embd)."""
    match config.norm:
        case "layernorm":
            return nn.LayerNorm(config.n_embd, eps=config.norm_eps, bias=config.bias)
        case "rmsnorm":
            return nn.RMSNorm(config.n_embd, eps=config.norm_eps)
        case "annotated":
            return AnnotatedNorm(config.n_embd, config.norm_eps, bias=config.bias)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "relu": F.relu,
}


class MLP(nn.Module):
    """Two linear maps with a nonlinearity, and dropout, between them."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.mlp_width
        self.up = Linear(config.n_embd, width, bias=config.bias)
        self.down = Linear(width, config.n_embd, bias=config.bias, residual=True)
        self.activation = ACTIVATIONS[config.activation]
        self.dropout = config.dropout_mlp

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.activation(self.up(x))  # [B, T, F]
        if self.training and self.dropout:
            hidden = F.dropout(hidden, self.dropout)
        y: Tensor = self.down(hidden)  # [B, T, E]
        return y


class SwiGLU(nn.Module):
    """`down(silu(gate(x)) * up(x))` (Shazeer, 2020); gate and up are one matrix."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.mlp_width
        self.up = Linear(config.n_embd, 2 * width, bias=config.bias, parts=2)
        self.down = Linear(width, config.n_embd, bias=config.bias, residual=True)
        self.dropout = config.dropout_mlp

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.up(x).chunk(2, dim=-1)  # [B, T, E] -> 2 x [B, T, F]
        hidden = F.silu(gate) * up
        if self.training and self.dropout:
            hidden = F.dropout(hidden, self.dropout)
        y: Tensor = self.down(hidden)  # [B, T, E]
        return y


def make_mlp(config: ModelConfig) -> nn.Module:
    """The MLP that the config names."""
    return SwiGLU(config) if config.activation == "swiglu" else MLP(config)
