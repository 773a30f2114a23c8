"""Settings: what is read, what is refused, and how it is said."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.applies import Condition
from lmcore.config import (
    Config,
    differences,
    parse_assignments,
    setting_applies,
    setting_choices,
    setting_help,
    setting_names,
    why_ignored,
)
from lmcore.errors import UsageError
from lmcore.registry import CHOICES, parts_of


def test_toml_round_trip_keeps_every_setting() -> None:
    config = Config().with_settings(
        {"generation.prompts": ["Hermione said", 'a "quote"\n'], "optimizer.lr": 3e-5, "data.corpus": "a/b.txt"}
    )
    assert Config.from_toml(config.to_toml()) == config


@given(st.floats(min_value=1e-12, max_value=1e3), st.integers(0, 10**9), st.text(min_size=1))
def test_round_trip_of_any_value(lr: float, seed: int, corpus: str) -> None:
    config = Config().with_settings({"optimizer.lr": lr, "training.seed": seed})
    assert Config.from_toml(config.to_toml()) == config
    if corpus.isprintable():
        assert Config.from_toml(config.with_settings({"data.corpus": corpus}).to_toml()).data.corpus == corpus


def test_every_setting_has_a_meaning() -> None:
    assert [name for name in setting_names() if not setting_help(name)] == []


@pytest.mark.parametrize("setting", CHOICES)
def test_the_help_of_a_setting_with_a_table_names_and_explains_every_entry(setting: str) -> None:
    named = re.findall(r"(\w+) \(([^)]+)\)", setting_help(setting))
    assert named == [(name, entry.summary) for name, entry in CHOICES[setting].items()]


def test_the_help_of_weight_decay_names_every_optimizer_that_has_it() -> None:
    decoupled, _, added = setting_help("optimizer.weight_decay").partition(";")
    assert {"adamw", "muon"} <= set(re.findall(r"\w+", decoupled))
    assert {"sgd", "momentum", "nesterov", "adam_l2"} <= set(re.findall(r"\w+", added))
    assert "adam" not in re.findall(r"\w+", decoupled + added)


def test_text_settings_are_parsed_by_their_type() -> None:
    config = Config().with_settings(
        parse_assignments(
            [
                "model.n_layer=2",
                "model.tied=false",
                "optimizer.lr=1e-5",
                "data.corpus=123",
                'generation.prompts=["a", "b"]',
                "generation.stop=x",
            ]
        )
    )
    assert (config.model.n_layer, config.model.tied, config.optimizer.lr, config.data.corpus) == (2, False, 1e-5, "123")
    assert config.generation.prompts == ("a", "b")
    assert config.generation.stop == ("x",)


def test_differences_name_both_values() -> None:
    assert differences(Config(), Config().with_settings({"model.n_layer": 2})) == {"model.n_layer": (4, 2)}


@pytest.mark.parametrize(
    ("assignment", "wrong", "hint"),
    [
        ("model.n_layr=2", "no setting 'model.n_layr'", "'model.n_layer'"),
        ("modle.n_layer=2", "no setting 'modle.n_layer'", "'model.n_layer'"),
        ("learning_rate=0.1", "no setting 'learning_rate'", "'optimizer.lr'"),
        ("seed=1", "no setting 'seed'", "'training.seed' or 'generation.seed'"),
        ("model.colour=1", "no setting 'model.colour'", "lists every setting"),
        ("n_layer=2", "no setting 'n_layer'", "'model.n_layer'"),
        ("model=2", "'model' is a section", "model."),
        ("model.block_size=0", "must be at least 1", "window"),
        ("training.batch_size=many", "must be a valid integer", "micro-batch"),
        ("optimizer.name=adma", "no optimizer 'adma'", "'adam'"),
        ("optimizer.name=lbfgs", "no optimizer 'lbfgs'", "sgd, momentum"),
        ("model.architecture=transfromer", "no architecture 'transfromer'", "'transformer'"),
        ("optimizer.lr=nan", "must be", "learning rate"),
        ("optimizer.lr=0", "must be above 0", "learning rate"),
        ("model.norm=batchnorm", "future", "settings"),
        ("model.n_head=3", "not a multiple of n_head 3", "settings"),
        ("training.device=tpu", "'tpu' is not valid", "auto, cpu, cuda"),
        ("generation.temperature=-1", "must be above 0", "predictable"),
    ],
)
def test_bad_settings_are_said_in_two_sentences(assignment: str, wrong: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        Config().with_settings(parse_assignments([assignment]))
    assert wrong in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.exit_code == 2


def test_adam_with_weight_decay_is_refused_with_the_reason() -> None:
    with pytest.raises(UsageError, match="adamw"):
        Config().with_settings({"optimizer.name": "adam", "optimizer.weight_decay": 0.1})


def test_an_assignment_without_equals_is_refused() -> None:
    with pytest.raises(UsageError, match="is not a setting"):
        parse_assignments(["model.n_layer"])


def test_broken_toml_names_its_source() -> None:
    with pytest.raises(UsageError, match="mine is not valid TOML"):
        Config.from_toml("[model\n", "mine")


@pytest.mark.parametrize(
    ("settings", "name", "reason"),
    [
        ({}, "model.n_hidden", "model.architecture = transformer"),
        ({"model.architecture": "lstm"}, "model.n_hidden", None),
        ({"model.architecture": "lstm"}, "model.norm", "model.architecture = lstm"),
        ({}, "model.rope_theta", "model.position = learned"),
        ({"model.position": "rotary"}, "model.rope_theta", None),
        ({"model.position": "rotary"}, "model.freeze_positions", "model.position = rotary"),
        # Through another setting that has no effect itself.
        ({"model.position": "rotary", "model.architecture": "gru"}, "model.rope_theta", "model.architecture = gru"),
        ({}, "optimizer.momentum", "optimizer.name = adamw"),
        ({"optimizer.name": "nesterov"}, "optimizer.momentum", None),
        ({"optimizer.name": "muon"}, "optimizer.beta2", None),
        ({"optimizer.name": "sgd"}, "optimizer.beta2", "optimizer.name = sgd"),
        ({}, "optimizer.decay_all", "optimizer.weight_decay = 0.0"),
        ({"optimizer.weight_decay": 0.1}, "optimizer.decay_all", None),
        ({"schedule.name": "wsd"}, "schedule.decay_fraction", None),
        ({"schedule.name": "cosine"}, "schedule.decay_fraction", "schedule.name = cosine"),
        ({"training.average": "ema"}, "training.ema_decay", None),
        ({"training.average": "ema"}, "training.asgd_patience", "training.average = ema"),
        ({}, "training.activation_reg", "model.architecture = transformer"),
        ({}, "eval.stride", None),
        ({"model.architecture": "rnn"}, "eval.stride", "model.architecture = rnn"),
        ({"model.architecture": "rnn", "eval.carry_state": False}, "eval.stride", None),
        ({}, "eval.carry_state", "model.architecture = transformer"),
    ],
)
def test_a_setting_says_what_keeps_it_from_having_an_effect(
    settings: dict[str, object], name: str, reason: str | None
) -> None:
    config = Config().with_settings(settings)
    assert why_ignored(config, name) == reason
    assert setting_applies(config, name) is (reason is None)


def test_settings_of_a_few_words_list_them() -> None:
    assert setting_choices("model.architecture") == ["rnn", "gru", "lstm", "transformer"]
    assert setting_choices("model.norm_position") == ["pre", "post"]
    assert setting_choices("model.tied") == ["false", "true"]
    assert setting_choices("model.n_layer") == []


def test_conditions_name_settings_and_values_that_exist() -> None:
    for section, field in Config.model_fields.items():
        for key, setting in field.annotation.model_fields.items():  # type: ignore[union-attr]
            for found in setting.metadata:
                for condition in getattr(found, "conditions", [found]):
                    if isinstance(condition, Condition):
                        known = {*setting_choices(condition.name)} | {
                            part
                            for value in setting_choices(condition.name)
                            for part in parts_of(condition.name, value)
                        }
                        named = {str(value).lower() for value in condition.values}
                        assert condition.name in setting_names(), (section, key)
                        assert named <= (known or {"0"}), (section, key)
