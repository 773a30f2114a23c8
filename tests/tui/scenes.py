"""Run directories and an app in a known state, for tests of the screens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from lmcore.config import Config
from lmcore.runs import Run, create_run, identity, publish_checkpoint, set_pointer

TINY = {"model.n_layer": 1, "model.n_embd": 16, "model.n_head": 2, "model.block_size": 32, "tokenizer.kind": "char"}
TEXT = "Harry looked at the door of the castle and said nothing. Hermione said that the first of them had been there.\n"


def make_run(root: Path, name: str, settings: dict[str, Any] | None = None, *, preset: str = "quick", finished: bool = True, steps: int = 200) -> Run:
    """A run with a smooth curve of `steps` steps; unless it is finished, it belongs to this process and so counts as running."""
    config = Config().with_settings({**TINY, **(settings or {})})
    run = create_run(name, config, {"preset": preset, "created": 1_700_000_000.0}, root)
    write = run.events.write
    write(
        "start",
        **identity(),
        resumed_from=None,
        total_steps=steps,
        steps_per_epoch=steps // 2,
        tokens_per_step=512,
        parameters={"total": 60_000, "learnable": 50_000},
        architecture=f"{config.model.architecture}×{config.model.n_layer} {config.optimizer.name}",
        device="cpu",
        precision="fp32",
        optimizer=config.optimizer.name,
    )
    split = {"weights": 200_000, "gradients": 200_000, "optimizer": 400_000, "activations": 1_500_000, "cached": 100_000}
    for step in range(10, steps + 1, 10):
        loss = 2.0 + 4.0 / (1 + step / 20)
        write(
            "train", step=step, epoch=2 * step / steps, tokens=512 * step, seconds=step / 10, loss=loss, epoch_loss=loss + 0.1, lr=1e-3,
            grad_norm=0.8, tokens_per_second=5120.0, memory_bytes=2_400_000 + 1000 * step, memory=split, mfu=None, skipped=0,
        )  # fmt: skip
        if step % 50 == 0:
            write(
                "eval", step=step, epoch=2 * step / steps, tokens=512 * step, seconds=step / 10, split="val", loss=loss + 0.2, perplexity=9.0,
                word_perplexity=99.0, bits_per_byte=1.5, accuracy=0.3, tokens_scored=1000, best=True,
            )  # fmt: skip
    if finished:
        write("finish", step=steps, why="done", message="", summary={"run": name, "tokens_per_second": 5120.0, "peak_memory_bytes": 2_600_000})
    run.events.close()
    return run


def add_checkpoint(run: Run, step: int, *, seed: int = 0, best: bool = True) -> Path:
    """A real checkpoint with random weights, so that writing with it exercises everything."""
    from lmcore.data.vocabularies import char_tokenizer
    from lmcore.models import build_model, save_model

    tokenizer = char_tokenizer([TEXT])
    model = build_model(run.config().model, tokenizer.vocab_size, seed=seed)

    def write(folder: Path) -> None:
        save_model(model, folder)
        tokenizer.save(folder / "tokenizer.json")
        (folder / "generation_config.json").write_text("{}", encoding="utf-8")

    folder = publish_checkpoint(run.path, step, write)
    for pointer in ("best", "last") if best else ("last",):
        set_pointer(run.path, pointer, folder)
    return folder


async def until(pilot: Pilot[Any], condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Let the app work until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"not within {seconds} s")
        await asyncio.sleep(0.02)
        await pilot.pause(0)
