"""`lm generate`: the text on stdout as it is generated, everything about it on stderr."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from commands.input.names import find_checkpoint
from commands.input.prompt import read_prompt
from commands.input.sampler_options import change_settings, check_options
from commands.output.console import DIM, note, paint, put, put_json
from lmcore.config import Config
from lmcore.errors import UsageError
from lmcore.text import harmless

if TYPE_CHECKING:
    from lmcore.config import GenerationConfig
    from lmcore.generation import TextGenerator


def continue_prompt(
    prompt: str,
    name: str | None,
    which: str | None,
    given: dict[str, Any],
    num_samples: int,
    device: str,
    *,
    raw: bool,
    as_json: bool,
) -> None:
    """Continue `prompt` (`-`: stdin) with a run's checkpoint and print the texts.

    Args:
        prompt: the text to continue.
        name: a run, or the path of a run or a checkpoint; None for the run with the newest checkpoint.
        which: best, last or a step; None for the best.
        given: sampler settings from the command line, by name.
        num_samples: how many texts.
        device: auto, cpu, cuda, cuda:N or mps.
        raw: leave control characters as they are.
        as_json: print one JSON object instead of the texts.
    """
    if raw and sys.stdout.isatty():
        raise UsageError(
            "--raw is for pipes and files only: control characters could harm a terminal.",
            "Leave it out, or redirect the output.",
        )
    check_options(given)
    Config().with_settings({"training.device": device})
    run, folder = find_checkpoint(name, which)
    prompt = read_prompt(prompt)

    from lmcore.generation import load_generator

    generator = load_generator(folder, device)
    settings = change_settings(generator.defaults, given)
    source = run.name if run else str(folder)
    step = "" if generator.step is None else f", step {generator.step:,}"
    note(f"Generating with {harmless(source)}{step}.", DIM)
    for notice in generator.notices(prompt):
        note(f"note: {harmless(notice)}")
    if as_json:
        _put_json(generator, prompt, settings, num_samples, source)
    else:
        _stream(generator, prompt, settings, num_samples, raw=raw)


def _stream(generator: TextGenerator, prompt: str, settings: GenerationConfig, num_samples: int, *, raw: bool) -> None:
    """The first text appears as it is generated; the others, generated beside it, follow whole."""
    shown = (lambda text: text) if raw else harmless
    waiting = [""] * num_samples
    put(shown(prompt), end="")
    for token in generator.generate(prompt, settings, num_samples=num_samples):
        if token.sample == 0:
            put(shown(token.text), end="")
        else:
            waiting[token.sample] += token.text
    put()
    for text in waiting[1:]:
        put(paint("---", DIM, sys.stdout))
        put(shown(prompt + text))


def _put_json(generator: TextGenerator, prompt: str, settings: GenerationConfig, num_samples: int, run: str) -> None:
    began = time.monotonic()
    texts, tokens = [""] * num_samples, [0] * num_samples
    for token in generator.generate(prompt, settings, num_samples=num_samples):
        texts[token.sample] += token.text
        tokens[token.sample] += 1
    put_json(
        {
            "run": run,
            "step": generator.step,
            "checkpoint": None if generator.folder is None else str(generator.folder),
            "device": next(generator.model.parameters()).device.type,
            "prompt": prompt,
            "samples": [{"text": text, "tokens": count} for text, count in zip(texts, tokens, strict=True)],
            "seconds": round(time.monotonic() - began, 3),
            "settings": settings.model_dump(mode="json", exclude={"prompts"}),
        }
    )
