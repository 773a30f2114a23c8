"""`lm generate`: text on stdout as it is written, words about it on stderr."""

from __future__ import annotations

import re
import sys
import time
from typing import TYPE_CHECKING, Any

from commands.names import find_checkpoint
from commands.output.console import DIM, note, paint, put, put_json
from lmcore.config import Config
from lmcore.errors import UsageError
from lmcore.text import harmless

if TYPE_CHECKING:
    from lmcore.config import GenerationConfig
    from lmcore.generation import TextGenerator


def write(
    prompt: str,
    name: str | None,
    which: str | None,
    options: dict[str, Any],
    num_samples: int,
    device: str,
    *,
    raw: bool,
    as_json: bool,
) -> None:
    """Continue `prompt` (`-`: stdin) with a run's checkpoint and print the texts."""
    if raw and sys.stdout.isatty():
        raise UsageError(
            "--raw is for pipes and files: on a terminal, control characters could do harm.",
            "Leave it out, or send the output elsewhere.",
        )
    merge_options({}, options)
    Config().with_settings({"training.device": device})
    run, folder = find_checkpoint(name, which)
    prompt = read_prompt(prompt)

    from lmcore.generation import load_generator

    generator = load_generator(folder, device)
    settings = merge_options(generator.defaults.model_dump(mode="json"), options)
    if name is None and run is not None:
        note(f"writing with {run.name}, step {generator.step or 0:,}", DIM)
    for notice in generator.notices(prompt):
        note(f"note: {harmless(notice)}")
    if as_json:
        _put_json(generator, prompt, settings, num_samples, run.name if run else str(folder))
    else:
        _stream(generator, prompt, settings, num_samples, raw=raw)


def read_prompt(prompt: str) -> str:
    """The prompt itself, or with `-` what stdin holds, without its last line break.

    Raises:
        UsageError: it is not UTF-8.
    """
    try:
        if prompt == "-":
            return sys.stdin.buffer.read().decode("utf-8").removesuffix("\n")
        prompt.encode("utf-8")
    except UnicodeError:
        raise UsageError("The prompt is not UTF-8 text.", "Convert it, for example with `iconv -t utf-8`.") from None
    return prompt


def merge_options(defaults: dict[str, Any], options: dict[str, Any]) -> GenerationConfig:
    """Generation settings from a checkpoint's defaults and what the command line changes.

    Raises:
        UsageError: a value is out of bounds; it names the option, not the setting.
    """
    try:
        return Config.from_dict({"generation": {**defaults, **options}}).generation
    except UsageError as error:
        message = re.sub(r"\bgeneration\.(\w+)", lambda match: "--" + match[1].replace("_", "-"), error.message)
        hint = "For the likeliest token every time, use --greedy." if "--temperature" in message else error.hint
        raise UsageError(message, hint) from None


def _stream(generator: TextGenerator, prompt: str, settings: GenerationConfig, num_samples: int, *, raw: bool) -> None:
    """The first text appears as it is written; the others, written beside it, follow whole."""
    shown = (lambda text: text) if raw else harmless
    waiting = [""] * num_samples
    put(shown(prompt), end="")
    for piece in generator.generate(prompt, settings, num_samples=num_samples):
        if piece.sample == 0:
            put(shown(piece.text), end="")
        else:
            waiting[piece.sample] += piece.text
    put()
    for text in waiting[1:]:
        put(paint("---", DIM, sys.stdout))
        put(shown(prompt + text))


def _put_json(generator: TextGenerator, prompt: str, settings: GenerationConfig, num_samples: int, run: str) -> None:
    began = time.monotonic()
    texts, tokens = [""] * num_samples, [0] * num_samples
    for piece in generator.generate(prompt, settings, num_samples=num_samples):
        texts[piece.sample] += piece.text
        tokens[piece.sample] += piece.token_id is not None
    put_json(
        {
            "run": run,
            "step": generator.step,
            "prompt": prompt,
            "samples": [{"text": text, "tokens": count} for text, count in zip(texts, tokens, strict=True)],
            "seconds": round(time.monotonic() - began, 3),
            "settings": settings.model_dump(mode="json", exclude={"prompts"}),
        }
    )
