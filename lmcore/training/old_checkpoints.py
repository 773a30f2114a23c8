"""Checkpoints as lm 0.1.0 wrote them, before each part of the trainer had its own state: they can still be resumed."""

from __future__ import annotations

from typing import Any

from torch import Tensor

Tensors = dict[str, dict[str, Tensor]]


def is_old(values: dict[str, Any]) -> bool:
    """Whether `trainer.json` has the old form, in which the step stood at the top."""
    return "step" in values


def modernized(old: dict[str, Any], tensors: Tensors) -> tuple[dict[str, Any], Tensors]:
    """Values and tensors of an old checkpoint, by the part that owns them now."""
    values = {
        "trainer": {"step": old["step"], "tokens": old["tokens"]},
        "setup": {name: old[name] for name in ("corpus_hash", "tokenizer_hash")},
        "journal": {"logged_step": old["logged_step"], "warned": old["warned"]},
        "stopwatch": {
            "seconds": old["seconds"],
            "stepping": old["stepping_seconds"],
            "lap": [old["tokens"], old["stepping_seconds"]],
        },
        "meter": {**old["meter"], "epoch_loss": old["epoch_loss"]},
        "validation": {**old["validation"], "last_step": old["evaluated_step"]},
        "bad_steps": {**old["bad_steps"], "told": old["skipped_at_warning"]},
        "optimizer": {},
        "carried": {},
        "average": old["average"] or {},
        "scaler": old["scaler"] or {},
    }
    trained = {f"trained/{name}": tensor for name, tensor in tensors.get("trained", {}).items()}
    return values, {**tensors, "average": trained}
