"""The weights a model starts from."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from lmcore.models.base import LanguageModel
from lmcore.models.embeddings import Head, LearnedPositions, RotaryPositions, SinusoidalPositions, TokenEmbedding
from lmcore.models.layers import Linear
from lmcore.models.recurrent import GATES

Fill = Callable[[Tensor], object]


@torch.no_grad()
def initialize(model: LanguageModel, generator: torch.Generator | None) -> None:
    """Fill every parameter and table of `model`, by `model.config.init`, from `generator` (None: the global one).

    gpt2: matrices and tables normal(0, 0.02), those that end a residual branch divided by sqrt(2 n_layer), biases 0
        (Radford et al., 2019, section 2.3). Recurrent models: cells as in torch, embedding and output uniform(-0.1,
        0.1) (Merity et al., 2017).

    xavier: every matrix uniform(-a, a) with a = sqrt(6 / (rows + columns)) (Glorot & Bengio, 2010), each part of a
        fused one by itself; biases 0.

    torch: what PyTorch's own layers do: uniform(-1/sqrt(n), 1/sqrt(n)), n the width a linear layer reads or a cell's
        hidden width; tables normal(0, 1), but a table tied to the output as a linear layer.
    """
    fillers = {"gpt2": _gpt2, "xavier": _xavier, "torch": _torch}
    for module in model.modules():
        if isinstance(module, (SinusoidalPositions, RotaryPositions)):
            module.fill()
        elif isinstance(module, (Linear, nn.RNNBase, TokenEmbedding, LearnedPositions, Head)):
            fillers[model.config.init](module, model, generator)
        else:
            for name, parameter in module.named_parameters(recurse=False):
                parameter.fill_(float(name == "weight"))  # a norm: gain 1, shift 0


def _gpt2(module: nn.Module, model: LanguageModel, generator: torch.Generator | None) -> None:
    recurrent = model.config.architecture != "transformer"
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
        parts = (
            module.parts
            if isinstance(module, Linear)
            else GATES[model.config.architecture]
            if isinstance(module, nn.RNNBase)
            else 1
        )
        for part in parameter.chunk(parts):
            nn.init.xavier_uniform_(part, generator=generator)


def _torch(module: nn.Module, model: LanguageModel, generator: torch.Generator | None) -> None:
    if isinstance(module, LearnedPositions) or (isinstance(module, TokenEmbedding) and model.head.weight is not None):
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
