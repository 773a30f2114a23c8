"""The settings that `--preset`, `--data` and `--set` make."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from commands.input.names import corpus_setting
from lmcore.config import Config, parse_assignments
from lmcore.errors import OutOfReachError
from lmcore.text import harmless


def assemble(preset: str, corpus: str | None, assignments: list[str], chosen: dict[str, Any]) -> tuple[Config, str]:
    """The settings of a preset with what the command line changes, and the stem of the run's name."""
    from lmcore.presets import load_preset

    start = load_preset(preset)
    settings: dict[str, Any] = {**parse_assignments(assignments), **chosen}
    if corpus is not None:
        settings["data.corpus"] = corpus
    if "data.corpus" in settings:
        settings["data.corpus"] = corpus_setting(settings["data.corpus"])
    return start.config.with_settings(settings), start.name


@contextmanager
def offering_offline(*, keep_hint: bool = False) -> Iterator[None]:
    """If something cannot be downloaded, name the command that works without a network; before, or instead of, what the
    error itself advises.
    """
    try:
        yield
    except OutOfReachError as error:
        again = shlex.join(["lm", *sys.argv[1:], "--offline"])
        advice = f"`{harmless(again, keep_newlines=False)}` works without a network, with local substitutes."
        raise OutOfReachError(error.message, f"{advice} {error.hint}" if keep_hint else advice) from None
