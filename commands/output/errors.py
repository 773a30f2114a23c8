"""Every way a command can end, as two sentences and an exit code."""

from __future__ import annotations

import difflib
import errno
import re
import sys
import traceback
from collections.abc import Callable
from typing import Any

import typer

from commands.output.console import RED, note, paint
from lmcore.errors import LmError
from lmcore.text import harmless

# The base of all complaints of typer's parser; typer exports only this one of its descendants.
PARSER_ERROR: type[Exception] = typer.BadParameter.__mro__[2]


def run_safely(app: Callable[..., Any], arguments: list[str]) -> int:
    """Run the command line and return its exit code; whatever goes wrong is said on stderr.

    `--debug` anywhere before `--` shows the full traceback of what went wrong.
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    debug = "--debug" in arguments[:end]
    arguments = [argument for i, argument in enumerate(arguments) if i >= end or argument != "--debug"]
    try:
        code = app(args=arguments, prog_name="lm", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except KeyboardInterrupt:
        return 130
    except typer.Abort:
        return 1
    except Exception as error:
        if debug:
            traceback.print_exc()
        message, hint, code = explain(error)
        say(message, hint)
        return code


def say(message: str, hint: str = "") -> None:
    """One sentence what is wrong, one what to do, on stderr."""
    note(f"{paint('error:', RED, sys.stderr)} {harmless(message)}" + (f"\n{harmless(hint)}" if hint else ""))


def explain(error: Exception) -> tuple[str, str, int]:
    """What is wrong, what to do, and the exit code."""
    if isinstance(error, LmError):
        return error.message, error.hint, error.exit_code
    if isinstance(error, PARSER_ERROR):
        return *_usage(error), 2
    if _is_out_of_memory(error):
        return (
            "There is not enough memory for this.",
            "Lower training.batch_size, model.block_size or the model's size, for example --set training.batch_size=4.",
            1,
        )
    if isinstance(error, OSError):
        return *_system(error), 1
    return (
        f"lm met something it does not expect: {type(error).__name__}: {_sentence(str(error))}",
        "Run the command again with --debug for the full traceback; this is a bug worth reporting.",
        1,
    )


def did_you_mean(name: str, known: list[str]) -> str:
    """A sentence with the nearest known name, or the empty text."""
    matches = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"Did you mean '{matches[0]}'?" if matches else ""


def _usage(error: Any) -> tuple[str, str]:
    """The command-line parser's complaint in our words: it names the option, then where its help is."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "lm"
    see = f"`{path} --help` says what it takes."
    text = error.format_message()
    unknown = re.match(r"No such (option|command):? '?([^' ]+)'?", text)
    if unknown:
        kind, name = unknown.groups()
        return f"`{path}` has no {kind} '{name}'.", did_you_mean(
            name, _names(context, kind)
        ) or f"`{path} --help` lists them."
    missing = re.match(r"Missing (?:argument|option|parameter) '?([^'.]+)'?", text)
    if missing:
        return f"`{path}` needs {missing.group(1)}.", see
    invalid = re.match(r"Invalid value for '?([^':]+(?: / -\w)?)'?: (.*)", text, re.DOTALL)
    if invalid:
        return f"{invalid.group(1)} does not fit: {_sentence(_in_words(invalid.group(2)))}", see
    return _sentence(text), see


def _in_words(text: str) -> str:
    """`0 is not in the range x>=1.` for people."""
    text = re.sub(r"is not in the range x>=([-\d.]+?)\.?$", r"is less than \1, the lowest it can be.", text)
    return re.sub(r"is not a valid (?:float|integer)(?: range)?", "is not a number", text)


def _names(context: Any, kind: str) -> list[str]:
    if context is None:
        return []
    if kind == "command":
        return list(getattr(context.command, "commands", {}))
    return [
        option
        for parameter in context.command.get_params(context)
        for option in parameter.opts
        if option.startswith("-")
    ]


def _system(error: OSError) -> tuple[str, str]:
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"The disk is full{where}.",
            "Free some space, then continue the run with `lm train --resume RUN`: its last checkpoint is whole.",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f"This may not be read or written{where}.",
            "Choose another place, for example with $LM_RUNS, or change its permissions.",
        )
    return f"The system refused: {_sentence(str(error))}", "Check that the file or folder is there and can be used."


def _is_out_of_memory(error: Exception) -> bool:
    """Python's own, CUDA's by name (torch is not imported here), and the CPU allocator's plain RuntimeError."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", "?", "!")) else f"{text}."
