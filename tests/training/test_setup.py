"""Preparing a run: once, and what stands in for something that is out of reach is announced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import lmcore.data
import lmcore.training.setup
from commands.train import start_run
from lmcore.runs import create_run, find_run
from lmcore.training import find_learning_rate, prepare, train
from tests.training.conftest import TINY, Configure


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name of a corpus each time that one is loaded, whoever loads it."""
    names: list[str] = []
    original: Callable[..., lmcore.data.Data] = lmcore.data.load_data

    def load_data(config: Any, **options: Any) -> lmcore.data.Data:
        names.append(config.data.corpus)
        return original(config, **options)

    for place in (lmcore.data, lmcore.training.setup):
        monkeypatch.setattr(place, "load_data", load_data)
    return names


def test_a_run_reads_its_corpus_once_and_records_its_hashes(text: Any, loads: list[str]) -> None:
    settings = [f"{name}={value}" for name, value in TINY.items()]
    assert start_run("quick", str(text), "once", settings, {}, offline=False, as_json=True) == 0
    assert loads == [str(text)]
    info, config = find_run("once").info(), find_run("once").config()
    again = prepare(config).data
    assert (info["corpus_hash"], info["tokenizer_hash"]) == (again.corpus_hash, again.tokenizer_hash)


def test_a_setup_serves_a_sweep_and_a_run(configure: Configure, loads: list[str]) -> None:
    config = configure(training__max_steps=2)
    setup = prepare(config)
    find_learning_rate(setup, steps=10)
    train(setup, create_run("after", config, {}))
    assert len(loads) == 1


def test_what_stands_in_for_something_else_is_a_warning_of_its_own_kind(configure: Configure) -> None:
    config = configure(training__max_steps=1)
    setup = prepare(config)
    setup.data.substitutions.append("A tokenizer trained on the corpus stands in for GPT-2's.")
    run = create_run("other", config, {})
    train(setup, run)
    found = [event["message"] for event in run.history().warnings if event["what"] == "substitution"]
    assert found == ["A tokenizer trained on the corpus stands in for GPT-2's."]
