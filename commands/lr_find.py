"""`lm lr-find`: a sweep of the learning rate, drawn, and the command that trains with the suggested one."""

from __future__ import annotations

import shlex

from commands.input.settings import assemble, offering_offline
from commands.output.console import note, note_data, put, put_json
from commands.output.curves import Curve, put_figure
from lmcore.text import harmless


def find_lr(
    preset: str,
    corpus: str | None,
    assignments: list[str],
    steps: int,
    device: str | None,
    *,
    offline: bool,
    as_json: bool,
) -> None:
    """Print where the loss falls fastest while the learning rate rises; no run is made."""
    config, _ = assemble(preset, corpus, assignments, {} if device is None else {"training.device": device})
    substitutions: list[str] = []
    if offline:
        from lmcore.offline import without_network

        config, substitutions = without_network(config)
    from lmcore.training import find_learning_rate, prepare

    with offering_offline():
        setup = prepare(config, note_data)
    with offering_offline(keep_hint=True):
        found = find_learning_rate(setup, steps=steps)
    for sentence in [*substitutions, *setup.substitutions]:
        note(f"note: {harmless(sentence, keep_newlines=False)}")
    command = None
    if found.suggestion is not None:
        command = command_with(found.suggestion, preset, corpus, assignments, device, offline=offline)
    if as_json:
        put_json({"suggestion": found.suggestion, "command": command, "rates": found.rates, "losses": found.losses})
        return
    curve = Curve("smoothed training loss", found.rates, found.losses, validation=False, group=0)
    put_figure(
        [curve],
        title="Loss by learning rate",
        x_label="learning rate",
        y_label="nats per token",
        log_x=True,
    )
    if command is None:
        put("The loss never decreased. Check the data and the model first.")
    else:
        put(f"The loss falls fastest at a learning rate of {found.suggestion:.2e}. Use that or a third of it:")
        put(f"  {command}")


def command_with(
    rate: float, preset: str, corpus: str | None, assignments: list[str], device: str | None, *, offline: bool = False
) -> str:
    """The `lm train` command with the same settings and this learning rate, quoted for a shell."""
    words = ["lm", "train", "--preset", preset]
    words += ["--data", corpus] if corpus is not None else []
    kept = [assignment for assignment in assignments if assignment.partition("=")[0].strip() != "optimizer.lr"]
    words += [word for assignment in [*kept, f"optimizer.lr={rate:.1e}"] for word in ("--set", assignment)]
    words += ["--device", device] if device is not None else []
    words += ["--offline"] if offline else []
    return shlex.join(words)
