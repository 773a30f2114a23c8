"""Run directories as training leaves them: finished, killed, with NaN, with a torn last line, from a later version,
without an event.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from lmcore.config import Config
from lmcore.runs import Run, create_run, identity

EPOCH = 1_700_000_000.0
DEAD = {"pid": 2**22 + 1, "pid_started": 1, "host": os.uname().nodename}


def start(**fields: Any) -> dict[str, Any]:
    """A `start` event, by default of a process that is gone."""
    return {
        "kind": "start",
        "time": EPOCH,
        **DEAD,
        "resumed_from": None,
        "total_steps": 1000,
        "steps_per_epoch": 100,
        "tokens_per_step": 512,
        "parameters": {"total": 59_635_968, "learnable": 28_351_488},
        "architecture": "transformer×4 adamw",
        "device": "cpu",
        "precision": "fp32",
        "optimizer": "adamw",
        **fields,
    }


def train(step: int, loss: float | None = None, **fields: Any) -> dict[str, Any]:
    """A `train` event; the loss falls with the step unless it is given."""
    return {
        "kind": "train",
        "time": EPOCH + step / 10,
        "step": step,
        "epoch": step / 100,
        "tokens": 512 * step,
        "seconds": step / 10,
        "loss": 4.0 + 4.0 * math.exp(-step / 150) if loss is None else loss,
        "epoch_loss": 4.2,
        "lr": 1e-3 if step <= 500 else 5e-4,
        "grad_norm": 0.8,
        "tokens_per_second": 5120.0,
        "memory_bytes": 3_500_000_000,
        "mfu": None,
        "skipped": 0,
        **fields,
    }


def evaluation(step: int, loss: float, best: bool = True) -> dict[str, Any]:
    """An `eval` event of the val split."""
    return {
        "kind": "eval",
        "time": EPOCH + step / 10,
        "step": step,
        "epoch": step / 100,
        "tokens": 512 * step,
        "seconds": step / 10,
        "split": "val",
        "loss": loss,
        "perplexity": math.exp(loss),
        "word_perplexity": None,
        "bits_per_byte": 1.2,
        "accuracy": 0.25,
        "tokens_scored": 1000,
        "best": best,
    }


def scoring(step: int, split: str, tokens: int, *, final: bool = True, **fields: Any) -> dict[str, Any]:
    """A heartbeat while a split of 1,000 tokens is scored, half a second for each token."""
    progress = {"split": split, "final": final, "tokens_scored": tokens, "tokens_total": 1000}
    progress |= {"seconds": tokens / 2, "seconds_left": (1000 - tokens) / 2}
    return {"kind": "heartbeat", "time": EPOCH + step, "step": step, "paused": False, "scoring": progress, **fields}


def sample(step: int, text: str) -> dict[str, Any]:
    """A `sample` event."""
    return {
        "kind": "sample",
        "time": EPOCH + step / 10,
        "step": step,
        "prompt": "Harry looked at",
        "text": text,
        "settings": {},
    }


def finish(step: int, why: str = "done") -> dict[str, Any]:
    """A `finish` event."""
    return {"kind": "finish", "time": EPOCH + step / 10, "step": step, "why": why, "message": "", "summary": {}}


def training(steps: int = 1000) -> list[dict[str, Any]]:
    """A whole training: it starts, learns until step 600, then validation rises; samples at each evaluation."""
    events = [start()]
    for step in range(10, steps + 1, 10):
        events.append(train(step))
        if step % 100 == 0:
            loss = 4.3 + 4.0 * math.exp(-step / 150) + max(0, step - 600) / 2000
            events += [
                evaluation(step, loss, best=step <= 600),
                sample(step, f" the castle, as it was at step {step}."),
            ]
    return events


def record(
    root: Path, name: str, events: list[dict[str, Any]], *, tail: bytes = b"", settings: dict[str, Any] | None = None
) -> Run:
    """Write a run directory with these events, and `tail` behind the last of them."""
    config = Config().with_settings({"data.corpus": "wikitext-2", **(settings or {})})
    run = create_run(name, config, {"preset": "exp12", "created": EPOCH}, root)
    lines = "".join(json.dumps(event) + "\n" for event in events)
    run.events_path.write_bytes(lines.encode() + tail)
    return run


def record_all(root: Path) -> None:
    """One run of every kind."""
    record(root, "whole", [*training(), finish(1000)])
    record(root, "killed", training(430), settings={"optimizer.name": "sgd"})
    record(
        root,
        "nan",
        [start(), *(train(s, loss=None if s < 500 else math.nan) for s in range(10, 800, 10)), finish(790, "diverged")],
    )
    record(root, "torn", [*training(200), finish(200, "stopped")], tail=b'{"kind": "train", "step": 21')
    record(
        root,
        "later-version",
        [start(), {"kind": "dream", "time": EPOCH, "of": "sheep"}, *training(100)[1:], finish(100)],
        tail=b"no json\n[1]\n",
    )
    record(root, "empty", [])
    record(
        root,
        "alive",
        [start(**identity()), *training(300)[1:], {"kind": "heartbeat", "time": 9e9, "step": 300, "paused": False}],
    )
