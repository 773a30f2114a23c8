"""How a command ends: two sentences for an error, and an exit code."""

from __future__ import annotations

import errno
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import typer

from commands.output.console import RED, note, paint
from lmcore.errors import LmError, did_you_mean, is_out_of_memory
from lmcore.text import harmless

# The base class of the errors of typer's parser; typer exports only this one of its subclasses.
PARSER_ERROR: type[Exception] = typer.BadParameter.__mro__[2]
# What other tools call our commands and options; options that are settings: lmcore/synonyms.py.
_COMMANDS = {
    "continue": "train --resume RUN",
    "resume": "train --resume RUN",
    "fit": "train",
    "evaluate": "eval",
    "test": "eval",
    "score": "eval",
    "sample": "generate",
    "write": "generate",
    "status": "runs",
    "log": "watch",
    "tail": "watch",
    "stop": "control RUN stop",
    "pause": "control RUN pause",
    "ui": "tui",
    "screen": "tui",
    "corpora": "data",
    "dataset": "data",
    "ls": "list",
    "delete": "rm",
    "remove": "rm",
    "mv": "rename",
    "cp": "copy",
    "download": "fetch",
}
_OPTIONS = {
    "data.corpus": "--data",
    "config": "--preset",
    "recipe": "--preset",
    "name": "--run",
    "model": "--run",
    "ckpt": "--checkpoint",
    "gpu": "--device",
    "cuda": "--device",
    "n": "--num-samples",
}


def run_safely(app: Callable[..., Any], arguments: list[str]) -> int:
    """Run the command line and return its exit code; errors are printed to stderr.

    `--debug` anywhere before `--` adds the full traceback.
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
    """Print what is wrong, and in a second line what to do, to stderr."""
    note(f"{paint('error:', RED, sys.stderr)} {harmless(message)}" + (f"\n{harmless(hint)}" if hint else ""))


def explain(error: Exception) -> tuple[str, str, int]:
    """What is wrong, what to do, and the exit code."""
    if isinstance(error, LmError):
        return error.message, error.hint, error.exit_code
    if isinstance(error, PARSER_ERROR):
        return *_usage(error), 2
    if is_out_of_memory(error):
        return (
            "Out of memory.",
            "Reduce training.batch_size, model.block_size or the model, for example with --set training.batch_size=4.",
            1,
        )
    if isinstance(error, OSError):
        return *_system(error), 1
    return (
        f"Unexpected error: {type(error).__name__}: {_sentence(str(error))}",
        "This is a bug in lm. Run the command again with --debug for the full traceback, and report it.",
        1,
    )


def _usage(error: Any) -> tuple[str, str]:
    """The command-line parser's error in our words: what is wrong, and where the help is."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "lm"
    see = f"See `{path} --help`."
    text = error.format_message()
    unknown = re.match(r"No such (option|command):? '?([^' ]+)'?", text)
    if unknown:
        kind, name = unknown.groups()
        return f"`{path}` has no {kind} '{name}'.", _nearest(context, kind, name) or see
    missing = re.match(r"Missing (?:argument|option|parameter) '?([^'.]+)'?", text)
    if missing:
        return f"`{path}` needs {missing.group(1)}.", see
    invalid = re.match(r"Invalid value for '?([^':]+(?: / -\w)?)'?: (.*)", text, re.DOTALL)
    if invalid:
        return f"Invalid value for {invalid.group(1)}: {_sentence(_in_words(invalid.group(2)))}", see
    return _sentence(text), see


def _in_words(text: str) -> str:
    """`0 is not in the range x>=1.` for people."""
    text = re.sub(r"is not in the range x>=([-\d.]+?)\.?$", r"is below the minimum of \1.", text)
    return re.sub(r"is not a valid (?:float|integer)(?: range)?", "is not a number", text)


def _nearest(context: Any, kind: str, name: str) -> str:
    """The hint for an unknown command or option: one that is spelled almost so, or a known synonym of it."""
    if context is None:
        return ""
    if kind == "command":
        commands = getattr(context.command, "commands", {})
        meant = _COMMANDS.get(name.lower(), "")
        return (
            f"Did you mean '{meant}'?" if meant.split(" ")[0] in commands else did_you_mean(name, commands, cutoff=0.7)
        )
    arguments = [
        parameter.human_readable_name
        for parameter in context.command.get_params(context)
        if parameter.param_type_name == "argument"
    ]
    spellings = [parameter.opts + parameter.secondary_opts for parameter in context.command.get_params(context)]
    options = [option for spelling in spellings for option in spelling if option.startswith("--")]
    bare = name.strip("-")
    if bare.upper() in arguments:
        return f"{bare.upper()} is not an option: write `{context.command_path} {bare.upper()}`."
    # Without the dashes, which make any two options look alike.
    near = did_you_mean(bare, [option.strip("-") for option in options], cutoff=0.75)
    return near.replace("'", "'--", 1) if near else _meant(bare, options)


def _meant(name: str, options: Sequence[str]) -> str:
    """The hint for an option that is called otherwise here, or that is a setting."""
    from lmcore.config import setting_names
    from lmcore.synonyms import suggest_settings

    found = suggest_settings(name, setting_names())
    own = [_OPTIONS.get(name), *(_OPTIONS.get(setting) for setting in found)]
    own += ["--" + setting.rpartition(".")[2].replace("_", "-") for setting in found]
    if meant := [option for option in own if option in options]:
        return f"Did you mean '{meant[0]}'?"
    return f"Did you mean '--set {found[0]}=VALUE'?" if found and "--set" in options else ""


def _system(error: OSError) -> tuple[str, str]:
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"The disk is full{where}.",
            "Free some space. A run continues from its last checkpoint with `lm train --resume RUN`.",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f"Permission denied{where}.",
            "Change the permissions, or choose another folder, for example with $LM_RUNS.",
        )
    reason = f"{error.strerror}{where}" if error.strerror else str(error) or type(error).__name__
    return _sentence(reason), "Check that the file or folder exists and is usable."


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", "?", "!")) else f"{text}."
