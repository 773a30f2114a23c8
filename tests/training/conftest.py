"""Small texts, small models, and a whole run in one call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmcore.config import Config
from lmcore.runs import Run, create_run, find_run
from lmcore.training import prepare, train

TINY = {
    "tokenizer.kind": "char",
    "model.n_layer": 1,
    "model.n_embd": 16,
    "model.n_head": 2,
    "model.block_size": 8,
    "training.batch_size": 4,
    "training.max_steps": 12,
    "training.log_every": 1,
    "training.eval_every": 5,
    "training.device": "cpu",
    "training.threads": 1,
    "eval.max_tokens": 100,
}
LSTM = {"model.architecture": "lstm", "data.batching": "streams"}

Configure = Callable[..., Config]
Start = Callable[..., "Trained"]


class Trained:
    """A run and what `train` said of it."""

    def __init__(self, run: Run, summary: dict[str, Any]) -> None:
        self.run, self.summary = run, summary

    def events(self, kind: str) -> list[dict[str, Any]]:
        history = self.run.history()
        lists = {"sample": "samples", "warning": "warnings", "checkpoint": "checkpoints"}
        found: list[dict[str, Any]] = getattr(history, lists.get(kind, kind))
        return found

    def losses(self) -> list[tuple[int, float, float]]:
        """What must be the same in a run that was never stopped."""
        return [(event["step"], event["loss"], event["epoch_loss"]) for event in self.events("train")]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """5000 characters of made-up sentences."""
    random = np.random.default_rng(0)
    words = ["the", "cat", "sat", "on", "a", "mat", "and", "saw", "no", "rat", "in", "hat", "bag", "log", "fig", "jam"]
    path = tmp_path / "text.txt"
    path.write_text(" ".join(random.choice(words, 1500))[:5000])
    return path


@pytest.fixture
def configure(text: Path) -> Configure:
    """A tiny config; keyword arguments `section__key` and a mapping of `section.key` change it."""

    def make(settings: dict[str, Any] | None = None, **more: Any) -> Config:
        values = {
            "data.corpus": str(text),
            **TINY,
            **(settings or {}),
            **{name.replace("__", "."): value for name, value in more.items()},
        }
        return Config().with_settings(values)

    return make


@pytest.fixture
def start() -> Start:
    """Train a new run, or resume it."""

    def go(
        config: Config,
        name: str = "run",
        *,
        resume: bool = False,
        report: Callable[[dict[str, Any]], None] | None = None,
    ) -> Trained:
        run = find_run(name) if resume else create_run(name, config, {})
        return Trained(run, train(prepare(config), run, resume=resume, report=report))

    return go
