"""Muon: momentum whose direction is made orthogonal, for the matrices inside a network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

# Keller Jordan's quintic: steep at 0, so that small singular values grow fast; they end between about 0.7 and 1.2.
QUINTIC = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


def orthogonalize(matrix: Tensor) -> Tensor:
    """Push all singular values of a `matrix` [..., rows, columns], or of each of several, towards 1: with G = USVᵀ,
    nearly UVᵀ.

    Newton-Schulz: X ← aX + b(XXᵀ)X + c(XXᵀ)²X, which acts on each singular value alone and needs only products of
    matrices (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"). It runs in bfloat16 on a
    GPU, where that is fast and exact enough, and in float32 on a CPU, where bfloat16 is slow. The result has the type
    of `matrix`.
    """
    a, b, c = QUINTIC
    x = matrix.to(torch.bfloat16 if matrix.is_cuda else torch.float32).reshape(-1, *matrix.shape[-2:])
    tall = x.size(1) > x.size(2)
    if tall:
        x = x.mT  # the product XXᵀ is then the smaller of the two
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).reshape(matrix.shape).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalized, with decoupled weight decay; for matrices [out, in] only.

    A group may say in `parts` how many matrices of equal height each of its parameters is a stack of (query, key and
    value, for example); each is orthogonalized by itself. A step has the scale sqrt(max(1, out / in)) of such a matrix,
    so that outputs change about equally whatever the shape.

    Raises:
        ValueError: a parameter is not a matrix, or its height is not a multiple of its parts.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        *,
        lr: float,
        momentum: float,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        for group in self.param_groups:
            group.setdefault("parts", [1] * len(group["params"]))
            for parameter, parts in zip(group["params"], group["parts"], strict=True):
                if parameter.ndim != 2 or parameter.shape[0] % parts:
                    raise ValueError(
                        f"Muon takes matrices, not a parameter of shape {tuple(parameter.shape)} in {parts} parts"
                    )

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step of every matrix that has a gradient."""
        for group in self.param_groups:
            for parameter, parts in zip(group["params"], group["parts"], strict=True):
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(parameter)
                velocity = state["momentum_buffer"]
                velocity.lerp_(parameter.grad, 1 - group["momentum"])
                rows, columns = parameter.shape[0] // parts, parameter.shape[1]
                stacked = parameter.grad.lerp(velocity, group["momentum"]).reshape(parts, rows, columns)
                direction = orthogonalize(stacked).reshape(parameter.shape)
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(direction, alpha=-group["lr"] * max(1.0, rows / columns) ** 0.5)
