"""Presets say what the experiments were, and advice says what does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmcore.config import Config, differences
from lmcore.errors import UsageError
from lmcore.presets import advice, list_presets, load_preset, preset_names

PROMISED = {
    *("quick", "char-shakespeare", "novel-rnn", "novel-lstm", "novel-glove", "gpt2-dutch", "gpt2-124m"),
    *("hw1-dot", "hw1-euclid-published", "hw1-euclid", "hw1-euclid-squared"),
    *(f"exp{n}" for n in range(1, 13)),
}


def test_every_promised_preset_is_there_and_commented() -> None:
    assert set(preset_names()) == PROMISED
    for preset in list_presets():
        assert preset.summary
        assert len(preset.notes) > 100


def test_experiments_are_listed_in_the_order_of_their_numbers() -> None:
    names = [name for name in preset_names() if name.startswith("exp")]
    assert names == [f"exp{n}" for n in range(1, 13)]


@pytest.mark.parametrize(
    ("left", "right", "settings"),
    [
        ("exp1", "exp2", {"optimizer.name", "optimizer.weight_decay", "optimizer.decay_all"}),
        ("exp11", "exp12", {"model.n_layer"}),
        ("exp2", "exp9", {"model.n_layer"}),
        ("hw1-dot", "hw1-euclid", {"model.attention"}),
    ],
)
def test_neighbours_differ_only_in_what_they_compare(left: str, right: str, settings: set[str]) -> None:
    assert set(differences(load_preset(left).config, load_preset(right).config)) == settings


def test_unknown_preset_offers_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'exp12'"):
        load_preset("exp123")


@pytest.mark.parametrize("name", ["../presets/quick", "/etc/passwd", ""])
def test_a_preset_name_is_not_a_path(name: str) -> None:
    with pytest.raises(UsageError):
        load_preset(name)


def test_ones_own_preset_by_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('summary = "mine"\n[model]\nn_layer = 3\n')
    assert load_preset(str(path)).config.model.n_layer == 3


@pytest.mark.parametrize(
    ("settings", "level", "word"),
    [
        ({"optimizer.name": "adam_l2", "optimizer.weight_decay": 0.1}, "wrong", "adamw"),
        ({"training.l1": 0.1}, "avoid", "weight decay"),
        ({"model.dropout": 0.5, "training.label_smoothing": 0.1}, "caution", "label smoothing"),
        ({"model.norm_position": "post"}, "caution", "warmup_steps"),
        ({"model.weight_drop": 0.5}, "caution", "no effect with model.architecture = transformer"),
        (
            {"model.architecture": "lstm", "model.attention": "euclidean"},
            "caution",
            "no effect with model.architecture = lstm",
        ),
        ({"model.position": "rotary", "model.freeze_positions": True}, "caution", "with model.position = rotary"),
        ({"optimizer.muon_lr": 0.1}, "caution", "optimizer.muon_lr has no effect with optimizer.name = adamw"),
        ({"schedule.gamma": 0.1, "schedule.step_size": 5}, "caution", "have no effect with schedule.name = constant"),
        ({"model.freeze_embedding": True}, "caution", "random and frozen"),
        ({"model.freeze_positions": True}, "caution", "random and frozen"),
        ({"optimizer.name": "sgd", "optimizer.lr": 0.001}, "caution", "slowly"),
    ],
)
def test_what_does_not_fit_is_answered_with_the_reason(settings: dict[str, object], level: str, word: str) -> None:
    assert advice(Config()) == []
    found = advice(Config().with_settings(settings))
    assert [(one.level, word in one.message) for one in found] == [(level, True)]


def test_fine_combinations_get_no_advice() -> None:
    fine = {
        "model.dropout": 0.1,
        "optimizer.weight_decay": 0.1,
        "optimizer.grad_clip": 1.0,
        "schedule.warmup_steps": 100,
    }
    assert advice(Config().with_settings(fine)) == []


def test_no_preset_sets_what_has_no_effect() -> None:
    said = [one.message for preset in list_presets() for one in advice(preset.config)]
    assert [message for message in said if "no effect" in message] == []


def test_exp12_is_warned_about_its_missing_warmup() -> None:
    assert any("warm-up" in one.message for one in advice(load_preset("exp12").config))
