"""Recurrent models against `torch.nn`, and their dropouts against what the papers say they do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lmcore.config import ModelConfig
from lmcore.models import LanguageModel, build_model

IDS = torch.randint(0, 31, (3, 9), generator=torch.Generator().manual_seed(0))
CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


def _model(architecture: str = "lstm", **settings: Any) -> LanguageModel:
    values = {
        "architecture": architecture,
        "n_layer": 2,
        "n_embd": 8,
        "n_hidden": 12,
        "projection": "linear",
        **settings,
    }
    return build_model(ModelConfig.model_validate(values), 31, seed=0)


@pytest.mark.parametrize("architecture", CELLS)
def test_outputs_and_states_equal_torchs(architecture: str) -> None:
    model = _model(architecture, projection="none", tied=False).eval()
    theirs = CELLS[architecture](8, 12, 2, batch_first=True)
    for layer in range(2):
        for name, parameter in model.layers[layer].named_parameters():  # type: ignore[index,union-attr]
            getattr(theirs, name.replace("l0", f"l{layer}")).data.copy_(parameter)
    ours, state = model(IDS)
    expected, their_state = theirs(model.embedding.weight[IDS])
    torch.testing.assert_close(ours, expected)
    for part, their_part in zip(state, their_state if architecture == "lstm" else (their_state,), strict=True):
        torch.testing.assert_close(part, their_part)


@pytest.mark.parametrize("architecture", CELLS)
def test_a_carried_state_equals_one_long_text(architecture: str) -> None:
    model = _model(architecture).eval()
    first, state = model(IDS[:, :4], model.init_state(3))
    second, _ = model(IDS[:, 4:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), model(IDS)[0])


def test_a_carried_state_does_not_carry_gradients() -> None:
    output = _model().loss(IDS, IDS)
    assert output.loss.requires_grad
    assert not any(part.requires_grad for part in output.state)


@pytest.mark.parametrize("projection", ["linear", "relu"])
def test_projection_maps_to_the_embeddings_width(projection: str) -> None:
    hidden, _ = _model(projection=projection)(IDS)
    assert hidden.shape == (3, 9, 8)
    assert (hidden >= 0).all().item() is (projection == "relu")


def _gradient(model: LanguageModel) -> Tensor:
    model.zero_grad()
    model.loss(IDS, IDS).loss.backward()
    gradient = model.get_parameter("layers.0.weight_hh_l0").grad
    assert gradient is not None
    return gradient


@pytest.mark.parametrize("architecture", CELLS)
def test_weight_drop_really_drops_and_trains_the_raw_weights(architecture: str) -> None:
    model = _model(architecture, weight_drop=0.5)
    raw = model.get_parameter("layers.0.weight_hh_l0")
    first, second = _gradient(model), _gradient(model)
    assert not torch.equal(first, second)
    assert 0.3 < (first == 0).float().mean().item() < 0.7  # a dropped weight takes no part, so it gets no gradient
    with torch.no_grad():
        before = model(IDS)[0]
        torch.manual_seed(5)
        dropped = model(IDS)[0]
        assert not torch.equal(before, dropped)
        raw.add_(1.0)
        torch.manual_seed(5)
        assert not torch.equal(model(IDS)[0], dropped)
        model.eval()
        assert torch.equal(model(IDS)[0], model(IDS)[0])


def test_weight_drop_equals_torch_with_the_dropped_weights() -> None:
    model = _model(n_layer=1, weight_drop=0.5)
    torch.manual_seed(5)
    dropped_output = model(IDS)[0]
    torch.manual_seed(5)
    raw = model.get_parameter("layers.0.weight_hh_l0")
    with torch.no_grad():
        raw.copy_(nn.functional.dropout(raw, 0.5))
    torch.testing.assert_close(model.eval()(IDS)[0], dropped_output)


def _inputs(model: LanguageModel, layer: int) -> Tensor:
    """What a layer reads in training, [T, B, E]."""
    seen: list[Tensor] = []
    cells: Any = model.layers
    handle = cells[layer].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    model.train()(IDS)
    handle.remove()
    return seen[0].detach()


def test_locked_dropout_drops_the_same_coordinates_at_every_step() -> None:
    for name, layer in [("dropout_input", 0), ("dropout", 1)]:
        settings: dict[str, Any] = {name: 0.5}
        dropped = _inputs(_model(locked_dropout=True, **settings), layer) == 0
        assert 0.2 < dropped.float().mean() < 0.8
        assert torch.equal(dropped, dropped[:1].expand_as(dropped))
        free = _inputs(_model(**settings), layer) == 0
        assert not torch.equal(free, free[:1].expand_as(free))


def test_word_dropout_drops_whole_words_everywhere_and_scales_the_others() -> None:
    torch.manual_seed(0)
    model = _model(dropout_embedding=0.5)
    ratio = _inputs(model, 0) / model.embedding.weight.detach()[IDS.t()]  # [T, B, E]
    assert torch.equal(ratio.round(), ratio[..., :1].round().expand_as(ratio))
    by_word = {int(word): float(r) for word, r in zip(IDS.t().flatten(), ratio[..., 0].flatten().round(), strict=True)}
    assert set(by_word.values()) == {0.0, 2.0}
    assert all(
        by_word[int(word)] == float(r)
        for word, r in zip(IDS.t().flatten(), ratio[..., 0].flatten().round(), strict=True)
    )


def test_output_dropout_acts_in_training_only() -> None:
    model = _model(dropout_output=0.5)
    assert not torch.equal(model(IDS)[0], model(IDS)[0])
    model.eval()
    assert torch.equal(model(IDS)[0], model(IDS)[0])


def test_regularizers_are_the_mean_squares_of_awd_lstm() -> None:
    model = _model(projection="none", tied=False, dropout_output=0.5)
    torch.manual_seed(2)
    dropped = model(IDS)[0]
    torch.manual_seed(2)
    output = model.loss(IDS, IDS, regularizers=True)
    raw = model.eval()(IDS)[0]
    assert output.activation is not None
    assert output.temporal is not None
    torch.testing.assert_close(output.activation, dropped.square().mean())
    torch.testing.assert_close(output.temporal, (raw[:, 1:] - raw[:, :-1]).square().mean())
    assert model.loss(IDS, IDS).activation is None
    assert model.loss(IDS[:, :1], IDS[:, :1], regularizers=True).temporal == 0


def test_score_goes_on_from_a_state() -> None:
    model = _model().eval()
    whole = model.score(IDS, IDS)
    first = model.score(IDS[:, :4], IDS[:, :4])
    second = model.score(IDS[:, 4:], IDS[:, 4:], first.state)
    torch.testing.assert_close(torch.cat([first.nll, second.nll], dim=1), whole.nll)
    assert whole.nll.mean().item() == pytest.approx(model.loss(IDS, IDS).loss.item(), rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("architecture", CELLS)
def test_half_precision_trains_and_leaves_the_state_in_the_weights_type(architecture: str, dtype: torch.dtype) -> None:
    model = _model(architecture, weight_drop=0.2)
    state = model.init_state(3)
    for _ in range(2):
        with torch.autocast("cpu", dtype=dtype):
            output = model.loss(IDS, IDS, state)
        output.loss.backward()
        state = output.state
    assert {part.dtype for part in state} == {torch.float32}
    assert model.eval().score(IDS, IDS, state).nll.mean().item() == pytest.approx(output.loss.item(), rel=0.02)


@pytest.mark.parametrize("init", ["gpt2", "torch"])
def test_cells_start_as_torchs_do(init: str) -> None:
    weights = _model(init=init, n_hidden=100).state_dict()
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0"):
        assert weights[f"layers.0.{name}"].abs().max().item() == pytest.approx(0.1, rel=0.02)


def test_xavier_takes_each_gate_by_itself() -> None:
    weight = _model(init="xavier", n_hidden=100).get_parameter("layers.1.weight_hh_l0")
    assert weight.abs().max().item() == pytest.approx((6 / 200) ** 0.5, rel=0.01)
