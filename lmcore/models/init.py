"""The weights a model starts from."""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import torch
from torch import nn

from lmcore.models.base import LanguageModel
from lmcore.models.embeddings import ComputedTable, Head, LearnedPositions, TokenEmbedding
from lmcore.models.layers import Linear
from lmcore.registry import ARCHITECTURES


@runtime_checkable
class StartsItself(Protocol):
    """A module that the rules below do not cover, and that initializes its own parameters."""

    def initialize(self, generator: torch.Generator | None) -> None:
        """Fill the module's own parameters, not those of its children, from `generator` (None: the global one)."""


@torch.no_grad()
def initialize(model: LanguageModel, generator: torch.Generator | None) -> None:
    """Fill every parameter and table of `model`, by `model.config.init`, from `generator` (None: the global one).

    gpt2: matrices and tables normal(0, 0.02), those that end a residual branch divided by sqrt(2 n_layer), biases 0
        (Radford et al., 2019, section 2.3). Recurrent models: cells as in torch, embedding and output uniform(-0.1,
        0.1) (Merity et al., 2017).

    xavier: every matrix uniform(-a, a) with a = sqrt(6 / (rows + columns)) (Glorot & Bengio, 2010), each part of a
        fused one by itself; biases 0.

    torch: what PyTorch's own layers do: uniform(-1/sqrt(n), 1/sqrt(n)), n the width a linear layer reads or a cell's
        hidden width, biases too; tables normal(0, 1), but a table tied to the output as a linear layer, and the
        positions that are added to it likewise: normal ones would dominate its tokens.

    Raises:
        TypeError: a module has a weight matrix, and there is neither a rule for it nor a method of its own.
    """
    fillers = {"gpt2": _gpt2, "xavier": _xavier, "torch": _torch}
    for module in model.modules():
        if isinstance(module, ComputedTable):
            module.fill()
        elif isinstance(module, StartsItself):
            module.initialize(generator)
        elif isinstance(module, (Linear, nn.RNNBase, TokenEmbedding, LearnedPositions, Head)):
            fillers[model.config.init](module, model, generator)
        else:
            _start_norm(module)


def _start_norm(module: nn.Module) -> None:
    """Gain 1, shift 0."""
    for name, parameter in module.named_parameters(recurse=False):
        if parameter.dim() > 1:
            kind = type(module).__name__
            raise TypeError(f"no rule says how the {name} of {kind} starts: give it a method initialize(generator)")
        parameter.fill_(float(name == "weight"))


def _gpt2(module: nn.Module, model: LanguageModel, generator: torch.Generator | None) -> None:
    recurrent = "cell" in ARCHITECTURES[model.config.architecture].parts
    if isinstance(module, nn.RNNBase) or (recurrent and isinstance(module, Linear)):
        _torch(module, model, generator)
        return
    deviation = 0.02 / math.sqrt(2 * model.config.n_layer) if isinstance(module, Linear) and module.residual else 0.02
    for parameter in module.parameters(recurse=False):
        if parameter.dim() == 1:
            parameter.zero_()
        elif recurrent:
            parameter.uniform_(-0.1, 0.1, generator=generator)
        else:
            parameter.normal_(0.0, deviation, generator=generator)


def _xavier(module: nn.Module, model: LanguageModel, generator: torch.Generator | None) -> None:
    for parameter in module.parameters(recurse=False):
        if parameter.dim() == 1:
            parameter.zero_()
            continue
        for part in parameter.chunk(model.stacked(module)):
            nn.init.xavier_uniform_(part, generator=generator)


def _torch(module: nn.Module, model: LanguageModel, generator: torch.Generator | None) -> None:
    if isinstance(module, (LearnedPositions, TokenEmbedding)) and model.head.weight is not None:
        module.weight.normal_(generator=generator)
        return
    if isinstance(module, nn.RNNBase):
        width = module.hidden_size
    elif isinstance(module, Linear):
        width = module.in_features
    else:
        width = model.head_weight.shape[1]
    for parameter in module.parameters(recurse=False):
        parameter.uniform_(-1 / math.sqrt(width), 1 / math.sqrt(width), generator=generator)
