"""What every language model offers, whatever its architecture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmcore.config import ModelConfig
from lmcore.measures import IGNORED
from lmcore.models.embeddings import Head, LearnedPositions, TokenEmbedding
from lmcore.models.layers import Linear, Role
from lmcore.models.loss import linear_cross_entropy, linear_score
from lmcore.registry import ARCHITECTURES

State = Any
"""What a model remembers of the tokens before: None, a tuple of tensors (recurrent: [layers, B, H]), or a `KVCache`
(transformer).
"""


@dataclass
class LossOutput:
    """`loss` is the mean over `tokens` scored targets (0-dimensional, on the model's device); `state` is detached.

    `activation` and `temporal` are the mean squares that AWD-LSTM's AR and TAR penalize, where they were asked for and
    the model has them.
    """

    loss: Tensor
    tokens: Tensor
    state: State = None
    activation: Tensor | None = None
    temporal: Tensor | None = None


@dataclass
class Score:
    """For each target: `nll` in nats [B, T] float32, and whether it was the likeliest token, `correct` [B, T] bool;
    `state` goes on.
    """

    nll: Tensor
    correct: Tensor
    state: State = None


def detached(state: State) -> State:
    """The state without its history, so that the next batch's gradient ends where that batch begins."""
    return tuple(part.detach() for part in state) if isinstance(state, tuple) else state


class LanguageModel(nn.Module, ABC):
    """Tokens to hidden states to the next token's logits. `forward` gives the hidden states; the logits are made only
    where they are used.

    Attributes:
        config: its settings.
        vocab_size: V, rows of the embedding and of the output.
        carries_state: it can read a text of any length in windows, the state of each carried into the next.
    """

    def __init__(self, config: ModelConfig, vocab_size: int, *, width: int) -> None:
        super().__init__()
        self.config = config
        self.vocab_size = vocab_size
        self.carries_state = ARCHITECTURES[config.architecture].carries_state
        self.embedding = TokenEmbedding(vocab_size, config.n_embd)
        self.embedding.weight.requires_grad_(not config.freeze_embedding)
        self.head = Head(width, vocab_size, tied=config.tied, bias=config.head_bias)

    @abstractmethod
    def forward(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:
        """`ids` [B, T] to what the output layer reads, [B, T, E], and the state after them.

        Args:
            ids: int64, below `vocab_size`.
            state: from `init_state`, `init_cache` or an earlier call; None starts afresh.
        """

    @abstractmethod
    def init_state(self, batch_size: int) -> State:
        """The state before the first token, for training that carries it from batch to batch; None where nothing is
        carried.
        """

    @abstractmethod
    def init_cache(self, batch_size: int, length: int) -> State:
        """A state for generating up to `length` tokens, prompt included (a transformer: at most `block_size`)."""

    @abstractmethod
    def layer_groups(self) -> list[list[nn.Parameter]]:
        """The parameters that training may change, in groups from the embedding to the top, for gradual unfreezing
        (Howard & Ruder, 2018).
        """

    @property
    def context_length(self) -> int | None:
        """Tokens that it can look back on at most, itself included; None where a state remembers any number."""
        return None if self.carries_state else self.config.block_size

    def flops_per_token(self) -> int:
        """Floating-point operations that training needs for a token: 6 for each weight of a matrix product (Kaplan et
        al., 2020, section 2.1).
        """
        roles = self.parameter_roles()
        weights = sum(p.numel() for name, p in self.named_parameters() if roles[name] == "matrix")
        return 6 * (weights + self.head_weight.numel())

    @property
    def head_weight(self) -> Tensor:
        """The output layer's weight [V, E]: the embedding's, if they are tied."""
        return self.embedding.weight if self.head.weight is None else self.head.weight

    def logits(self, hidden: Tensor) -> Tensor:
        """`hidden` [..., E] to unnormalized log-probabilities of the next token, [..., V]."""
        return F.linear(hidden, self.head_weight, self.head.bias)

    def loss(
        self,
        ids: Tensor,
        targets: Tensor,
        state: State = None,
        label_smoothing: float = 0.0,
        regularizers: bool = False,
    ) -> LossOutput:
        """Mean cross-entropy of `targets` [B, T] (-100: not scored) given `ids` [B, T], without ever holding all
        logits.

        Args:
            ids: tokens read.
            targets: tokens to predict, one for each token read.
            state: as in `forward`.
            label_smoothing: share of the target spread over the vocabulary.
            regularizers: also give `activation` and `temporal` (recurrent models).
        """
        hidden, state = self(ids, state)
        loss = self._cross_entropy(hidden, targets, label_smoothing)
        return LossOutput(loss, (targets != IGNORED).sum(), detached(state))

    def score(self, ids: Tensor, targets: Tensor, state: State = None) -> Score:
        """Each target's negative log-likelihood and whether it was the likeliest; no gradients, never all logits.
        Shapes as in `loss`.
        """
        with torch.no_grad():
            hidden, state = self(ids, state)
        return Score(*linear_score(hidden, self.head_weight, self.head.bias, targets), state)

    def parameter_counts(self) -> tuple[int, int]:
        """(total, learnable); shared weights count once."""
        return sum(p.numel() for p in self.parameters()), sum(p.numel() for p in self.parameters() if p.requires_grad)

    def parameter_roles(self) -> dict[str, Role]:
        """The role of each of `named_parameters()`; see `Role`."""
        tables = {id(m.weight) for m in self.modules() if isinstance(m, (TokenEmbedding, LearnedPositions))}

        def role(parameter: nn.Parameter) -> Role:
            if id(parameter) in tables:
                return "embedding"
            if parameter is self.head.weight:
                return "head"
            return "matrix" if parameter.dim() > 1 else "vector"

        return {name: role(parameter) for name, parameter in self.named_parameters()}

    def stacked(self, module: nn.Module) -> int:
        """How many matrices of equal height each weight of a module holds: query, key and value; gate and up; the
        gates of a cell. Mostly 1.
        """
        if isinstance(module, nn.RNNBase):
            return ARCHITECTURES[self.config.architecture].gates
        return module.parts if isinstance(module, Linear) else 1

    def matrix_parts(self) -> dict[str, int]:
        """`stacked` for each matrix of `named_parameters()`, where it is more than 1."""
        return {
            f"{prefix}.{name}": parts
            for prefix, module in self.named_modules()
            for name, parameter in module.named_parameters(recurse=False)
            if parameter.dim() > 1 and (parts := self.stacked(module)) > 1
        }

    def _cross_entropy(self, hidden: Tensor, targets: Tensor, label_smoothing: float) -> Tensor:
        return linear_cross_entropy(hidden, self.head_weight, self.head.bias, targets, label_smoothing=label_smoothing)

    def _embedding_parameters(self) -> list[nn.Parameter]:
        return [] if self.config.freeze_embedding else [self.embedding.weight]
