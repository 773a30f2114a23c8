"""Optimizers against PyTorch's, and what must hold when a gradient is not finite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lmcore.config import Config, ModelConfig, OptimizerConfig, setting_applies
from lmcore.errors import UsageError
from lmcore.lab.estimate import estimate_memory
from lmcore.models import build_model
from lmcore.registry import OPTIMIZERS, OptimizerKind
from lmcore.training.muon import Muon, orthogonalize
from lmcore.training.optimizers import Optimizers, Parameters, build_optimizers

ROLES = {"table": "embedding", "weight": "matrix", "head": "head", "bias": "vector"}
CPU = torch.device("cpu")
FINITE = torch.tensor(True)


def parameters() -> Parameters:
    generator = torch.Generator().manual_seed(0)
    shapes = {"table": (7, 4), "weight": (6, 4), "head": (7, 4), "bias": (6,)}
    return Parameters(
        {name: nn.Parameter(torch.randn(shape, generator=generator)) for name, shape in shapes.items()}, ROLES
    )


def set_gradients(named: dict[str, nn.Parameter], seed: int, value: float | None = None) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in named.values():
        parameter.grad = (
            torch.randn(parameter.shape, generator=generator) if value is None else torch.full_like(parameter, value)
        )


def steps(config: OptimizerConfig, count: int = 3) -> tuple[Parameters, Optimizers]:
    ours = parameters()
    optimizers = build_optimizers(config, ours, CPU)
    for seed in range(count):
        set_gradients(ours.named, seed)
        optimizers.step(FINITE)
    return ours, optimizers


PEERS: dict[str, Callable[[list[nn.Parameter]], torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.01),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.8, weight_decay=0.01),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.8, nesterov=True, weight_decay=0.01),
    "adam_l2": lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.9, 0.95), weight_decay=0.01),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1, betas=(0.9, 0.95), weight_decay=0.01),
}


@pytest.mark.parametrize("name", sorted(PEERS))
def test_with_decay_of_everything_it_is_pytorchs(name: str) -> None:
    ours, _ = steps(OptimizerConfig(name=name, lr=0.1, momentum=0.8, weight_decay=0.01, decay_all=True))
    theirs = parameters()
    peer = PEERS[name](list(theirs.named.values()))
    for seed in range(3):
        set_gradients(theirs.named, seed)
        peer.step()
    for key, parameter in ours.named.items():
        torch.testing.assert_close(parameter, theirs.named[key])


@pytest.mark.parametrize(
    ("name", "decayed"), [("adamw", {"weight", "head"}), ("muon", {"weight", "head"}), ("sgd", {"weight", "head"})]
)
def test_only_matrices_decay(name: str, decayed: set[str]) -> None:
    ours = parameters()
    optimizers = build_optimizers(OptimizerConfig(name=name, lr=0.1, muon_lr=0.1, weight_decay=0.5), ours, CPU)
    before = {key: parameter.detach().clone() for key, parameter in ours.named.items()}
    set_gradients(ours.named, 0, value=0.0)
    optimizers.step(FINITE)
    for key, parameter in ours.named.items():
        expected = before[key] * 0.95 if key in decayed else before[key]
        torch.testing.assert_close(parameter.detach(), expected)


@pytest.mark.parametrize("shape", [(16, 16), (32, 8), (8, 32)])
def test_muon_is_pytorchs(shape: tuple[int, int]) -> None:
    start = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    optimizer = Muon([ours], lr=0.02, momentum=0.9, weight_decay=0.1)
    peer = torch.optim.Muon([theirs], lr=0.02, momentum=0.9, weight_decay=0.1)
    both: list[torch.optim.Optimizer] = [optimizer, peer]
    for seed in range(4):
        gradient = torch.randn(shape, generator=torch.Generator().manual_seed(10 + seed))
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        for one in both:
            one.step()
    # PyTorch iterates in bfloat16, with 8 bits of precision; ours is float32 on a CPU. Four steps move an entry by up
    # to 0.1.
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=0)
    assert (ours - start).abs().max() > 0.01


def test_orthogonalizing_pushes_all_singular_values_towards_one() -> None:
    matrix = torch.randn(24, 10, generator=torch.Generator().manual_seed(0))
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    result = orthogonalize(matrix)
    values = torch.linalg.svdvals(result)
    assert 0.6 < values.min() < values.max() < 1.3
    assert torch.nn.functional.cosine_similarity(result.flatten(), (u @ v).flatten(), dim=0) > 0.97


@pytest.mark.parametrize("columns", [8, 4, 16], ids=["square", "tall", "wide"])
def test_muon_takes_stacked_matrices_apart(columns: int) -> None:
    start = torch.randn(24, columns, generator=torch.Generator().manual_seed(1))  # as query, key and value
    fused = nn.Parameter(start.clone())
    apart = [nn.Parameter(part.clone()) for part in start.chunk(3)]
    ours = Muon([{"params": [fused], "parts": [3]}], lr=0.02, momentum=0.9, weight_decay=0.1)
    theirs = Muon(apart, lr=0.02, momentum=0.9, weight_decay=0.1)
    for seed in range(3):
        fused.grad = torch.randn(24, columns, generator=torch.Generator().manual_seed(10 + seed))
        for parameter, gradient in zip(apart, fused.grad.chunk(3), strict=True):
            parameter.grad = gradient.clone()
        ours.step()
        theirs.step()
    torch.testing.assert_close(fused.detach(), torch.cat([parameter.detach() for parameter in apart]))
    with pytest.raises(ValueError, match="5 parts"):
        Muon([{"params": [fused], "parts": [5]}], lr=0.02, momentum=0.9)


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        ({"activation": "swiglu"}, {"blocks.0.attention.qkv.weight": 3, "blocks.0.mlp.up.weight": 2}),
        ({"architecture": "lstm"}, {"layers.0.weight_ih_l0": 4, "layers.0.weight_hh_l0": 4}),
    ],
)
def test_a_models_muon_knows_which_matrices_are_stacked(settings: dict[str, object], parts: dict[str, int]) -> None:
    model = build_model(ModelConfig.model_validate({"n_layer": 1, "n_embd": 8, **settings}), 11, seed=0)
    optimizers = build_optimizers(
        OptimizerConfig(name="muon"), Parameters.of(model, dict(model.named_parameters())), CPU
    )
    group = optimizers.parts[0].param_groups[0]
    known = dict(zip(group["names"], group["parts"], strict=True))
    assert {name: count for name, count in known.items() if count > 1} == parts


def test_muon_refuses_what_is_no_matrix() -> None:
    with pytest.raises(ValueError, match="matrices"):
        Muon([nn.Parameter(torch.zeros(3))], lr=0.1, momentum=0.9)


SIGN = """
import torch


class Sign(torch.optim.Optimizer):
    def __init__(self, groups, lr):
        super().__init__(groups, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.sub_(parameter.grad.sign(), alpha=group["lr"])


def build(config, parameters, device):
    names = list(parameters.named)
    return [Sign([{"params": [parameters.named[name] for name in names], "names": names}], config.lr)]
"""


def test_a_new_optimizer_is_a_function_of_its_own_and_an_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy_sign.py").write_text(SIGN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(OPTIMIZERS, "sign", OptimizerKind("signs of gradients", "toy_sign:build", frozenset(), 0))
    config = Config().with_settings({"optimizer.name": "sign", "optimizer.lr": 0.5})
    before = parameters()
    ours, optimizers = steps(config.optimizer, 1)
    set_gradients(before.named, 0)
    for name, parameter in before.named.items():
        assert parameter.grad is not None
        torch.testing.assert_close(ours.named[name].detach(), parameter.detach() - 0.5 * parameter.grad.sign())
    assert optimizers.memory_bytes() == 0
    assert not setting_applies(config, "optimizer.beta1")
    assert estimate_memory(config, 100, 100, gpu=False).optimizer == 0
    with pytest.raises(UsageError, match="sign has no weight decay"):
        config.with_settings({"optimizer.weight_decay": 0.1})


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
@pytest.mark.parametrize("first", [True, False])
def test_a_gradient_that_is_not_finite_changes_nothing_at_all(name: str, first: bool) -> None:
    config = OptimizerConfig(name=name, weight_decay=0.0 if name == "adam" else 0.1)
    disturbed, optimizers = steps(config, 0 if first else 2)
    set_gradients(disturbed.named, 0, value=float("nan"))
    optimizers.step(torch.tensor(False))
    set_gradients(disturbed.named, 7)
    optimizers.step(FINITE)

    undisturbed, peers = steps(config, 0 if first else 2)
    set_gradients(undisturbed.named, 7)
    peers.step(FINITE)
    for key, parameter in undisturbed.named.items():
        assert torch.equal(disturbed.named[key], parameter), key
    assert equal(optimizers.state_dict(), peers.state_dict())


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_state_goes_on_bit_for_bit(name: str) -> None:
    config = OptimizerConfig(name=name)
    ours, optimizers = steps(config)
    copy = Parameters({key: nn.Parameter(parameter.detach().clone()) for key, parameter in ours.named.items()}, ROLES)
    resumed = build_optimizers(config, copy, CPU)
    resumed.load_state_dict({key: tensor.clone() for key, tensor in optimizers.state_dict().items()})
    for named, either in ((ours.named, optimizers), (copy.named, resumed)):
        set_gradients(named, 9)
        either.set_lr(0.5)
        either.step(FINITE)
    for key, parameter in ours.named.items():
        assert torch.equal(copy.named[key], parameter)


def test_the_schedule_scales_every_rate_from_its_own_peak() -> None:
    optimizers = build_optimizers(OptimizerConfig(name="muon", lr=0.001, muon_lr=0.02), parameters(), CPU)
    optimizers.set_lr(0.1)
    optimizers.set_lr(0.5)
    assert [group["lr"] for part in optimizers.parts for group in part.param_groups] == [0.01, 0.0005, 0.0005]
    assert optimizers.lr == 0.0005


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
