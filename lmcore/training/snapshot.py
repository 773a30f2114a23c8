"""All that the loop remembers, to and from a checkpoint: after `load_state` a training goes on bit for bit as it would
have.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from lmcore.training.averaging import copy_weights
from lmcore.training.device import random_state, set_random_state
from lmcore.training.meter import Stopwatch
from lmcore.training.state import TrainerState, check_same_text, read_state

if TYPE_CHECKING:
    from lmcore.training.loop import Trainer


def save_state(trainer: Trainer, raw: dict[str, Tensor], folder: Path) -> None:
    """Write `trainer.json` and `trainer.safetensors`.

    `raw` are the trained weights while the model itself holds their average; empty when the model's are the trained
    ones.
    """
    data, carried = trainer.setup.data, trainer.carried or ()
    values = {
        "step": trainer.step,
        "tokens": trainer.tokens,
        "seconds": trainer.stopwatch.seconds,
        "stepping_seconds": trainer.stopwatch.stepping,
        "logged_step": trainer.logged_step,
        "evaluated_step": trainer.evaluated_step,
        "skipped_at_warning": trainer.skipped_at_warning,
        "warned": sorted(trainer.warned),
        "epoch_loss": trainer.epoch_loss if math.isfinite(trainer.epoch_loss) else None,
        "meter": trainer.meter.state(),
        "validation": trainer.validation.state(),
        "bad_steps": trainer.bad_steps.state(),
        "average": trainer.average.state() if trainer.average else None,
        "scaler": trainer.scaler.state_dict() if trainer.scaler else None,
        "corpus_hash": data.corpus_hash,
        "tokenizer_hash": data.tokenizer_hash,
    }
    tensors: dict[str, Mapping[str, Tensor]] = {
        "optimizer": trainer.optimizers.state(),
        "trained": raw,
        "carried": {str(number): part for number, part in enumerate(carried)},
        "random": random_state(trainer.device),
    }
    TrainerState(values, tensors).save(folder)


def load_state(trainer: Trainer, folder: Path) -> None:
    """Go on from a checkpoint; the trainer's model has been loaded from there too.

    Raises:
        LmError: a file is damaged, or the text is not the one the run was trained on.
    """
    state = read_state(folder)
    values, data, device = state.values, trainer.setup.data, trainer.device
    check_same_text(values, data.corpus_hash, data.tokenizer_hash)

    if trainer.average is not None:
        raw = state.on(device, "trained")
        # The model in the folder is the average, if there was one.
        weights = {name: trainer.trained[name].detach().clone() for name in raw}
        trainer.average.load_state(values["average"], weights)
        copy_weights(raw, trainer.trained)
    trainer.optimizers.load_state(state.on(device, "optimizer"))
    carried = state.on(device, "carried")
    trainer.carried = tuple(carried[str(number)] for number in range(len(carried))) or None
    set_random_state({name: tensor.cpu() for name, tensor in state.tensors["random"].items()}, device)

    trainer.step = trainer.saved_step = trainer.journal.step = values["step"]
    trainer.tokens = values["tokens"]
    trainer.stopwatch = Stopwatch(values["seconds"], values["stepping_seconds"])
    trainer.speed_since = (trainer.tokens, values["stepping_seconds"])
    trainer.logged_step, trainer.evaluated_step = values["logged_step"], values["evaluated_step"]
    trainer.skipped_at_warning, trainer.warned = values["skipped_at_warning"], set(values["warned"])
    trainer.epoch_loss = math.nan if values["epoch_loss"] is None else values["epoch_loss"]
    trainer.meter.load_state(values["meter"])
    trainer.validation.load_state(values["validation"])
    trainer.bad_steps.load_state(values["bad_steps"])
    trainer.skipped, trainer.diverged = trainer.bad_steps.read()
    if trainer.scaler is not None and values["scaler"]:
        trainer.scaler.load_state_dict(values["scaler"])
