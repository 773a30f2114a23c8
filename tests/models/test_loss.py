"""The chunked loss against PyTorch's whole one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lmcore.models import linear_cross_entropy
from lmcore.models import loss as loss_module
from lmcore.models.loss import linear_score


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five rows of seven tokens a chunk: fifteen rows take three, the last of them short where rows are ignored."""
    monkeypatch.setattr(loss_module, "CHUNK_BYTES", 4 * 7 * 4)


def _problem(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    hidden = torch.randn(3, 5, 4, generator=generator, dtype=dtype, requires_grad=True)
    weight = torch.randn(7, 4, generator=generator, dtype=dtype, requires_grad=True)
    bias = torch.randn(7, generator=generator, dtype=dtype, requires_grad=True)
    targets = torch.randint(0, 7, (3, 5), generator=generator)
    targets[0, 0] = targets[2, 2:] = -100
    return hidden, weight, bias, targets


def _whole(hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, smoothing: float) -> Tensor:
    return F.cross_entropy(F.linear(hidden, weight, bias).flatten(0, 1), targets.flatten(), label_smoothing=smoothing)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("with_bias", [False, True])
def test_loss_and_gradients_equal_pytorchs(smoothing: float, with_bias: bool) -> None:
    hidden, weight, bias, targets = _problem()
    leaves = [hidden, weight, bias] if with_bias else [hidden, weight]
    ours = linear_cross_entropy(hidden, weight, bias if with_bias else None, targets, label_smoothing=smoothing)
    theirs = _whole(hidden, weight, bias if with_bias else None, targets, smoothing)
    torch.testing.assert_close(ours, theirs)
    for mine, other in zip(torch.autograd.grad(3 * ours, leaves), torch.autograd.grad(3 * theirs, leaves), strict=True):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_gradients_equal_finite_differences(smoothing: float) -> None:
    hidden, weight, bias, targets = _problem()
    assert torch.autograd.gradcheck(
        lambda h, w, b: linear_cross_entropy(h, w, b, targets, label_smoothing=smoothing), (hidden, weight, bias)
    )


def test_a_frozen_weight_gets_no_gradient_and_the_hidden_state_the_same_one() -> None:
    hidden, weight, _, targets = _problem()
    expected = torch.autograd.grad(linear_cross_entropy(hidden, weight, None, targets), hidden)[0]
    frozen = weight.detach()
    linear_cross_entropy(hidden, frozen, None, targets).backward()
    assert frozen.grad is None
    torch.testing.assert_close(hidden.grad, expected)


def test_gradients_can_be_taken_twice_and_add_up() -> None:
    hidden, weight, bias, targets = _problem()
    loss = linear_cross_entropy(hidden, weight, bias, targets)
    (0.5 * loss).backward(retain_graph=True)
    half = hidden.grad.clone() if hidden.grad is not None else torch.zeros(())
    loss.backward()
    torch.testing.assert_close(hidden.grad, 3 * half)


def test_no_scored_target_is_a_loss_of_zero_and_no_step() -> None:
    hidden, weight, _, targets = _problem()
    loss = linear_cross_entropy(hidden, weight, None, torch.full_like(targets, -100))
    loss.backward()
    assert loss.item() == 0
    assert weight.grad is not None
    assert not weight.grad.any()


def test_extreme_logits_stay_finite() -> None:
    hidden, weight, bias, targets = _problem(torch.float32)
    ours = linear_cross_entropy(hidden * 1000, weight, bias, targets)
    torch.testing.assert_close(ours, _whole(hidden * 1000, weight, bias, targets, 0.0))
    ours.backward()
    assert hidden.grad is not None
    assert hidden.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_gradients_are_near_and_keep_the_leaves_types(dtype: torch.dtype) -> None:
    hidden, weight, bias, targets = _problem(torch.float32)
    expected = torch.autograd.grad(_whole(hidden, weight, bias, targets, 0.0), [hidden, weight, bias])
    with torch.autocast("cpu", dtype=dtype):
        loss = linear_cross_entropy(hidden, weight, bias, targets)
    assert loss.dtype == torch.float32
    for mine, other in zip(torch.autograd.grad(loss, [hidden, weight, bias]), expected, strict=True):
        assert mine.dtype == torch.float32
        torch.testing.assert_close(mine, other, rtol=0.05, atol=0.005)


def test_float16_gradients_do_not_sink_when_rows_are_many() -> None:
    generator = torch.Generator().manual_seed(0)
    hidden = (0.01 * torch.randn(4096, 4, generator=generator)).requires_grad_()
    weight = torch.randn(7, 4, generator=generator, requires_grad=True)
    targets = torch.randint(0, 7, (4096,), generator=generator)
    expected = torch.autograd.grad(F.cross_entropy(hidden @ weight.t(), targets), [hidden, weight])
    with torch.autocast("cpu", dtype=torch.float16):
        loss = linear_cross_entropy(hidden, weight, None, targets)
    for mine, other in zip(torch.autograd.grad(loss * 2**16, [hidden, weight]), expected, strict=True):
        assert (mine / 2**16 - other).norm() < 0.01 * other.norm()


def test_scores_are_each_targets_loss_and_whether_it_was_likeliest() -> None:
    hidden, weight, bias, targets = _problem()
    nll, correct = linear_score(hidden, weight, bias, targets)
    logits = F.linear(hidden, weight, bias)
    expected = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(3, 5)
    torch.testing.assert_close(nll, expected.float())
    assert torch.equal(correct, logits.argmax(-1) == targets)
    assert not nll.requires_grad


def test_the_whole_logits_never_lie_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss_module, "CHUNK_BYTES", 2**20)
    rows, vocab = 2000, 5000
    hidden = torch.randn(rows, 8, requires_grad=True)
    weight = torch.randn(vocab, 8, requires_grad=True)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        linear_cross_entropy(hidden, weight, None, torch.zeros(rows, dtype=torch.int64)).backward()
    largest = max(event.self_cpu_memory_usage for event in profile.events())
    assert 0 < largest < rows * vocab * 4 / 10
