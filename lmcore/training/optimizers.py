"""Optimizers by name: which parameters they move, at which rate, and which of them decay."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from lmcore.config import OptimizerConfig
from lmcore.models import LanguageModel
from lmcore.registry import OPTIMIZERS, resolve
from lmcore.training.muon import Muon


@dataclass(frozen=True)
class Parameters:
    """The trained parameters of a model, by name (tied ones once); the role of each: matrix, head, embedding or vector;
    and how many matrices are stacked in one, where it is more than 1.
    """

    named: dict[str, nn.Parameter]
    roles: Mapping[str, str]
    parts: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, model: LanguageModel, trained: dict[str, nn.Parameter]) -> Parameters:
        """The `trained` ones of a model's."""
        return cls(trained, model.parameter_roles(), model.matrix_parts())

    def having(self, *roles: str) -> list[str]:
        """Names of those with one of these roles."""
        return [name for name in self.named if self.roles[name] in roles]

    def decaying(self, decay_all: bool) -> list[str]:
        """Names of those that weight decay and the L1 penalty shrink: all, or as in GPT-2 only matrices and the output
        layer. Norms and biases hold scales, and the embeddings of rare words would fade.
        """
        return list(self.named) if decay_all else self.having("matrix", "head")


class Optimizers:
    """What the loop steps: one PyTorch optimizer, or two (Muon for matrices, AdamW for the rest) that step together or
    not at all.
    """

    def __init__(self, parts: Sequence[torch.optim.Optimizer]) -> None:
        self.parts = list(parts)
        self._peaks = [[group["lr"] for group in part.param_groups] for part in self.parts]

    @property
    def lr(self) -> float:
        """The rate of the last part's first group: with Muon, AdamW's."""
        return float(self.parts[-1].param_groups[0]["lr"])

    def set_lr(self, multiplier: float) -> None:
        """Every rate becomes `multiplier` times its peak."""
        for part, peaks in zip(self.parts, self._peaks, strict=True):
            for group, peak in zip(part.param_groups, peaks, strict=True):
                group["lr"] = peak * multiplier

    def step(self, finite: Tensor) -> None:
        """Move the weights, unless `finite` (a boolean scalar on the device) is false: then nothing changes, momentum
        included.

        Fused optimizers read the flag on the device. The others have to wait for it.
        """
        if all(part.defaults.get("fused") for part in self.parts):
            for part in self.parts:
                part.found_inf = (~finite).to(torch.float32)  # type: ignore[attr-defined]
                part.step()
        elif finite.item():
            for part in self.parts:
                part.step()

    def zero_grad(self) -> None:
        """Forget the gradients, memory included."""
        for part in self.parts:
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Tensor]:
        """Everything the optimizers remember, as `<parameter>/<what>`; on the device."""
        tensors = {}
        for part in self.parts:
            for group in part.param_groups:
                for name, parameter in zip(group["names"], group["params"], strict=True):
                    for what, value in part.state.get(parameter, {}).items():
                        if isinstance(value, Tensor):
                            tensors[f"{name}/{what}"] = value
        return tensors

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue from `state_dict`."""
        by_name: dict[str, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            name, _, what = key.rpartition("/")
            by_name.setdefault(name, {})[what] = value
        for part in self.parts:
            names = [name for group in part.param_groups for name in group["names"]]
            state = {index: by_name[name] for index, name in enumerate(names) if name in by_name}
            part.load_state_dict({"state": state, "param_groups": part.state_dict()["param_groups"]})

    def memory_bytes(self) -> int:
        """Bytes of the optimizers' state."""
        return sum(tensor.nbytes for tensor in self.state_dict().values())


Builder = Callable[[OptimizerConfig, Parameters, torch.device], list[torch.optim.Optimizer]]
"""What an entry of `lmcore.registry.OPTIMIZERS` names: settings and parameters to optimizers that step together."""


def build_optimizers(config: OptimizerConfig, parameters: Parameters, device: torch.device) -> Optimizers:
    """The optimizers that `config` names, for these parameters."""
    build: Builder = resolve(OPTIMIZERS[config.name].build)
    return Optimizers(build(config, parameters, device))


def sgd(config: OptimizerConfig, parameters: Parameters, device: torch.device) -> list[torch.optim.Optimizer]:
    """w ← w − lr · g (Robbins & Monro 1951); with momentum v ← μv + g, w ← w − lr · v; Nesterov's looks ahead: w ← w −
    lr · (g + μv).
    """
    groups = decay_groups(config, parameters, list(parameters.named))
    momentum = 0.0 if config.name == "sgd" else config.momentum
    nesterov = config.name == "nesterov" and momentum > 0
    optimizer = torch.optim.SGD(groups, lr=config.lr, momentum=momentum, nesterov=nesterov, fused=_can_fuse(device))
    if momentum:
        # Else the first step would make the buffers, and leave them unset when it is skipped.
        for parameter in parameters.named.values():
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return [optimizer]


def adam(config: OptimizerConfig, parameters: Parameters, device: torch.device) -> list[torch.optim.Optimizer]:
    """Kingma & Ba 2015, algorithm 1; with L2 the decay joins the gradient and is divided by its size."""
    groups = decay_groups(config, parameters, list(parameters.named))
    return [
        torch.optim.Adam(
            groups, lr=config.lr, betas=(config.beta1, config.beta2), eps=config.eps, fused=_can_fuse(device)
        )
    ]


def adamw(config: OptimizerConfig, parameters: Parameters, device: torch.device) -> list[torch.optim.Optimizer]:
    """Adam with decoupled decay: w ← (1 − lr · λ) w before the step (Loshchilov & Hutter 2019, algorithm 2)."""
    return [_adamw_of(config, parameters, list(parameters.named), device)]


def muon(config: OptimizerConfig, parameters: Parameters, device: torch.device) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the network, AdamW for embeddings, output layer, norms and biases (Jordan et al.
    2024).
    """
    inside, rest = parameters.having("matrix"), parameters.having("head", "embedding", "vector")
    parts: list[torch.optim.Optimizer] = []
    if inside:
        groups = decay_groups(config, parameters, inside)
        for group in groups:
            group["parts"] = [parameters.parts.get(name, 1) for name in group["names"]]
        parts.append(Muon(groups, lr=config.muon_lr, momentum=config.muon_momentum))
    if rest:
        parts.append(_adamw_of(config, parameters, rest, device))
    return parts


def _adamw_of(
    config: OptimizerConfig, parameters: Parameters, names: list[str], device: torch.device
) -> torch.optim.Optimizer:
    groups = decay_groups(config, parameters, names)
    return torch.optim.AdamW(
        groups, lr=config.lr, betas=(config.beta1, config.beta2), eps=config.eps, fused=_can_fuse(device)
    )


def decay_groups(config: OptimizerConfig, parameters: Parameters, names: list[str]) -> list[dict[str, Any]]:
    """`names` as PyTorch's parameter groups, one with weight decay and one without."""
    decayed = set(parameters.decaying(config.decay_all))
    split = [([n for n in names if n in decayed], config.weight_decay), ([n for n in names if n not in decayed], 0.0)]
    return [
        {"params": [parameters.named[n] for n in part], "names": part, "weight_decay": rate}
        for part, rate in split
        if part
    ]


def _can_fuse(device: torch.device) -> bool:
    """One kernel for all parameters is the fastest on a CPU and on CUDA."""
    return device.type in ("cpu", "cuda")
