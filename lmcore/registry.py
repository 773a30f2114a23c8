"""Architectures and optimizers by name: what has to be known of them where torch is not imported.

A new architecture is one class in a file of its own and one entry here; a new optimizer is one function and one entry.
The config validates names against these tables, estimates take their numbers from them, and the class or function is
imported only when it is used.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Architecture:
    """A kind of language model.

    Attributes:
        summary: a few words for the help of `model.architecture`, set in parentheses after its name.
        model: where its class is, as `module:Class`; the class is called with (ModelConfig, vocab_size).
        parts: what it is built from. A setting that belongs to a part (see `lmcore.applies`) has no effect on an
            architecture without it. `state`: it carries a state from window to window; `cell`: recurrent cells;
            `attention`: self-attention and positions; `mlp`: a feed-forward network in each layer; `norm`: norms.
        gates: for cells, matrices of equal height that are stacked in each of a layer's weights.
        kept_widths: numbers that a layer keeps per token for the backward pass, beyond those of the known parts, in
            multiples of n_embd.
    """

    summary: str
    model: str
    parts: frozenset[str]
    gates: int = 1
    kept_widths: float = 0.0

    @property
    def carries_state(self) -> bool:
        """Whether it can read a text of any length in windows, its state carried from each to the next."""
        return "state" in self.parts


@dataclass(frozen=True)
class OptimizerKind:
    """A kind of optimizer.

    Attributes:
        summary: a few words for the help of `optimizer.name`, set in parentheses after its name.
        build: where the function that builds it is, as `module:function`; see `lmcore.training.optimizers.Builder`.
        parts: which settings it reads: `momentum`, `betas` (with eps), `decay` (weight decay), `muon`. `l2`: its weight
            decay is added to the gradient, instead of being decoupled from it.
        states: numbers that it keeps for each parameter; the most, where that differs.
    """

    summary: str
    build: str
    parts: frozenset[str]
    states: int


_RECURRENT = "lmcore.models.recurrent:Recurrent"
_CELLS = frozenset({"state", "cell"})

ARCHITECTURES: dict[str, Architecture] = {
    "rnn": Architecture("Elman, tanh", _RECURRENT, _CELLS, gates=1),
    "gru": Architecture("gated recurrent units", _RECURRENT, _CELLS, gates=3),
    "lstm": Architecture("long short-term memory", _RECURRENT, _CELLS, gates=4),
    "transformer": Architecture(
        "decoder-only", "lmcore.models.transformer:Transformer", frozenset({"attention", "mlp", "norm"})
    ),
}

_HERE = "lmcore.training.optimizers"

OPTIMIZERS: dict[str, OptimizerKind] = {
    "sgd": OptimizerKind("without momentum", f"{_HERE}:sgd", frozenset({"decay", "l2"}), 0),
    "momentum": OptimizerKind("SGD with momentum", f"{_HERE}:sgd", frozenset({"decay", "l2", "momentum"}), 1),
    "nesterov": OptimizerKind("SGD with Nesterov momentum", f"{_HERE}:sgd", frozenset({"decay", "l2", "momentum"}), 1),
    "adam": OptimizerKind("without weight decay", f"{_HERE}:adam", frozenset({"betas"}), 2),
    "adam_l2": OptimizerKind(
        "weight decay added to the gradient; prefer adamw", f"{_HERE}:adam", frozenset({"betas", "decay", "l2"}), 2
    ),
    "adamw": OptimizerKind("decoupled weight decay", f"{_HERE}:adamw", frozenset({"betas", "decay"}), 2),
    "muon": OptimizerKind(
        "orthogonalized momentum for matrices, adamw for the rest",
        f"{_HERE}:muon",
        frozenset({"betas", "decay", "muon"}),
        2,
    ),
}

CHOICES: dict[str, dict[str, Architecture] | dict[str, OptimizerKind]] = {
    "model.architecture": ARCHITECTURES,
    "optimizer.name": OPTIMIZERS,
}
"""The settings whose values are entries of a table above."""


def help_for(setting: str) -> str:
    """What `setting` can be: the names of its table, each with its summary."""
    return ", ".join(f"{name} ({entry.summary})" for name, entry in CHOICES[setting].items()) + "."


def names_with(setting: str, part: str, *, without: str = "") -> str:
    """The names of the entries of `setting` that have a part, and not the part `without`, for a text."""
    return ", ".join(
        name for name, entry in CHOICES[setting].items() if part in entry.parts and without not in entry.parts
    )


def resolve(place: str) -> Any:
    """The object at `module:name`, imported now."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def parts_of(setting: str, value: str) -> Iterable[str]:
    """The parts of the entry `value` of `setting`; none if that is not the name of an entry."""
    entry = CHOICES.get(setting, {}).get(value)
    return entry.parts if entry is not None else ()
