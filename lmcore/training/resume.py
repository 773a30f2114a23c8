"""What is settled before a run goes on: where from, whether it is still the same run, and its learning rate."""

from __future__ import annotations

import shlex
from pathlib import Path

from lmcore.config import Config, differences
from lmcore.errors import UsageError
from lmcore.files import replacing
from lmcore.runs import Run, verify_checkpoint
from lmcore.runs.run import CONFIG_FILE
from lmcore.training.schedules import ENDING, lr_multiplier
from lmcore.training.setup import Setup, steps_in_all

# With another value of one of these the same step would mean something else.
FIXED_SECTIONS = ("data", "tokenizer", "model")
FIXED_SETTINGS = ("training.batch_size", "training.accumulate", "training.seed", "training.average", "optimizer.name")
# A rise of the rate by less than this share of its peak is not worth a warning.
RISE = 0.01
# Offered when the schedule had ended at a rate of zero, at which nothing is learned.
LOW_RATE = 0.1


def checkpoint_to_resume(run: Run) -> Path | None:
    """The last checkpoint; None when the run was stopped before its first: then it begins again.

    Raises:
        LmError: the checkpoint is damaged.
    """
    if not run.checkpoints():
        return None
    folder = run.checkpoint("last")
    verify_checkpoint(folder)
    return folder


def check_unchanged(before: Config, now: Config) -> None:
    """Refuse to resume with settings that would make it another run.

    Raises:
        UsageError: the data, the model, or what a step is, has changed.
    """
    changed = [
        name for name in differences(before, now) if name.partition(".")[0] in FIXED_SECTIONS or name in FIXED_SETTINGS
    ]
    if changed:
        raise UsageError(
            f"A resumed run cannot change {', '.join(changed)}.", "Leave it unchanged, or start a new run."
        )


def reheating(run_name: str, before: Config, setup: Setup, step: int) -> str:
    """What to know when a longer run raises the learning rate again, because the shape of its schedule depends on the
    last step; empty if it does not.

    Args:
        before: the settings with which the run was trained until now.
        step: steps done.
    """
    now, ended = setup.config, steps_in_all(before, setup.batches.steps_per_epoch)
    schedule, total = now.schedule, setup.total_steps
    if schedule != before.schedule or schedule.name not in ENDING or schedule.decay_steps or not ended or not total:
        return ""
    old_rate, new_rate = lr_multiplier(schedule, step, ended), lr_multiplier(schedule, step, total)
    if new_rate < old_rate + RISE:
        return ""
    options = [
        f"{name}={value}" for name, (_, value) in differences(before, now).items() if name.startswith("training.")
    ]
    options.append(f"schedule.decay_steps={ended}")
    if not schedule.min_lr_ratio:
        options.append(f"schedule.min_lr_ratio={LOW_RATE}")
    command = shlex.join(
        ["lm", "train", "--resume", run_name, *(word for option in options for word in ("--set", option))]
    )
    return (
        f"The {schedule.name} schedule now ends at step {total:,} instead of {ended:,}, so the learning rate rises "
        f"from {old_rate:.0%} to {new_rate:.0%} of its peak. To keep it low, stop and continue with `{command}`."
    )


def note_config(run: Run, config: Config) -> None:
    """`config.toml` says how the run is trained from now on.

    Raises:
        LmError: it cannot be written.
    """
    with replacing(run.path / CONFIG_FILE) as temporary:
        temporary.write_text(config.to_toml(), encoding="utf-8")
