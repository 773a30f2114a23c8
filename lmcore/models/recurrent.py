"""Recurrent language models: Elman RNN, GRU and LSTM by PyTorch's fused kernels, with the dropouts of AWD-LSTM.

    embedding -> word dropout -> input dropout -> layer 1 -> dropout -> ... -> layer L -> output dropout -> (projection)
    -> output

Word dropout, locked dropout (one mask for all time steps) and DropConnect on the hidden-to-hidden weights are those of
Merity, Keskar & Socher, "Regularizing and Optimizing LSTM Language Models" (2017), after Gal & Ghahramani (2016).
Inside, time comes
first: T, B, E.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmcore.config import ModelConfig
from lmcore.measures import IGNORED
from lmcore.models.base import LanguageModel, LossOutput, State, detached
from lmcore.models.layers import Linear

CELLS: dict[str, Callable[[int, int], nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class Recurrent(LanguageModel):
    """The model; `config` says which. Its state is `(h,)`, for an LSTM `(h, c)`, each [layers, B, n_hidden]."""

    def __init__(self, config: ModelConfig, vocab_size: int) -> None:
        width = config.hidden if config.projection == "none" else config.n_embd
        super().__init__(config, vocab_size, width=width)
        cell = CELLS[config.architecture]
        self.layers = nn.ModuleList(
            cell(config.hidden if layer else config.n_embd, config.hidden) for layer in range(config.n_layer)
        )
        self.projection = None if config.projection == "none" else Linear(config.hidden, config.n_embd, bias=True)
        if config.weight_drop:
            # Dropped weights are new tensors at each step, so cuDNN has to gather them; it warns of that each time.
            warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous chunk")

    def forward(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:
        """As in `LanguageModel`. E is `n_embd` with a projection, else `n_hidden`."""
        _, dropped, state = self._run(ids, state)
        return self._project(dropped), state

    def loss(
        self,
        ids: Tensor,
        targets: Tensor,
        state: State = None,
        label_smoothing: float = 0.0,
        regularizers: bool = False,
    ) -> LossOutput:
        """As in `LanguageModel`.

        With `regularizers`, `activation` is the mean square of the dropped output of the last layer and `temporal` that
        of the change of the undropped output from step to step: AWD-LSTM's section 4.6, without their weights alpha and
        beta.
        """
        raw, dropped, state = self._run(ids, state)
        loss = self._cross_entropy(self._project(dropped), targets, label_smoothing)
        output = LossOutput(loss, (targets != IGNORED).sum(), detached(state))
        if regularizers:
            output.activation = dropped.square().mean()
            output.temporal = raw.diff(dim=0).square().mean() if raw.shape[0] > 1 else raw.new_zeros(())
        return output

    def init_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """Zeros."""
        shape = (self.config.n_layer, batch_size, self.config.hidden)
        return tuple(
            self.embedding.weight.new_zeros(shape) for _ in range(2 if self.config.architecture == "lstm" else 1)
        )

    def init_cache(self, batch_size: int, length: int) -> tuple[Tensor, ...]:
        """Zeros: the hidden state remembers any `length`."""
        return self.init_state(batch_size)

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """Embedding; each layer; projection and output layer."""
        top = list(self.head.parameters())
        if self.projection is not None:
            top = [*self.projection.parameters(), *top]
        return [
            group
            for group in (self._embedding_parameters(), *(list(layer.parameters()) for layer in self.layers), top)
            if group
        ]

    def _run(self, ids: Tensor, state: State) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """The last layer's output before and after dropout, [T, B, H] both, and the state after the last token."""
        config = self.config
        state = self.init_state(ids.shape[0]) if state is None else state
        time_first = ids.t()  # [T, B]
        x = self._drop(self._embed(time_first), config.dropout_input)  # [T, B, E]
        after = []
        with _cell_precision(x.device.type):
            for number, layer in enumerate(self.layers):
                if number:
                    x = self._drop(x, config.dropout)
                x, layer_state = self._step(layer, x, tuple(part[number : number + 1] for part in state))  # [T, B, H]
                after.append(layer_state)
        new_state = tuple(torch.cat(parts).to(self.embedding.weight.dtype) for parts in zip(*after, strict=True))
        return x, self._drop(x, config.dropout_output), new_state

    def _embed(self, ids: Tensor) -> Tensor:
        """Embedded ids; in training, word dropout: all occurrences of a dropped token are zero for the whole batch."""
        x: Tensor = self.embedding(ids)
        drop = self.config.dropout_embedding
        if not (self.training and drop):
            return x
        kept = F.dropout(torch.ones(self.vocab_size, device=x.device, dtype=x.dtype), drop)
        return x * kept[ids][..., None]

    def _step(self, layer: nn.Module, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """One layer over all time steps."""
        lstm = self.config.architecture == "lstm"
        if not (self.training and self.config.weight_drop):
            y, after = layer(x, state if lstm else state[0])
            return y, after if lstm else (after,)
        w_ih, w_hh, b_ih, b_hh = layer.parameters()
        weights = [w_ih, F.dropout(w_hh, self.config.weight_drop), b_ih, b_hh]
        options = (
            True,
            1,
            0.0,
            True,
            False,
            False,
        )  # has biases, layers, dropout, training, bidirectional, batch first
        match self.config.architecture:
            case "lstm":
                y, *lstm_state = torch.lstm(x, state, weights, *options)
                return y, tuple(lstm_state)
            case "gru":
                y, hidden = torch.gru(x, state[0], weights, *options)
            case _:
                y, hidden = torch.rnn_tanh(x, state[0], weights, *options)
        return y, (hidden,)

    def _drop(self, x: Tensor, probability: float) -> Tensor:
        """Dropout of x [T, B, E]; locked: the same coordinates at every time step."""
        if not (self.training and probability):
            return x
        if self.config.locked_dropout:
            return x * F.dropout(torch.ones_like(x[:1]), probability)
        return F.dropout(x, probability)

    def _project(self, x: Tensor) -> Tensor:
        """[T, B, H] to what the output layer reads, [B, T, E]."""
        if self.projection is not None:
            x = self.projection(x)
            x = F.relu(x) if self.config.projection == "relu" else x
        return x.transpose(0, 1)


def _cell_precision(device: str) -> AbstractContextManager[object]:
    """The cells' share of autocast: all of it, but oneDNN has no float16 LSTM for most CPUs; there they keep the
    weights' own type.
    """
    half_on_cpu = (
        device == "cpu" and torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.float16
    )
    return torch.autocast("cpu", enabled=False) if half_on_cpu else nullcontext()
