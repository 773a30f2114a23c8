"""A new architecture is a class in a file of its own and one entry in `lmcore.registry`: nothing else is touched."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest
import torch

from lmcore.config import Config, GenerationConfig, ModelConfig, setting_applies, setting_choices
from lmcore.errors import UsageError
from lmcore.generation import load_generator
from lmcore.lab.estimate import activation_values, estimate_memory
from lmcore.models import build_model, count_parameters, load_model
from lmcore.presets import advice
from lmcore.registry import ARCHITECTURES, Architecture
from lmcore.runs import create_run
from lmcore.training import prepare, train

TOY = '''
"""The mean of all words so far, through one matrix."""

import torch
from torch import Tensor, nn

from lmcore.config import ModelConfig
from lmcore.models.base import LanguageModel, State


class Mixer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.empty(width, width))

    def initialize(self, generator: torch.Generator | None) -> None:
        self.matrix.normal_(0.0, 0.1, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x @ self.matrix)


class Mean(LanguageModel):
    def __init__(self, config: ModelConfig, vocab_size: int) -> None:
        super().__init__(config, vocab_size, width=config.n_embd)
        self.mixer = Mixer(config.n_embd)

    def forward(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:
        before, count = self.init_state(len(ids)) if state is None else state
        x = self.embedding(ids)
        sums = before[:, None] + x.cumsum(1)
        counts = count[:, None] + torch.arange(1, x.shape[1] + 1)[:, None]
        return self.mixer(sums / counts) + x, (sums[:, -1], counts[:, -1])

    def init_state(self, batch_size: int) -> State:
        weight = self.embedding.weight
        return weight.new_zeros(batch_size, weight.shape[1]), weight.new_zeros(batch_size, 1)

    def init_cache(self, batch_size: int, length: int) -> State:
        return self.init_state(batch_size)

    def layer_groups(self) -> list[list[nn.Parameter]]:
        return [[self.embedding.weight], [self.mixer.matrix]]
'''


@pytest.fixture
def mean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy architecture, registered."""
    (tmp_path / "toy_mean.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    entry = Architecture("the mean of the words so far", "toy_mean:Mean", frozenset({"state"}), kept_widths=3)
    monkeypatch.setitem(ARCHITECTURES, "mean", entry)
    monkeypatch.delitem(sys.modules, "toy_mean", raising=False)


@pytest.mark.usefixtures("mean")
@pytest.mark.parametrize("batching", ["windows", "streams"])
def test_it_trains_resumes_and_generates(tmp_path: Path, batching: str) -> None:
    text = tmp_path / "text.txt"
    text.write_text(textwrap.fill("the cat sat on a mat and saw no rat in the hat " * 40, 60))
    config = Config().with_settings(
        {
            "data.corpus": str(text),
            "data.batching": batching,
            "tokenizer.kind": "char",
            "model.architecture": "mean",
            "model.n_embd": 8,
            "model.block_size": 8,
            "training.max_steps": 2,
            "training.eval_every": 1,
            "training.device": "cpu",
            "training.threads": 1,
            "generation.prompts": ["the "],
            "generation.max_new_tokens": 5,
        }
    )
    run = create_run("toy", config, {})
    train(prepare(config), run)
    summary = train(prepare(config.with_settings({"training.max_steps": 4})), run, resume=True)
    assert (summary["steps"], summary["why"]) == (4, "done")
    assert summary["train_loss"] < 4
    assert "mean" in run.history().start[0]["architecture"]

    folder = run.checkpoint("last")
    model = load_model(folder)
    again = build_model(config.model, model.vocab_size, seed=config.training.seed)
    assert (type(model).__name__, type(again).__name__) == ("Mean", "Mean")
    assert not torch.equal(model.get_parameter("mixer.matrix"), again.get_parameter("mixer.matrix"))
    pieces = list(load_generator(folder, "cpu").generate("the cat", GenerationConfig(max_new_tokens=20)))
    assert 0 < len("".join(piece.text for piece in pieces)) <= 20


@pytest.mark.usefixtures("mean")
def test_it_says_what_it_can(tmp_path: Path) -> None:
    model = build_model(ModelConfig(architecture="mean", n_embd=8), 10, seed=0)
    assert (model.carries_state, model.context_length) == (True, None)
    assert model.flops_per_token() == 6 * (8 * 8 + 10 * 8)
    assert model.parameter_roles() == {"embedding.weight": "embedding", "mixer.matrix": "matrix"}
    assert count_parameters(model.config, 10) == (80 + 64, 80 + 64)


@pytest.mark.usefixtures("mean")
def test_a_frozen_embedding_is_frozen_without_its_doing() -> None:
    model = build_model(ModelConfig(architecture="mean", n_embd=8, freeze_embedding=True), 10, device="meta")
    assert model.parameter_counts() == (80 + 64, 64)


@pytest.mark.usefixtures("mean")
def test_settings_advice_and_estimates_know_it() -> None:
    config = Config().with_settings({"model.architecture": "mean", "model.n_embd": 10, "model.n_layer": 1})
    assert "mean" in setting_choices("model.architecture")
    applies = {name: setting_applies(config, name) for name in ("model.n_head", "model.n_hidden", "eval.carry_state")}
    assert applies == {"model.n_head": False, "model.n_hidden": False, "eval.carry_state": True}
    assert advice(config) == []
    (said,) = advice(config.with_settings({"model.activation": "relu"}))
    assert said.message == "model.activation has no effect with model.architecture = mean."
    assert activation_values(config.model) == 3 * 10 + 2 * 10
    assert estimate_memory(config, 100, 100, gpu=False).total > 0


@pytest.mark.usefixtures("mean")
def test_a_name_near_it_is_offered() -> None:
    with pytest.raises(UsageError, match="Did you mean 'mean'"):
        Config().with_settings({"model.architecture": "meen"})


def test_a_weight_that_no_rule_starts_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "toy_bare.py").write_text(TOY.replace("def initialize", "def other"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(ARCHITECTURES, "bare", Architecture("", "toy_bare:Mean", frozenset({"state"})))
    with pytest.raises(TypeError, match="matrix of Mixer"):
        build_model(ModelConfig(architecture="bare"), 10)


@pytest.mark.parametrize(
    ("name", "carries", "context"), [("rnn", True, None), ("gru", True, None), ("transformer", False, 64)]
)
def test_capabilities_of_those_that_come_with_it(name: str, carries: bool, context: int | None) -> None:
    model = build_model(ModelConfig(architecture=name), 11, device="meta")
    assert (model.carries_state, model.context_length) == (carries, context)
    assert model.carries_state is (model.init_state(2) is not None)
