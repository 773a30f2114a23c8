"""Hints for unknown settings: what other tools call ours, slips of the keyboard, and no hint that misleads."""

from __future__ import annotations

import pytest

from lmcore.config import Config, parse_assignments, setting_names
from lmcore.errors import UsageError
from lmcore.synonyms import LIST_OF_ALL, SYNONYMS, suggest_settings

SLIPS = {
    "learning_rate": ["optimizer.lr"],
    "training.learning_rate": ["optimizer.lr"],
    "lr": ["optimizer.lr"],
    "training.lr": ["optimizer.lr"],
    "optimizer.learning-rate": ["optimizer.lr"],
    "epochs": ["training.epochs"],
    "num_train_epochs": ["training.epochs"],
    "batch": ["training.batch_size"],
    "data.batch_size": ["training.batch_size", "eval.batch_size"],
    "train.batch_size": ["training.batch_size"],
    "model.hidden_size": ["model.n_embd"],
    "model.d_model": ["model.n_embd"],
    "num_layers": ["model.n_layer"],
    "n_layers": ["model.n_layer"],
    "model.layers": ["model.n_layer"],
    "model.heads": ["model.n_head"],
    "model.num_heads": ["model.n_head"],
    "model.context": ["model.block_size"],
    "ctx": ["model.block_size"],
    "seq_len": ["model.block_size"],
    "optimizer.wd": ["optimizer.weight_decay"],
    "training.clip": ["optimizer.grad_clip"],
    "training.grad_clip": ["optimizer.grad_clip"],
    "warmup": ["schedule.warmup_steps"],
    "optimizer.warmup_steps": ["schedule.warmup_steps"],
    "steps": ["training.max_steps"],
    "max_iters": ["training.max_steps"],
    "seed": ["training.seed", "generation.seed"],
    "training.dtype": ["training.precision"],
    "model.dropuot": ["model.dropout"],
    "model.n_layr": ["model.n_layer"],
    "modle.n_layer": ["model.n_layer"],
    "optmizer.momentum": ["optimizer.momentum"],
    "optimizer.weight_deacy": ["optimizer.weight_decay"],
    "scheduler.name": ["schedule.name"],
    "generation.temp": ["generation.temperature"],
    "Model.N_Layer": ["model.n_layer"],
    "tokenizer.vocabsize": ["tokenizer.vocab_size"],
}
FAR = ["colour", "model.colour", "out", "training.verbose", "foo.bar", "x", "model.gpu", "wandb_project", "a.b.c", ""]


@pytest.mark.parametrize("name", SLIPS)
def test_a_realistic_slip_is_answered_with_the_setting_that_was_meant(name: str) -> None:
    assert suggest_settings(name, setting_names()) == SLIPS[name]


@pytest.mark.parametrize("name", FAR)
def test_what_is_near_to_nothing_gets_no_name_but_the_place_where_all_are_listed(name: str) -> None:
    assert suggest_settings(name, setting_names()) == []
    if name:
        with pytest.raises(UsageError) as caught:
            Config().with_settings(parse_assignments([f"{name}=1"]))
        assert caught.value.hint == LIST_OF_ALL


def test_every_synonym_means_a_setting_and_is_none_itself() -> None:
    names = setting_names()
    keys = {name.rpartition(".")[2] for name in names}
    assert set(SYNONYMS.values()) <= set(names)
    assert set(SYNONYMS) & keys == set()


def test_a_setting_that_exists_is_suggested_for_itself() -> None:
    for name in setting_names():
        assert suggest_settings(name, setting_names()) == [name]
